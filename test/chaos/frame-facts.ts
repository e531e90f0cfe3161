/** What a frame says of itself. */
import { type Frame, type SeriesKey } from './oracle.js';

/** The target that two leaves scrape: its samples are merged, not copied. */
export const SHARED_TARGET = 'shared';
/** The one that is looked at in the middle of it all; one leaf has it. */
export const VIEWED_TARGET = '0';

/** Timers may be 2 ms early and still mean their tick; times are whole milliseconds, on both sides. */
export const CLOCK_MS = 5;

const REPORT = ['up', 'scrape_'];

export const nameOf = (key: SeriesKey): string => /\["__name__","([^"]*)"\]/.exec(key)?.[1] ?? '';
export const targetOf = (key: SeriesKey): string => /\["n","([^"]*)"\]/.exec(key)?.[1] ?? '';

/** Whether the leaf gave it, not the exporter. */
export const isReport = (key: SeriesKey): boolean => {
  const name = nameOf(key);
  return name !== 'scrape_number' && REPORT.some((report) => name.startsWith(report));
};

export const at = ({ time, target }: Frame): string => `${target} at ${time}`;

/** The number of a scrape that succeeded. */
export function scrapeNumber(frame: Frame): number | undefined {
  for (const [key, value] of frame.values) if (nameOf(key) === 'scrape_number') return value;
  return undefined;
}

/**
 * When the exporter of each frame's target was asked, by its own clock, ms since epoch: not before the scrape began, and before the
 * next one of that target did. How long it took is no bound: a leaf that has much to do begins late, and counts from then.
 */
export function askedBetween(
  frames: readonly Frame[],
  clockOffset: number,
): Map<Frame, { readonly from: number; readonly to: number }> {
  const spans = new Map<Frame, { readonly from: number; readonly to: number }>();
  const next = new Map<string, number>();
  for (const frame of frames.toReversed()) {
    const begun = frame.time - clockOffset;
    const end = next.get(frame.target) ?? Number.POSITIVE_INFINITY;
    spans.set(frame, { from: begun - CLOCK_MS, to: end + CLOCK_MS });
    next.set(frame.target, begun);
  }
  return spans;
}
