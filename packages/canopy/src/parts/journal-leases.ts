/**
 * Leases on journals, for all parts of a process that write to them: what one takes another may use, and all are given back
 * together. (Pulls and the own journal take and give back theirs by themselves, in the name of the same owner.)
 */
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type JournalRef,
  type Lease,
  type Store,
} from '@canopy/model';
import { takeLease } from '@canopy/store';

export interface JournalLeasesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly owner: string;
  /** Longer than twice `RENEW_MS`. */
  readonly ttl: DurationMs;
}

/** One that was taken less long ago is used as it is. */
const RENEW_MS = 4000;

export class JournalLeases {
  readonly #options: JournalLeasesOptions;
  /** `at`: Clock.monotonic(), when it was taken or renewed. */
  readonly #taken = new Map<JournalRef, { readonly lease: Lease; readonly at: number }>();

  constructor(options: JournalLeasesOptions) {
    this.#options = options;
  }

  /** Takes or renews it. @throws CanopyError `storage_unavailable` where another process writes the journal. */
  async take(ref: JournalRef): Promise<Lease> {
    const { store, owner, ttl } = this.#options;
    const outcome = await store.acquireLease(ref, owner, ttl);
    if (outcome.granted) return this.#note(outcome.lease);
    throw new CanopyError('storage_unavailable', `journal ${ref} is written by ${outcome.heldBy}`);
  }

  /** As `take`, which is asked only now and then: for many writes in a row. */
  async held(ref: JournalRef): Promise<Lease> {
    const taken = this.#taken.get(ref);
    const isFresh = taken !== undefined && this.#options.clock.monotonic() - taken.at < RENEW_MS;
    return isFresh ? taken.lease : this.take(ref);
  }

  /** Waits for one that a process before left behind. @throws CanopyError `storage_locked` where another keeps it. */
  async takeOver(ref: JournalRef): Promise<void> {
    const { store, owner, ttl, clock } = this.#options;
    this.#note(await takeLease(store, ref, owner, ttl, clock));
  }

  /**
   * Gives all back: without this the next parent waits until they expire. To be called when nothing is written any more.
   * @throws CanopyError of the store, after all were tried.
   */
  async giveUp(): Promise<void> {
    const leases = [...this.#taken.values()].map(({ lease }) => lease);
    this.forget();
    const released = await Promise.allSettled(
      leases.map((lease) => this.#options.store.releaseLease(lease)),
    );
    for (const one of released) if (one.status === 'rejected') throw one.reason;
  }

  /** Another process has them by now. */
  forget(): void {
    this.#taken.clear();
  }

  #note(lease: Lease): Lease {
    this.#taken.set(lease.journal, { lease, at: this.#options.clock.monotonic() });
    return lease;
  }
}
