import type { Clock, Timer } from '../clock.js';
import { type DurationMs, type Milliseconds, asTime } from '../units.js';

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock for tests: time passes only in `advance`, timers fire in order of due time. */
export class VirtualClock implements Clock {
  #now: number;
  #elapsed = 0;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(start = 1_700_000_000_000) {
    this.#now = start;
  }

  now(): Milliseconds {
    return asTime(this.#now);
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(delay: DurationMs, fire: () => void): Timer {
    const entry = { due: this.#elapsed + Math.max(0, delay), order: this.#order++, fire };
    this.#pending.add(entry);
    return { cancel: () => void this.#pending.delete(entry) };
  }

  /** Steps the wall clock without letting time pass. */
  stepWallClock(by: number): void {
    this.#now += by;
  }

  /** Lets `duration` pass; promise callbacks run between timers. */
  async advance(duration: number): Promise<void> {
    const end = this.#elapsed + duration;
    for (;;) {
      let next: Pending | undefined;
      for (const entry of this.#pending) {
        if (entry.due > end) continue;
        if (!next || entry.due < next.due || (entry.due === next.due && entry.order < next.order)) {
          next = entry;
        }
      }
      if (next === undefined) break;
      this.#pending.delete(next);
      this.#now += next.due - this.#elapsed;
      this.#elapsed = next.due;
      next.fire();
      await settle();
    }
    this.#now += end - this.#elapsed;
    this.#elapsed = end;
    await settle();
  }
}

/** Lets promise callbacks and immediates run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
