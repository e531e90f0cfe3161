/**
 * Functions over `anchored` and `smoothed` ranges (Prometheus promql/functions.go, extendedRate):
 * nothing is extrapolated. An anchored range begins with the last sample at or before its start, a
 * smoothed one has its values at both edges read off the line between the samples around them.
 */
import type { RangeExtension } from '../syntax/ast.js';
import type { RangeCall, RangeKernel } from './range-kernel.js';
import { CHANGED, FELL, type PairTest, countsOfPairs, findResets } from './rates.js';

/** One series, its windows and what is around them. */
export type ExtendedWindows = Pick<
  RangeCall,
  'times' | 'values' | 'lo' | 'hi' | 'outerLo' | 'outerHi' | 'refs' | 'rangeMs'
>;

/** What an extended range holds at one step. Reused for each. */
interface ExtendedRange {
  /** The entry it begins with; before its start where there is one. */
  first: number;
  /** The entry it ends with; smoothed, the first at or after its end. */
  last: number;
  /** Entries strictly within: `[from, to)`, empty where `to <= from`. */
  from: number;
  to: number;
  /** Values at the edges. */
  left: number;
  right: number;
}

const newRange = (): ExtendedRange => ({ first: 0, last: 0, from: 0, to: 0, left: 0, right: 0 });

/** On the line from entry `i` to the next, at `time`; a counter that was reset began at 0. */
export function interpolated(
  { times, values }: { readonly times: Float64Array; readonly values: Float64Array },
  i: number,
  time: number,
  isCounter: boolean,
): number {
  const after = values[i + 1];
  const before = isCounter && after < values[i] ? 0 : values[i];
  return before + ((after - before) * (time - times[i])) / (times[i + 1] - times[i]);
}

/** False where nothing is known of the range. */
function readRange(
  windows: ExtendedWindows,
  extension: RangeExtension,
  isCounter: boolean,
  k: number,
  into: ExtendedRange,
): boolean {
  const { times, values, lo, hi, outerLo, outerHi, refs } = windows;
  const end = refs.start + k * refs.step;
  const start = end - windows.rangeMs;
  const first = lo[k] > outerLo[k] ? lo[k] - 1 : lo[k];
  const isEmpty = hi[k] <= lo[k];
  let last = hi[k] - 1;
  if (extension === 'anchored') {
    if (isEmpty) return false;
  } else {
    const endsOnSample = !isEmpty && times[last] === end;
    if (!endsOnSample && hi[k] < outerHi[k]) last = hi[k];
    // Nothing after the start, or nothing before the end.
    if (last < first || times[last] <= start || times[first] > end) return false;
  }
  const isSmoothed = extension === 'smoothed';
  into.first = first;
  into.last = last;
  into.from = times[first] <= start ? first + 1 : first;
  into.to = times[last] >= end ? last : last + 1;
  into.left =
    isSmoothed && times[first] < start
      ? interpolated(windows, first, start, isCounter)
      : values[first];
  into.right =
    isSmoothed && times[last] > end
      ? interpolated(windows, last - 1, end, isCounter)
      : values[last];
  return true;
}

const NO_RESETS: readonly number[] = [];

function changeBetweenEdges(
  extension: RangeExtension,
  isCounter: boolean,
  perSecond: boolean,
): RangeKernel {
  return (call) => {
    const { values, rangeMs } = call;
    const resets = isCounter ? findResets(call) : NO_RESETS;
    const range = newRange();
    let nextReset = 0;
    for (let k = 0; k < call.steps; k++) {
      if (!readRange(call, extension, isCounter, k, range)) continue;
      const { from, to, left, right } = range;
      let change = right - left;
      if (isCounter && to <= from) {
        if (right < left) change += left;
      } else if (isCounter) {
        if (values[from] < left) change += left;
        // Ranges only move forward: resets before this one are behind all later ones.
        while (nextReset < resets.length && resets[nextReset] <= from) nextReset++;
        for (let r = nextReset; r < resets.length && resets[r] < to; r++) {
          change += values[resets[r] - 1];
        }
        if (right < values[to - 1]) change += values[to - 1];
      }
      call.put(k, perSecond ? change / (rangeMs / 1000) : change);
    }
  };
}

/** How many neighbours differ, from the sample at the start on. */
function countAnchored(differ: PairTest): RangeKernel {
  return (call) => {
    const counts = countsOfPairs(call, differ);
    const range = newRange();
    for (let k = 0; k < call.steps; k++) {
      if (!readRange(call, 'anchored', false, k, range)) continue;
      call.put(k, counts[range.last - call.from] - counts[range.first - call.from]);
    }
  };
}

const rates = (extension: RangeExtension): Record<string, RangeKernel> => ({
  delta: changeBetweenEdges(extension, false, false),
  increase: changeBetweenEdges(extension, true, false),
  rate: changeBetweenEdges(extension, true, true),
});

/** What may be asked of extended ranges; other functions refuse them. */
export const EXTENDED_KERNELS: Readonly<
  Record<RangeExtension, Readonly<Record<string, RangeKernel>>>
> = {
  anchored: {
    ...rates('anchored'),
    changes: countAnchored(CHANGED),
    resets: countAnchored(FELL),
  },
  smoothed: rates('smoothed'),
};

/** The range of the first step as samples: those within, and one at each edge. */
export function samplesWithEdges(
  windows: ExtendedWindows,
  extension: RangeExtension,
): { times: Float64Array; values: Float64Array } | null {
  const range = newRange();
  if (!readRange(windows, extension, false, 0, range)) return null;
  const { from, left, right } = range;
  const to = Math.max(from, range.to);
  const end = windows.refs.start;
  const start = end - windows.rangeMs;
  const enclosed = (inner: Float64Array, before: number, after: number): Float64Array => {
    const all = new Float64Array(to - from + 2);
    all[0] = before;
    all.set(inner.subarray(from, to), 1);
    all[all.length - 1] = after;
    return all;
  };
  return {
    times: enclosed(windows.times, start, end),
    values: enclosed(windows.values, left, right),
  };
}
