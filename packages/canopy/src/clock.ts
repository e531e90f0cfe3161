import { createHistogram } from 'node:perf_hooks';
import type { Clock, DurationMs, Milliseconds, Timer } from '@canopy/model';

/** Longest delay Node's timers take (2^31 - 1 ms); beyond it they would fire at once. */
const DELAY_MAX = 2_147_483_647;

/**
 * How much later than asked timers fire: the delay of the event loop, read where the process wakes up
 * anyway (a timer of its own for that was most of what an idle process cost). Nanoseconds; at least 1.
 */
export const timerDelays = createHistogram();

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
    const due = performance.now() + delay;
    const onTime = (): void => {
      timerDelays.record(Math.max(1, Math.round(1e6 * (performance.now() - due))));
      fire();
    };
    const timer = setTimeout(onTime, Math.min(DELAY_MAX, delay));
    return { cancel: () => clearTimeout(timer) };
  },
};
