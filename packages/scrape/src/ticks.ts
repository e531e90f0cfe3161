/** One timer for all that is due at one moment: targets are scraped in groups (`offsetGrid`). */
import { type Clock, type Milliseconds, type Timer, asDuration } from '@canopy/model';

/** Called with the wall clock as it was when the tick's timer fired: one time for the whole group. */
export type Fire = (now: Milliseconds) => void;

interface Tick {
  /** When its timer fires, by the monotonic clock. Milliseconds. */
  readonly firesAt: number;
  readonly members: Set<Fire>;
  readonly timer: Timer;
}

/** Moments that differ by more were meant by wall clocks that were set in between. Milliseconds. */
const SAME_MOMENT = 2;

export class Ticks {
  readonly #clock: Clock;
  readonly #pending = new Map<Milliseconds, Tick>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `fire` at `time` of the wall clock, as it stands now; a time that is past: soon. */
  at(time: Milliseconds, fire: Fire): Timer {
    // In this order: who loses the processor between the two readings is late, never early.
    const now = this.#clock.now();
    const firesAt = this.#clock.monotonic() + time - now;
    let tick = this.#pending.get(time);
    if (tick === undefined || Math.abs(tick.firesAt - firesAt) > SAME_MOMENT) {
      tick = this.#open(time, firesAt);
    }
    const { members } = tick;
    members.add(fire);
    return { cancel: () => this.#cancel(time, members, fire) };
  }

  #open(time: Milliseconds, firesAt: number): Tick {
    const members = new Set<Fire>();
    const delay = asDuration(firesAt - this.#clock.monotonic());
    const timer = this.#clock.after(delay, () => {
      if (this.#pending.get(time)?.members === members) this.#pending.delete(time);
      const now = this.#clock.now();
      for (const member of members) member(now);
    });
    const tick = { firesAt, members, timer };
    this.#pending.set(time, tick);
    return tick;
  }

  #cancel(time: Milliseconds, members: Set<Fire>, fire: Fire): void {
    if (!members.delete(fire) || members.size > 0) return;
    const tick = this.#pending.get(time);
    if (tick?.members !== members) return;
    tick.timer.cancel();
    this.#pending.delete(time);
  }
}
