/**
 * Functions over range vectors: a kernel for each series, windows found once for a group of them.
 */
import { CanopyError, type Labels, type SelectedSeries } from '@canopy/model';
import { RangeCall, type RangeKernel, type RangeReport } from '../functions/range-kernel.js';
import type { Budget } from './budget.js';
import { type Columns, countPresent, truncateRows } from './columns.js';
import type { RangeExtension } from '../syntax/ast.js';
import type { Grid } from './grid.js';
import { SAME_LABELSET, dropNames } from './labels.js';
import type { SampleTally } from './tally.js';
import { WindowFinder, denseSamples } from './windows.js';

/** Series and the windows that are looked at. */
export interface RangeVector {
  readonly series: readonly SelectedSeries[];
  /** Right ends of the windows. */
  readonly refs: Grid;
  readonly rangeMs: number;
  readonly extension: RangeExtension | null;
  /** How far around an extended range samples are looked for. */
  readonly lookbackMs: number;
  /** What a subquery was worked out to, and what that took; released with the vector. */
  readonly columns: Columns | null;
  readonly inner: SampleTally | null;
}

export interface RangeApplication {
  readonly kernel: RangeKernel;
  /** For series whose samples say when their count began. */
  readonly startTimesKernel: RangeKernel | undefined;
  readonly input: RangeVector;
  readonly grid: Grid;
  readonly params: readonly Float64Array[];
  readonly keepsName: boolean;
  readonly report: RangeReport;
  /** Told the labels of each series that gave a result. */
  readonly onResult: ((labels: Labels) => void) | null;
}

export async function applyRangeFunction(
  application: RangeApplication,
  budget: Budget,
): Promise<Columns> {
  const { kernel, startTimesKernel, input, grid, params, report } = application;
  const steps = grid.count;
  const out = budget.allocate(input.series.length, steps);
  const call = new RangeCall({
    refs: input.refs,
    evalTimes: grid,
    rangeMs: input.rangeMs,
    params,
    report,
  });
  call.out = out.values;
  call.present = out.present;
  const finder = new WindowFinder(input.refs, input.rangeMs);
  const around = outerFinder(input, input.refs);
  let rows = 0;
  for (const series of input.series) {
    const { samples, shared } = denseSamples(series);
    const windows = finder.find(samples, shared);
    call.times = samples.times;
    call.values = samples.values;
    call.from = samples.from;
    call.to = samples.to;
    call.lo = windows.lo;
    call.hi = windows.hi;
    call.base = rows * steps;
    let looked = windows;
    if (around !== null) {
      looked = around.find(samples, shared);
      call.outerLo = looked.lo;
      call.outerHi = looked.hi;
    }
    const { total } = looked;
    if (samples.startTimes !== undefined && startTimesKernel !== undefined) {
      call.startTimes = samples.startTimes;
      call.startsOverlap = false;
      if (total > 0) startTimesKernel(call);
      if (call.startsOverlap) report.overlappingStarts(series.labels);
    } else if (total > 0) kernel(call);
    budget.tally.addWindows(looked);
    if (hasResult(out.present, call.base, steps)) {
      out.labels[rows++] = series.labels;
      application.onResult?.(series.labels);
    }
    if (budget.due(total + steps * 4 + 50)) await budget.pause();
  }
  truncateRows(out, rows);
  if (application.keepsName) return budget.settle(out);
  return budget.settle(await dropNamesStrictly(out, budget));
}

/** Finds the windows and what may count around them; null where nothing does. */
export function outerFinder(input: RangeVector, refs: Grid): WindowFinder | null {
  const { extension, lookbackMs, rangeMs } = input;
  if (extension === null) return null;
  const after = extension === 'smoothed' ? lookbackMs : 0;
  return new WindowFinder({ ...refs, start: refs.start + after }, rangeMs + lookbackMs + after);
}

/**
 * Unlike elsewhere, two series that differ in name only are refused even where they share no step.
 */
async function dropNamesStrictly(columns: Columns, budget: Budget): Promise<Columns> {
  const before = columns.labels.length;
  const merged = await dropNames(columns, budget);
  if (merged.labels.length < before) throw new CanopyError('execution', SAME_LABELSET);
  return merged;
}

function hasResult(present: Uint8Array, base: number, steps: number): boolean {
  for (let k = 0; k < steps; k++) if (present[base + k] !== 0) return true;
  return false;
}

/** Columns as series again: what a subquery hands to a function. */
export function seriesOfColumns(columns: Columns, grid: Grid): SelectedSeries[] {
  const { steps, labels, values, present } = columns;
  const times = new Float64Array(steps);
  for (let k = 0; k < steps; k++) times[k] = grid.start + k * grid.step;
  return labels.map((own: Labels, row) => {
    const states = present.subarray(row * steps, (row + 1) * steps);
    return {
      labels: own,
      family: undefined,
      times,
      values: values.subarray(row * steps, (row + 1) * steps),
      // Presence is spelt as SampleState's `none` and `value`.
      states: countPresent(states) === steps ? null : states,
      from: 0,
      to: steps,
    };
  });
}
