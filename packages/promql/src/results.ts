/** Columns to answers. */
import {
  type Labels,
  type MatrixSeries,
  NO_LABELS,
  type Milliseconds,
  type QueryValue,
  type VectorSample,
  compareLabels,
} from '@canopy/model';
import type { Budget } from './eval/budget.js';
import type { Columns } from './eval/columns.js';
import { sortInTurns } from './eval/sort.js';
import { type Grid } from './eval/grid.js';
import { type RangeVector, outerFinder } from './eval/ranges.js';
import { WindowFinder, denseSamples } from './eval/windows.js';
import { samplesWithEdges } from './functions/extended.js';

/** One step: rows in their order. */
export function toVector(columns: Columns, time: Milliseconds): QueryValue {
  const samples: VectorSample[] = [];
  for (let row = 0; row < columns.labels.length; row++) {
    if (columns.present[row] === 0) continue;
    samples.push({ labels: columns.labels[row], time, value: columns.values[row] });
  }
  return { type: 'vector', samples };
}

/** Rows as they are, without steps that have no value. */
export async function toMatrix(columns: Columns, grid: Grid, budget: Budget): Promise<QueryValue> {
  const series: MatrixSeries[] = [];
  const { steps, values, present, labels } = columns;
  const allTimes = new Float64Array(steps);
  for (let k = 0; k < steps; k++) allTimes[k] = grid.start + k * grid.step;
  for (let row = 0; row < labels.length; row++) {
    const base = row * steps;
    let count = 0;
    for (let k = 0; k < steps; k++) count += present[base + k];
    if (count > 0) {
      series.push(
        count === steps
          ? { labels: labels[row], times: allTimes, values: values.subarray(base, base + steps) }
          : withoutGaps(labels[row], allTimes, values, present, base, count),
      );
    }
    if (budget.due(steps * 2)) await budget.pause();
  }
  return { type: 'matrix', series };
}

function withoutGaps(
  labels: Labels,
  allTimes: Float64Array,
  allValues: Float64Array,
  present: Uint8Array,
  base: number,
  count: number,
): MatrixSeries {
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  let at = 0;
  for (let k = 0; k < allTimes.length; k++) {
    if (present[base + k] === 0) continue;
    times[at] = allTimes[k];
    values[at] = allValues[base + k];
    at++;
  }
  return { labels, times, values };
}

/** A scalar at several times: one series without labels. */
export function scalarMatrix(values: Float64Array, grid: Grid): QueryValue {
  const times = Float64Array.from(values, (_value, k) => grid.start + k * grid.step);
  return { type: 'matrix', series: [{ labels: NO_LABELS, times, values }] };
}

/** The samples of a range vector themselves, at one time. */
export async function rangeMatrix(input: RangeVector, budget: Budget): Promise<QueryValue> {
  const { rangeMs, extension } = input;
  const refs = { ...input.refs, count: 1 };
  const finder = new WindowFinder(refs, rangeMs);
  const around = outerFinder(input, refs);
  const series: MatrixSeries[] = [];
  for (const one of input.series) {
    const { samples, shared } = denseSamples(one);
    const { times, values } = samples;
    const { lo, hi } = finder.find(samples, shared);
    let points: { times: Float64Array; values: Float64Array } | null = null;
    if (extension !== null && around !== null) {
      const { lo: outerLo, hi: outerHi } = around.find(samples, shared);
      const windows = { times, values, lo, hi, outerLo, outerHi, refs, rangeMs };
      points = samplesWithEdges(windows, extension);
    } else if (hi[0] > lo[0]) {
      points = { times: times.slice(lo[0], hi[0]), values: values.slice(lo[0], hi[0]) };
    }
    const count = points?.times.length ?? 0;
    if (points !== null) {
      budget.hold(count);
      if (input.inner === null) budget.tally.add(0, count, count);
      series.push({ labels: one.labels, ...points });
    }
    if (budget.due(count + 50)) await budget.pause();
  }
  // Nothing looks at a subquery that is the whole query: what it took counts.
  if (input.inner !== null) budget.tally.add(0, input.inner.queryable, 0);
  return { type: 'matrix', series };
}

/** Series in order of their labels. */
export async function sortSeries(value: QueryValue, budget: Budget): Promise<QueryValue> {
  if (value.type !== 'matrix') return value;
  const byLabels = (a: MatrixSeries, b: MatrixSeries) => compareLabels(a.labels, b.labels);
  return { type: 'matrix', series: await sortInTurns([...value.series], byLabels, budget) };
}
