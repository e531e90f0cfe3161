/** Aggregation over time: `*_over_time` (Prometheus promql/functions.go). */
import { isQuantile, quantileOfSorted, sortNanFirst } from './quantile.js';
import type { RangeCall, RangeKernel } from './range-kernel.js';

/** One number of one window `[lo, hi)`, which is not empty. */
type WindowFunction = (values: Float64Array, lo: number, hi: number, times: Float64Array) => number;

function eachWindow(work: WindowFunction): RangeKernel {
  return (call) => {
    const { times, values, lo, hi, out, present, base, steps } = call;
    for (let k = 0; k < steps; k++) {
      if (hi[k] <= lo[k]) continue;
      out[base + k] = work(values, lo[k], hi[k], times);
      present[base + k] = 1;
    }
  };
}

/** What `addUp` found: the sum as doubles give it, and what rounding lost (Kahan and Neumaier's). */
const added = { total: 0, rest: 0 };

/**
 * Adds values [from, hi) to `added`. What a rounding loses is exact, whichever way it is worked out: by Knuth's, which
 * needs no comparison, a sum takes half the time. Returns false, with nothing said, where the total is not finite.
 */
function addUp(values: Float64Array, from: number, hi: number): boolean {
  let { total, rest } = added;
  for (let i = from; i < hi; i++) {
    const value = values[i];
    const next = total + value;
    const grown = next - total;
    rest += total - (next - grown) + (value - grown);
    total = next;
  }
  added.total = total;
  added.rest = rest;
  return total - total === 0;
}

function sum(values: Float64Array, lo: number, hi: number): number {
  added.total = 0;
  added.rest = 0;
  return addUp(values, lo, hi) ? added.total + added.rest : sumWithInfinities(values, lo, hi);
}

function sumWithInfinities(values: Float64Array, lo: number, hi: number): number {
  let total = 0;
  let rest = 0;
  for (let i = lo; i < hi; i++) {
    const value = values[i];
    const next = total + value;
    if (next - next !== 0) rest = 0;
    else if (Math.abs(total) >= Math.abs(value)) rest += total - next + value;
    else rest += value - next + total;
    total = next;
  }
  return total + rest;
}

/**
 * The mean from the sum, or, where that would overflow, step by step from there on.
 */
export function mean(values: Float64Array, lo: number, hi: number): number {
  added.total = values[lo];
  added.rest = 0;
  if (!addUp(values, lo + 1, hi)) return meanWithInfinities(values, lo, hi);
  const count = hi - lo;
  return added.total / count + added.rest / count;
}

function meanWithInfinities(values: Float64Array, lo: number, hi: number): number {
  let total = values[lo];
  let rest = 0;
  for (let i = lo + 1; i < hi; i++) {
    const value = values[i];
    const next = total + value;
    if (Math.abs(next) === Number.POSITIVE_INFINITY) {
      return incrementalMean(values, i, hi, i - lo, total, rest);
    }
    if (Math.abs(total) >= Math.abs(value)) rest += total - next + value;
    else rest += value - next + total;
    total = next;
  }
  const count = hi - lo;
  return total / count + rest / count;
}

/** Goes on from `count` values with this sum and rest. */
function incrementalMean(
  values: Float64Array,
  from: number,
  hi: number,
  before: number,
  total: number,
  totalRest: number,
): number {
  let average = total / before;
  let rest = totalRest / before;
  let count = before;
  for (let i = from; i < hi; i++) {
    count++;
    const share = (count - 1) / count;
    const value = values[i] / count;
    const old = share * average;
    rest *= share;
    const next = old + value;
    if (Math.abs(next) === Number.POSITIVE_INFINITY) rest = 0;
    else if (Math.abs(old) >= Math.abs(value)) rest += old - next + value;
    else rest += value - next + old;
    average = next;
  }
  return average + rest;
}

/** Welford's way, with Kahan's sums for mean and squares. */
function variance(values: Float64Array, lo: number, hi: number): number {
  let average = 0;
  let averageRest = 0;
  let squares = 0;
  let squaresRest = 0;
  for (let i = lo; i < hi; i++) {
    const value = values[i];
    const delta = value - (average + averageRest);
    const part = delta / (i - lo + 1);
    let next = average + part;
    if (Math.abs(next) === Number.POSITIVE_INFINITY) averageRest = 0;
    else if (Math.abs(average) >= Math.abs(part)) averageRest += average - next + part;
    else averageRest += part - next + average;
    average = next;
    const square = delta * (value - (average + averageRest));
    next = squares + square;
    if (Math.abs(next) === Number.POSITIVE_INFINITY) squaresRest = 0;
    else if (Math.abs(squares) >= Math.abs(square)) squaresRest += squares - next + square;
    else squaresRest += square - next + squares;
    squares = next;
  }
  return (squares + squaresRest) / (hi - lo);
}

/** The entry that wins: NaN loses against anything. */
function best(
  values: Float64Array,
  lo: number,
  hi: number,
  beats: (a: number, b: number) => boolean,
): number {
  let at = lo;
  for (let i = lo; i < hi; i++) {
    if (beats(values[i], values[at]) || Number.isNaN(values[at])) at = i;
  }
  return at;
}

function quantileOverTime(call: RangeCall): void {
  const { values, lo, hi } = call;
  const qs = call.params[0];
  for (let k = 0; k < call.steps; k++) {
    if (hi[k] <= lo[k]) continue;
    if (!isQuantile(qs[k])) call.report.invalidQuantile(qs[k]);
    call.put(k, quantileOfSorted(qs[k], sortNanFirst(values.slice(lo[k], hi[k]))));
  }
}

/** The median of the distances from the median; NaN where any value is. */
function medianDeviation(values: Float64Array, lo: number, hi: number): number {
  const sorted = sortNanFirst(values.slice(lo, hi));
  if (Number.isNaN(sorted[0])) return Number.NaN;
  const median = quantileOfSorted(0.5, sorted);
  for (let i = 0; i < sorted.length; i++) sorted[i] = Math.abs(sorted[i] - median);
  return quantileOfSorted(0.5, sortNanFirst(sorted));
}

export const OVER_TIME_KERNELS: Readonly<Record<string, RangeKernel>> = {
  sum_over_time: eachWindow(sum),
  avg_over_time: eachWindow(mean),
  count_over_time: eachWindow((_values, lo, hi) => hi - lo),
  present_over_time: eachWindow(() => 1),
  // Its windows are turned round by the evaluator.
  absent_over_time: eachWindow(() => 1),
  first_over_time: eachWindow((values, lo) => values[lo]),
  last_over_time: eachWindow((values, _lo, hi) => values[hi - 1]),
  min_over_time: eachWindow((values, lo, hi) => values[best(values, lo, hi, (a, b) => a < b)]),
  max_over_time: eachWindow((values, lo, hi) => values[best(values, lo, hi, (a, b) => a > b)]),
  stdvar_over_time: eachWindow(variance),
  stddev_over_time: eachWindow((values, lo, hi) => Math.sqrt(variance(values, lo, hi))),
  quantile_over_time: quantileOverTime,
  mad_over_time: eachWindow(medianDeviation),
  ts_of_first_over_time: eachWindow((_values, lo, _hi, times) => times[lo] / 1000),
  ts_of_last_over_time: eachWindow((_values, _lo, hi, times) => times[hi - 1] / 1000),
  ts_of_min_over_time: eachWindow(
    (values, lo, hi, times) => times[best(values, lo, hi, (a, b) => a <= b)] / 1000,
  ),
  ts_of_max_over_time: eachWindow(
    (values, lo, hi, times) => times[best(values, lo, hi, (a, b) => a >= b)] / 1000,
  ),
};
