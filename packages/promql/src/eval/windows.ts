/**
 * Finding samples by time. Series of one group share their `times` array, so what is found for
 * one holds for all of them: the last search for an array is kept.
 */
import { SampleState, type SelectedSeries } from '@canopy/model';
import type { Grid } from './grid.js';

/** A series' samples without gaps: entries `[from, to)`, every one a value. */
export interface DenseSeries {
  times: Float64Array;
  values: Float64Array;
  startTimes: Float64Array | undefined;
  from: number;
  to: number;
}

/** For each step the entries `[lo, hi)` in the window; both 0 where it is empty. */
export interface Windows {
  readonly lo: Int32Array;
  readonly hi: Int32Array;
  /** Entries in all windows together. */
  total: number;
  /** The same, but of each window only what the one before had not. */
  distinct: number;
}

const newWindows = (count: number): Windows => ({
  lo: new Int32Array(count),
  hi: new Int32Array(count),
  total: 0,
  distinct: 0,
});

/** First entry in `[from, to)` whose time is after `time`; `to` where none is. */
export function firstAfter(times: Float64Array, from: number, to: number, time: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** First entry after `time`, at or after `from`; quick where it is near `from`. */
function gallopAfter(times: Float64Array, from: number, to: number, time: number): number {
  let at = from;
  for (let tries = 0; tries < 8; tries++) {
    if (at >= to || times[at] > time) return at;
    at++;
  }
  return firstAfter(times, at, to, time);
}

/** Windows `(ref - range, ref]` at all steps. */
function slide(series: DenseSeries, refs: Grid, rangeMs: number, into: Windows): void {
  const { times, from, to } = series;
  const { lo, hi } = into;
  let left = firstAfter(times, from, to, refs.start - rangeMs);
  let right = firstAfter(times, left, to, refs.start);
  let total = 0;
  let distinct = 0;
  let seen = from;
  for (let k = 0; k < refs.count; k++) {
    if (k > 0 && refs.step > 0) {
      const ref = refs.start + k * refs.step;
      left = gallopAfter(times, left, to, ref - rangeMs);
      right = gallopAfter(times, right, to, ref);
    }
    lo[k] = left;
    hi[k] = right;
    total += right - left;
    distinct += right - Math.max(left, Math.min(seen, right));
    seen = right;
  }
  into.total = total;
  into.distinct = distinct;
}

export class WindowFinder {
  readonly #refs: Grid;
  readonly #rangeMs: number;
  readonly #own: Windows;
  readonly #shared = new Map<Float64Array, { from: number; to: number; windows: Windows }>();

  constructor(refs: Grid, rangeMs: number) {
    this.#refs = refs;
    this.#rangeMs = rangeMs;
    this.#own = newWindows(refs.count);
  }

  /** Valid until the next call. `shared`: other series may have the same `times`. */
  find(series: DenseSeries, shared: boolean): Windows {
    if (!shared) {
      slide(series, this.#refs, this.#rangeMs, this.#own);
      return this.#own;
    }
    const known = this.#shared.get(series.times);
    if (known !== undefined && known.from === series.from && known.to === series.to) {
      return known.windows;
    }
    // New ones: kernels keep what they found out about windows.
    const windows = newWindows(this.#refs.count);
    slide(series, this.#refs, this.#rangeMs, windows);
    // Bounded: series that share nothing would otherwise each leave a pair of columns behind.
    if (this.#shared.size >= SHARED_MAX) this.#shared.clear();
    this.#shared.set(series.times, { from: series.from, to: series.to, windows });
    return windows;
  }
}

const SHARED_MAX = 256;

/** The samples of a series that are values; its own columns where all of them are. */
export function denseSamples(series: SelectedSeries): { samples: DenseSeries; shared: boolean } {
  const { times, values, states, startTimes, from, to } = series;
  if (states === null) return { samples: { times, values, startTimes, from, to }, shared: true };
  let count = 0;
  for (let i = from; i < to; i++) if (states[i] === SampleState.value) count++;
  if (count === to - from) {
    return { samples: { times, values, startTimes, from, to }, shared: true };
  }
  const ownTimes = new Float64Array(count);
  const ownValues = new Float64Array(count);
  const ownStarts = startTimes === undefined ? undefined : new Float64Array(count);
  let at = 0;
  for (let i = from; i < to; i++) {
    if (states[i] !== SampleState.value) continue;
    ownTimes[at] = times[i];
    ownValues[at] = values[i];
    if (ownStarts !== undefined) ownStarts[at] = startTimes![i];
    at++;
  }
  return {
    samples: { times: ownTimes, values: ownValues, startTimes: ownStarts, from: 0, to: count },
    shared: false,
  };
}

/** For each step the newest entry in `(ref - lookback, ref]`, -1 where there is none. */
export class LatestFinder {
  readonly #refs: Grid;
  readonly #lookback: number;
  readonly #latest: Int32Array;
  /** Whose `#latest` are: series of a group come one after the other. */
  #known: SelectedSeries | null = null;
  readonly #own: Int32Array;

  constructor(refs: Grid, lookbackMs: number) {
    this.#refs = refs;
    this.#lookback = lookbackMs;
    this.#latest = new Int32Array(refs.count);
    this.#own = new Int32Array(refs.count);
  }

  /** Entries by step, states heeded: a stale mark is an end. Valid until the next call. */
  find(series: SelectedSeries): Int32Array {
    const latest = this.#byTime(series);
    const { states } = series;
    if (states === null) return latest;
    const { times, from } = series;
    const own = this.#own;
    for (let k = 0; k < latest.length; k++) {
      let at = latest[k];
      if (at >= 0 && states[at] === SampleState.none) {
        const oldest = this.#refs.start + k * this.#refs.step - this.#lookback;
        do at--;
        while (at >= from && states[at] === SampleState.none);
        if (at < from || times[at] <= oldest) at = -1;
      }
      own[k] = at >= 0 && states[at] === SampleState.stale ? -1 : at;
    }
    return own;
  }

  #byTime(series: SelectedSeries): Int32Array {
    const { times, from, to } = series;
    const latest = this.#latest;
    const known = this.#known;
    if (known?.times === times && known.from === from && known.to === to) return latest;
    const { start, step, count } = this.#refs;
    let next = firstAfter(times, from, to, start);
    for (let k = 0; k < count; k++) {
      const ref = start + k * step;
      if (k > 0 && step > 0) next = gallopAfter(times, next, to, ref);
      latest[k] = next > from && times[next - 1] > ref - this.#lookback ? next - 1 : -1;
    }
    this.#known = series;
    return latest;
  }
}
