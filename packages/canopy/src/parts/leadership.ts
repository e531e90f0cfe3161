/**
 * Which of the parents on one store writes it: the holder of the store's lease. The others follow. The
 * lease decides who works; that two never write the same journal is seen to by the fences of the
 * journals' own leases.
 */
import {
  type Clock,
  type DurationMs,
  type JournalRef,
  type Lease,
  type LeaseOutcome,
  type Store,
  asDuration,
  errorText,
  sleep,
} from '@canopy/model';
import type { Log } from '../log.js';

/** Named like a journal, which it is not: nothing is ever written to it. */
export const STORE_LEASE = '0'.repeat(32) as JournalRef;

export interface LeadershipOptions {
  readonly store: Pick<Store, 'acquireLease' | 'releaseLease'>;
  readonly clock: Clock;
  readonly owner: string;
  readonly ttl: DurationMs;
  /** How often the holder renews, and the others ask. */
  readonly every: DurationMs;
  /** The lease is ours: take over. What it throws is logged; the lease is given back and tried again. */
  lead(): Promise<void>;
  /** The lease is another's (`heldBy`): stop writing, or go on following. Must not throw. */
  follow(heldBy: string): Promise<void>;
  readonly log: Log;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #stopping = new AbortController();
  #lease: Lease | undefined;
  #heldBy = '';
  /** Changes of role, one after the other; renewing goes on meanwhile. */
  #turn: Promise<void> = Promise.resolve();
  #running: Promise<void> | undefined;
  #failure: unknown;
  /** Before that, a failure to lead is the caller's; after it, it is tried again. */
  #isUp = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  get leads(): boolean {
    return this.#lease !== undefined;
  }

  /** Who holds the lease, '' where nobody is known to. */
  get heldBy(): string {
    return this.#heldBy;
  }

  /**
   * Asks for the lease and keeps asking. Resolves when the first answer has been acted upon.
   * @throws CanopyError of the store, where it does not answer; and what `lead` threw.
   */
  async start(): Promise<void> {
    this.#take(await this.#ask());
    // Renewing must not wait for the first change of role, which may take long.
    this.#running = this.#run();
    await this.#turn;
    if (this.#failure !== undefined) throw this.#failure;
    this.#isUp = true;
  }

  /** Gives the lease back, so that another parent need not wait. Call when nothing is written any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#turn;
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease !== undefined) await this.#options.store.releaseLease(lease);
  }

  async #run(): Promise<void> {
    const { clock, every, log } = this.#options;
    const { signal } = this.#stopping;
    for (let wait: number = every; ; ) {
      try {
        await sleep(clock, asDuration(wait), signal);
      } catch {
        return;
      }
      wait = every;
      try {
        const outcome = await this.#ask();
        if (signal.aborted) return;
        this.#take(outcome);
        if (!outcome.granted) wait = Math.min(every, outcome.expiresIn + 1);
      } catch (error) {
        // Nobody can take it over either; what is written meanwhile is fenced all the same.
        log('debug', 'the lease on the store could not be renewed', { error: errorText(error) });
      }
    }
  }

  #ask(): Promise<LeaseOutcome> {
    const { store, owner, ttl } = this.#options;
    return store.acquireLease(STORE_LEASE, owner, ttl);
  }

  #take(outcome: LeaseOutcome): void {
    const led = this.leads;
    if (outcome.granted) {
      // Lost and taken again between two renewals: somebody else led meanwhile. A store that lost
      // the lease counts anew from 1.
      const isAnother = this.#lease !== undefined && outcome.lease.fence > this.#lease.fence;
      this.#lease = outcome.lease;
      this.#heldBy = outcome.lease.owner;
      if (isAnother) this.#next(() => this.#options.follow(''));
      if (!led || isAnother) this.#next(() => this.#lead());
    } else {
      const before = this.#heldBy;
      this.#lease = undefined;
      this.#heldBy = outcome.heldBy;
      if (led || before !== outcome.heldBy) this.#next(() => this.#options.follow(outcome.heldBy));
    }
  }

  async #lead(): Promise<void> {
    if (!this.leads) return;
    try {
      await this.#options.lead();
    } catch (error) {
      this.#failure = error;
      if (!this.#isUp) return;
      this.#options.log('error', 'taking over failed; it is tried again', {
        error: errorText(error),
      });
      await this.#options.follow('');
      const lease = this.#lease;
      this.#lease = undefined;
      if (lease !== undefined) await this.#options.store.releaseLease(lease).catch(() => {});
    }
  }

  #next(change: () => Promise<void>): void {
    this.#turn = this.#turn.then(change);
  }
}
