/** Lets others have the event loop while something long goes on. */
import { type Clock, Turns } from '@canopy/model';

/** Held no longer than this at a time. Milliseconds. */
const HOLD_MS = 10;

export class Breath {
  readonly signal: AbortSignal | undefined;
  readonly #clock: Clock;
  readonly #turns: Turns;
  #since: number;

  /** `turns`: those of all who do something long at the same time; without it this one's own. */
  constructor(clock: Clock, signal?: AbortSignal, turns = new Turns(setImmediate)) {
    this.#clock = clock;
    this.#turns = turns;
    this.signal = signal;
    this.#since = clock.monotonic();
    signal?.throwIfAborted();
  }

  /** Whether it is time to `take()`, where asking must not cost a promise. */
  get due(): boolean {
    return this.#clock.monotonic() - this.#since >= HOLD_MS;
  }

  /** Yields where it is time to. @throws the signal's reason once it is aborted. */
  async take(): Promise<void> {
    if (!this.due) return;
    await this.#turns.next();
    this.#since = this.#clock.monotonic();
    this.signal?.throwIfAborted();
  }
}
