/**
 * Aggregations with one result a group and step: sum, avg, min, … Rows are added to their group's
 * columns one after the other (Prometheus promql/engine.go, aggregation).
 */
import type { Budget } from '../eval/budget.js';
import type { Columns } from '../eval/columns.js';
import { rowsByNumber } from './grouping.js';
import { quantileOfSorted, sortNanFirst } from '../functions/quantile.js';

/**
 * Adds all rows of `input` to the rows of `output` named by `groupOf`. `output` starts out absent.
 */
export type Reduction = (
  input: Columns,
  groupOf: Int32Array,
  output: Columns,
  budget: Budget,
) => Promise<void>;

/** Runs `first` where the group has no value at a step yet, `next` where it has. */
function folding(
  first: (value: number) => number,
  next: (sum: number, value: number) => number,
): Reduction {
  return async (input, groupOf, output, budget) => {
    const { steps, values, present } = input;
    for (let row = 0; row < input.labels.length; row++) {
      let at = row * steps;
      let to = groupOf[row] * steps;
      for (let k = 0; k < steps; k++, at++, to++) {
        if (present[at] === 0) continue;
        if (output.present[to] === 0) {
          output.present[to] = 1;
          output.values[to] = first(values[at]);
        } else {
          output.values[to] = next(output.values[to], values[at]);
        }
      }
      if (budget.due(steps * 4)) await budget.pause();
    }
  };
}

const count: Reduction = async (input, groupOf, output, budget) => {
  const { steps, present } = input;
  const counts = output.values;
  for (let row = 0; row < input.labels.length; row++) {
    let at = row * steps;
    let to = groupOf[row] * steps;
    for (let k = 0; k < steps; k++, at++, to++) counts[to] += present[at];
    if (budget.due(steps * 2)) await budget.pause();
  }
  for (let i = 0; i < counts.length; i++) if (counts[i] > 0) output.present[i] = 1;
};

const sum: Reduction = async (input, groupOf, output, budget) => {
  const { steps, values, present } = input;
  const totals = output.values;
  const rests = new Float64Array(totals.length);
  for (let row = 0; row < input.labels.length; row++) {
    let at = row * steps;
    let to = groupOf[row] * steps;
    for (let k = 0; k < steps; k++, at++, to++) {
      if (present[at] === 0) continue;
      const value = values[at];
      if (output.present[to] === 0) {
        output.present[to] = 1;
        totals[to] = value;
        continue;
      }
      const total = totals[to];
      const next = total + value;
      if (next - next !== 0) rests[to] = 0;
      else if (Math.abs(total) >= Math.abs(value)) rests[to] += total - next + value;
      else rests[to] += value - next + total;
      totals[to] = next;
    }
    if (budget.due(steps * 4)) await budget.pause();
  }
  for (let i = 0; i < totals.length; i++) totals[i] += rests[i];
};

/** The sum divided, or, once that has overflowed, the mean corrected with each value. */
const avg: Reduction = async (input, groupOf, output, budget) => {
  const { steps, values, present } = input;
  const totals = output.values;
  const rests = new Float64Array(totals.length);
  const counts = new Float64Array(totals.length);
  const overflowed = new Uint8Array(totals.length);
  for (let row = 0; row < input.labels.length; row++) {
    let at = row * steps;
    let to = groupOf[row] * steps;
    for (let k = 0; k < steps; k++, at++, to++) {
      if (present[at] === 0) continue;
      let value = values[at];
      const count = ++counts[to];
      if (count === 1) {
        output.present[to] = 1;
        totals[to] = value;
        continue;
      }
      let total = totals[to];
      if (overflowed[to] === 0 && Math.abs(total + value) === Number.POSITIVE_INFINITY) {
        overflowed[to] = 1;
        total /= count - 1;
        rests[to] /= count - 1;
      }
      if (overflowed[to] !== 0) {
        const share = (count - 1) / count;
        total *= share;
        rests[to] *= share;
        value /= count;
      }
      const next = total + value;
      if (Math.abs(next) === Number.POSITIVE_INFINITY) rests[to] = 0;
      else if (Math.abs(total) >= Math.abs(value)) rests[to] += total - next + value;
      else rests[to] += value - next + total;
      totals[to] = next;
    }
    if (budget.due(steps * 4)) await budget.pause();
  }
  for (let i = 0; i < totals.length; i++) {
    if (counts[i] === 0) continue;
    totals[i] =
      overflowed[i] === 0 ? totals[i] / counts[i] + rests[i] / counts[i] : totals[i] + rests[i];
  }
};

/** Welford's way. */
function variance(finish: (variance: number) => number): Reduction {
  return async (input, groupOf, output, budget) => {
    const { steps, values, present } = input;
    const squares = output.values;
    const means = new Float64Array(squares.length);
    const counts = new Float64Array(squares.length);
    for (let row = 0; row < input.labels.length; row++) {
      let at = row * steps;
      let to = groupOf[row] * steps;
      for (let k = 0; k < steps; k++, at++, to++) {
        if (present[at] === 0) continue;
        const value = values[at];
        const count = ++counts[to];
        if (count === 1) {
          output.present[to] = 1;
          means[to] = value;
          squares[to] = Number.isFinite(value) ? 0 : Number.NaN;
          continue;
        }
        const delta = value - means[to];
        means[to] += delta / count;
        squares[to] += delta * (value - means[to]);
      }
      if (budget.due(steps * 4)) await budget.pause();
    }
    for (let i = 0; i < squares.length; i++) {
      if (counts[i] > 0) squares[i] = finish(squares[i] / counts[i]);
    }
  };
}

/** By name. */
export const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  sum,
  avg,
  count,
  group: folding(
    () => 1,
    () => 1,
  ),
  min: folding(
    (value) => value,
    (least, value) => (least > value || Number.isNaN(least) ? value : least),
  ),
  max: folding(
    (value) => value,
    (most, value) => (most < value || Number.isNaN(most) ? value : most),
  ),
  stdvar: variance((value) => value),
  stddev: variance(Math.sqrt),
};

/** Quantile `qs[k]` of each group at each step. */
export async function reduceQuantile(
  input: Columns,
  groupOf: Int32Array,
  output: Columns,
  qs: Float64Array,
  budget: Budget,
): Promise<void> {
  const { steps, values, present } = input;
  const rowsOf = await rowsByNumber(groupOf, output.labels.length, budget);
  for (let group = 0; group < rowsOf.length; group++) {
    const rows = rowsOf[group];
    const scratch = new Float64Array(rows.length);
    for (let k = 0; k < steps; k++) {
      let count = 0;
      for (const row of rows) {
        const at = row * steps + k;
        if (present[at] !== 0) scratch[count++] = values[at];
      }
      if (count === 0) continue;
      if (budget.due(count * 100)) await budget.pause();
      const to = group * steps + k;
      output.present[to] = 1;
      output.values[to] = quantileOfSorted(qs[k], sortNanFirst(scratch.subarray(0, count)));
    }
  }
}
