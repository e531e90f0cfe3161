/** Lets others have the event loop while something long goes on. */
import type { Clock } from '@canopy/model';

/** Held no longer than this at a time. Milliseconds. */
const HOLD_MS = 10;

export class Breath {
  readonly signal: AbortSignal | undefined;
  readonly #clock: Clock;
  #since: number;

  constructor(clock: Clock, signal?: AbortSignal) {
    this.#clock = clock;
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
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#since = this.#clock.monotonic();
    this.signal?.throwIfAborted();
  }
}
