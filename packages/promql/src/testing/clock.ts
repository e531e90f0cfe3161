/** The real clock, for tests and benchmarks. */
import { type Clock, asTime } from '@canopy/model';

export const testClock: Clock = {
  now: () => asTime(performance.timeOrigin + performance.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};
