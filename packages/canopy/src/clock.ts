import type { Clock, DurationMs, Milliseconds, Timer } from '@canopy/model';

/** Longest delay Node's timers take (2^31 - 1 ms); beyond it they would fire at once. */
const DELAY_MAX = 2_147_483_647;

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now() as Milliseconds,
  monotonic: () => performance.now(),
  after(delay: DurationMs, fire: () => void): Timer {
    if (delay <= 0) {
      // Giving others a turn must not cost the millisecond that a timer rounds up to.
      const immediate = setImmediate(fire);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timer = setTimeout(fire, Math.min(DELAY_MAX, delay));
    return { cancel: () => clearTimeout(timer) };
  },
};
