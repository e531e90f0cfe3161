/**
 * Long work in short steps, so that nothing else waits for it.
 */
import { type Clock, type Timer, asDuration } from '@canopy/model';

/** Work done at a stretch, milliseconds; a collection of garbage may double it. */
const STRETCH_MS = 5;

export interface SlicedRun {
  /** What has been done stays; `done` is not called any more. */
  cancel(): void;
}

/**
 * Runs `steps` (each a millisecond at most), the first stretch at once and, where the work is short, all of
 * it; then stretch after stretch with other work between. `done` follows the last step.
 */
export function runSliced(
  clock: Clock,
  steps: Generator<void, void, void>,
  done: () => void,
): SlicedRun {
  let timer: Timer | undefined;
  let cancelled = false;
  const stretch = (): void => {
    const end = clock.monotonic() + STRETCH_MS;
    do {
      if (cancelled) return;
      if (steps.next().done === true) return done();
    } while (clock.monotonic() < end);
    timer = clock.after(asDuration(0), stretch);
  };
  stretch();
  return {
    cancel: () => {
      cancelled = true;
      timer?.cancel();
    },
  };
}
