/**
 * Time and chance come in through constructors; only `canopy` makes the real ones.
 */
import type { DurationMs, Milliseconds } from './units.js';

/** What a timer gives back; `cancel` is safe at any time and more than once. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock. May step in either direction. */
  now(): Milliseconds;
  /** Milliseconds from an arbitrary point, with fractions; never goes back. For durations. */
  monotonic(): number;
  /** Calls `fire` once, no sooner than `delay` from now. */
  after(delay: DurationMs, fire: () => void): Timer;
}

/** Uniform in [0, 1). */
export type Random = () => number;

/** Resolves after `delay`; rejects with the signal's reason as soon as `signal` is aborted. */
export function sleep(clock: Clock, delay: DurationMs, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(delay, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * A gate lets a bounded number of tasks run at once, first come first served (p-limit has this
 * shape; `canopy` hands it down).
 */
export type Gate = <T>(task: () => Promise<T>) => Promise<T>;
