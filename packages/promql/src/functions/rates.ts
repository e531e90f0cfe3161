/** rate, increase, delta, irate, idelta, resets, changes (Prometheus promql/functions.go). */
import type { RangeCall, RangeKernel } from './range-kernel.js';

/**
 * Entries `i` of the series with `values[i] < values[i - 1]`, ascending. Found once a series;
 * windows then look only at those within them.
 */
export function findResets(call: RangeCall): number[] {
  const { values, from, to } = call;
  const resets: number[] = [];
  for (let i = from + 1; i < to; i++) if (values[i] < values[i - 1]) resets.push(i);
  return resets;
}

const NO_RESETS: readonly number[] = [];

/** What extrapolation takes from a group's windows: the same for all its series. */
class WindowEdges {
  /** What a change is multiplied by where nothing is cut at zero. */
  readonly factors: Float64Array;
  /** Seconds between first and last sample, and to the edges as far as they count. */
  readonly sampled: Float64Array;
  readonly toStarts: Float64Array;
  readonly toEnds: Float64Array;
  readonly #of: { readonly times: Float64Array; readonly lo: Int32Array };

  constructor({ times, lo, hi, refs, rangeMs, steps }: RangeCall, unit: number) {
    this.#of = { times, lo };
    this.factors = new Float64Array(steps);
    this.sampled = new Float64Array(steps);
    this.toStarts = new Float64Array(steps);
    this.toEnds = new Float64Array(steps);
    for (let k = 0; k < steps; k++) {
      const first = lo[k];
      const last = hi[k] - 1;
      if (last <= first) continue;
      const rangeEnd = refs.start + k * refs.step;
      let toStart = (times[first] - (rangeEnd - rangeMs)) / 1000;
      let toEnd = (rangeEnd - times[last]) / 1000;
      const sampled = (times[last] - times[first]) / 1000;
      const average = sampled / (last - first);
      const threshold = average * 1.1;
      if (toStart >= threshold) toStart = average / 2;
      if (toEnd >= threshold) toEnd = average / 2;
      this.sampled[k] = sampled;
      this.toStarts[k] = toStart;
      this.toEnds[k] = toEnd;
      this.factors[k] = (sampled + toStart + toEnd) / sampled / unit;
    }
  }

  /** Windows of a search are not written to again while a series may share them. */
  isOf({ times, lo }: RangeCall): boolean {
    return this.#of.times === times && this.#of.lo === lo;
  }
}

/**
 * Extrapolates the change between the first and the last sample to the window's edges where they
 * are
 * near (within 1.1 average intervals), else by half an interval; counters never below zero.
 */
function extrapolated(isCounter: boolean, perSecond: boolean): RangeKernel {
  let edges: WindowEdges | null = null;
  return (call) => {
    const { values, lo, hi, out, present, base, steps } = call;
    const unit = perSecond ? call.rangeMs / 1000 : 1;
    if (edges === null || !edges.isOf(call)) edges = new WindowEdges(call, unit);
    const { factors, sampled, toStarts, toEnds } = edges;
    const resets = isCounter ? findResets(call) : NO_RESETS;
    let nextReset = 0;
    for (let k = 0; k < steps; k++) {
      const first = lo[k];
      const last = hi[k] - 1;
      if (last <= first) continue;
      const least = values[first];
      let change = values[last] - least;
      // Windows only move forward: resets before this one are behind all later ones.
      while (nextReset < resets.length && resets[nextReset] <= first) nextReset++;
      for (let r = nextReset; r < resets.length && resets[r] <= last; r++) {
        change += values[resets[r] - 1];
      }
      let factor = factors[k];
      // Fast path: no division where zero is farther away than the samples reach.
      const mayCut = isCounter && change > 0 && least >= 0;
      if (mayCut && (least < change || sampled[k] < toStarts[k])) {
        const toZero = sampled[k] * (least / change);
        if (toZero < toStarts[k]) factor = (sampled[k] + toZero + toEnds[k]) / sampled[k] / unit;
      }
      out[base + k] = change * factor;
      present[base + k] = 1;
    }
  };
}

/** From the last two samples alone. */
function instant(isRate: boolean): RangeKernel {
  return (call) => {
    const { times, values, lo, hi } = call;
    for (let k = 0; k < call.steps; k++) {
      const last = hi[k] - 1;
      if (last <= lo[k]) continue;
      const interval = times[last] - times[last - 1];
      const isReset = isRate && values[last] < values[last - 1];
      let change = isReset ? values[last] : values[last] - values[last - 1];
      if (isRate) change /= interval / 1000;
      call.put(k, change);
    }
  };
}

export type PairTest = (before: number, after: number) => boolean;
export const FELL: PairTest = (before, after) => after < before;
export const CHANGED: PairTest = (before, after) =>
  after !== before && !(Number.isNaN(after) && Number.isNaN(before));

/** Neighbours that `differ`, counted from the start of the series: a window's is a difference. */
export function countsOfPairs({ values, from, to }: RangeCall, differ: PairTest): Uint32Array {
  const counts = new Uint32Array(to - from);
  for (let i = from + 1; i < to; i++) {
    counts[i - from] = counts[i - from - 1] + (differ(values[i - 1], values[i]) ? 1 : 0);
  }
  return counts;
}

/** How many neighbours in the window `differ`. */
function countPairs(differ: PairTest): RangeKernel {
  return (call) => {
    const { lo, hi, from } = call;
    const counts = countsOfPairs(call, differ);
    for (let k = 0; k < call.steps; k++) {
      if (hi[k] <= lo[k]) continue;
      call.put(k, counts[hi[k] - 1 - from] - counts[lo[k] - from]);
    }
  };
}

export const RATE_KERNELS: Readonly<Record<string, RangeKernel>> = {
  rate: extrapolated(true, true),
  increase: extrapolated(true, false),
  delta: extrapolated(false, false),
  irate: instant(true),
  idelta: instant(false),
  resets: countPairs(FELL),
  changes: countPairs(CHANGED),
};
