/** From loaded series to columns: the newest sample at each step. */
import type { Labels, SelectedSeries } from '@canopy/model';
import { interpolated } from '../functions/extended.js';
import type { Budget } from './budget.js';
import { type Columns, truncateRows } from './columns.js';
import type { Grid } from './grid.js';
import { LatestFinder, WindowFinder, denseSamples } from './windows.js';

/** What of a sample: its value, or in seconds its time or when its count began. */
export type SampleFact = 'value' | 'time' | 'start';

const columnOf = (series: SelectedSeries, what: SampleFact): Float64Array | undefined =>
  what === 'value' ? series.values : what === 'time' ? series.times : series.startTimes;

/** A vector selector's series at the steps of `refs`. */
export async function selectLatest(
  series: readonly SelectedSeries[],
  refs: Grid,
  lookbackMs: number,
  what: SampleFact,
  budget: Budget,
): Promise<Columns> {
  const steps = refs.count;
  const out = budget.allocate(series.length, steps);
  const finder = new LatestFinder(refs, lookbackMs);
  let rows = 0;
  for (const one of series) {
    const latest = finder.find(one);
    const column = columnOf(one, what);
    const base = rows * steps;
    let found = 0;
    for (let k = 0; k < steps; k++) {
      const at = latest[k];
      if (at < 0) continue;
      const fact = column === undefined ? 0 : column[at];
      out.values[base + k] = what === 'value' ? fact : fact / 1000;
      out.present[base + k] = 1;
      found++;
    }
    if (found > 0) {
      out.labels[rows++] = one.labels as Labels;
      budget.tally.addRow(out, rows - 1, found);
    }
    if (budget.due(steps * 4 + 50)) await budget.pause();
  }
  truncateRows(out, rows);
  return budget.settle(out);
}

/**
 * A `smoothed` selector at the steps of `refs`: on the line between the samples before and after
 * each; the last one where none comes after. Stale marks are no ends here.
 */
export async function selectSmoothed(
  series: readonly SelectedSeries[],
  refs: Grid,
  lookbackMs: number,
  budget: Budget,
): Promise<Columns> {
  const steps = refs.count;
  const out = budget.allocate(series.length, steps);
  const before = new WindowFinder(refs, lookbackMs);
  const around = new WindowFinder({ ...refs, start: refs.start + lookbackMs }, 2 * lookbackMs);
  let rows = 0;
  for (const one of series) {
    const { samples, shared } = denseSamples(one);
    const { lo, hi } = before.find(samples, shared);
    const outer = around.find(samples, shared);
    const base = rows * steps;
    let found = 0;
    for (let k = 0; k < steps; k++) {
      if (hi[k] <= lo[k]) continue;
      const last = hi[k] - 1;
      const time = refs.start + k * refs.step;
      const isBetween = samples.times[last] < time && hi[k] < outer.hi[k];
      out.values[base + k] = isBetween
        ? interpolated(samples, last, time, false)
        : samples.values[last];
      out.present[base + k] = 1;
      found++;
    }
    if (found > 0) out.labels[rows++] = one.labels as Labels;
    budget.tally.addWindows(outer);
    if (budget.due(steps * 8 + 50)) await budget.pause();
  }
  truncateRows(out, rows);
  return budget.settle(out);
}
