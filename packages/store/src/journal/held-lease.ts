/** The right to write the journal, and its taking again where it was lost. */
import type { JournalRef, Lease } from '@canopy/model';
import { takeLeaseAgain } from './journal-place.js';
import type { JournalWriterOptions } from './options.js';

export class HeldLease {
  readonly #options: Pick<JournalWriterOptions, 'store' | 'owner' | 'leaseTtl'>;
  readonly #ref: JournalRef;
  #lease: Lease;
  /** Somebody else has taken it, or the store lost it: to be taken again. Commits renew it otherwise. */
  #isLost = false;
  /** In a row. */
  #fencedTimes = 0;

  constructor(
    options: Pick<JournalWriterOptions, 'store' | 'owner' | 'leaseTtl'>,
    ref: JournalRef,
    lease: Lease,
  ) {
    this.#options = options;
    this.#ref = ref;
    this.#lease = lease;
  }

  /** As it was taken last. */
  get lease(): Lease {
    return this.#lease;
  }

  /** To be taken again before the next commit. */
  lose(): void {
    this.#isLost = true;
  }

  /** A commit was refused for it. True where it may be tried again at once. */
  fenced(): boolean {
    this.#isLost = true;
    this.#fencedTimes++;
    return this.#fencedTimes === 1;
  }

  /** A commit went through under it. */
  held(): void {
    this.#fencedTimes = 0;
  }

  /** Takes it again where it was lost. @throws CanopyError of the store; `storage_unavailable` while another has it. */
  async take(): Promise<Lease> {
    if (!this.#isLost) return this.#lease;
    this.#lease = await takeLeaseAgain(this.#ref, this.#options);
    this.#isLost = false;
    return this.#lease;
  }
}
