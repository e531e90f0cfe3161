/** histogram_quantile, histogram_quantiles and histogram_fraction over rows with a label `le`. */
import { type Labels, METRIC_NAME, labelValue, labelsKey } from '@canopy/model';
import type { Annotations, MonotonicityFix } from '../eval/annotations.js';
import { type Budget, LABELS_WORK } from '../eval/budget.js';
import { type Columns, dropEmptyRows } from '../eval/columns.js';
import type { Grid } from '../eval/grid.js';
import { losingName, mergeRows, removeLabels, withLabel } from '../eval/labels.js';
import { formatFloat } from '../float.js';
import { parseFloatLabel } from '../syntax/numbers.js';
import { type Buckets, bucketFraction, bucketQuantile } from './buckets.js';
import { isQuantile } from './quantile.js';

const BUCKET_LABEL = 'le';
const LE = new Set([BUCKET_LABEL]);
const LE_AND_NAME = new Set([BUCKET_LABEL, METRIC_NAME]);

/** The buckets of one histogram: rows by ascending bound. */
interface Histogram {
  readonly labels: Labels;
  readonly rows: number[];
  readonly bounds: number[];
}

/** Rows without a usable `le` are left out, with a warning at `at`. */
async function groupBuckets(
  input: Columns,
  annotations: Annotations,
  at: number,
  budget: Budget,
): Promise<Histogram[]> {
  const byKey = new Map<string, Histogram>();
  for (let row = 0; row < input.labels.length; row++) {
    if (budget.due(LABELS_WORK)) await budget.pause();
    const labels = input.labels[row];
    const le = labelValue(labels, BUCKET_LABEL);
    const bound = parseFloatLabel(le);
    if (bound === undefined) {
      annotations.badBucketLabel(labelValue(labels, METRIC_NAME), le, at);
      continue;
    }
    // Histograms of two names are two, though the result loses its name.
    const key = labelsKey(removeLabels(labels, LE));
    let histogram = byKey.get(key);
    if (histogram === undefined) {
      const own = budget.rules.delayedNameRemoval
        ? losingName(removeLabels(labels, LE))
        : removeLabels(labels, LE_AND_NAME);
      histogram = { labels: own, rows: [], bounds: [] };
      byKey.set(key, histogram);
    }
    histogram.rows.push(row);
    histogram.bounds.push(bound);
  }
  const histograms = [...byKey.values()];
  for (const histogram of histograms) sortBuckets(histogram);
  return histograms;
}

function sortBuckets(histogram: Histogram): void {
  const order = histogram.bounds.map((_bound, i) => i);
  order.sort((a, b) => histogram.bounds[a] - histogram.bounds[b] || 0);
  const rows = order.map((i) => histogram.rows[i]);
  const bounds = order.map((i) => histogram.bounds[i]);
  for (let i = 0; i < order.length; i++) {
    histogram.rows[i] = rows[i];
    histogram.bounds[i] = bounds[i];
  }
}

/** Runs `work` for each histogram and step that has buckets; its result is the value. */
async function eachHistogram(
  input: Columns,
  histograms: readonly Histogram[],
  out: Columns,
  firstRow: number,
  budget: Budget,
  work: (buckets: Buckets, step: number, histogram: Histogram) => number,
): Promise<void> {
  const { steps, values, present } = input;
  const buckets: Buckets = { bounds: [], counts: [] };
  for (let i = 0; i < histograms.length; i++) {
    const histogram = histograms[i];
    const to = (firstRow + i) * steps;
    for (let k = 0; k < steps; k++) {
      buckets.bounds.length = 0;
      buckets.counts.length = 0;
      for (let b = 0; b < histogram.rows.length; b++) {
        const at = histogram.rows[b] * steps + k;
        if (present[at] === 0) continue;
        buckets.bounds.push(histogram.bounds[b]);
        buckets.counts.push(values[at]);
      }
      if (buckets.bounds.length === 0) continue;
      out.values[to + k] = work(buckets, k, histogram);
      out.present[to + k] = 1;
    }
    if (budget.due(histogram.rows.length * steps * 20)) await budget.pause();
  }
}

/** What the functions share. */
export interface HistogramContext {
  readonly input: Columns;
  readonly grid: Grid;
  readonly budget: Budget;
  readonly annotations: Annotations;
  /** Place of the vector argument in the text. */
  readonly vectorAt: number;
}

/** A quantile for each `qs` (values by step); more than one carry it in a label. */
export async function histogramQuantiles(
  context: HistogramContext,
  qs: ReadonlyArray<{ readonly byStep: Float64Array; readonly at: number }>,
  label: string | null,
): Promise<Columns> {
  const { input, grid, budget, annotations, vectorAt } = context;
  for (const { byStep, at } of qs) {
    for (const q of byStep) if (!isQuantile(q)) annotations.invalidQuantile(q, at);
  }
  const histograms = await groupBuckets(input, annotations, vectorAt, budget);
  const out = budget.allocate(histograms.length * qs.length, input.steps);
  const fix: MonotonicityFix = {
    samples: 0,
    minTime: Number.POSITIVE_INFINITY,
    maxTime: Number.NEGATIVE_INFINITY,
    minBucket: Number.POSITIVE_INFINITY,
    maxBucket: Number.NEGATIVE_INFINITY,
    maxDifference: 0,
  };
  for (const [n, { byStep }] of qs.entries()) {
    const firstRow = n * histograms.length;
    histograms.forEach((histogram, i) => {
      out.labels[firstRow + i] =
        label === null
          ? histogram.labels
          : withLabel(histogram.labels, label, formatFloat(byStep[0]));
    });
    await eachHistogram(input, histograms, out, firstRow, budget, (buckets, k) => {
      const result = bucketQuantile(byStep[k], buckets);
      if (result.fix !== null) noteFix(fix, result.fix, grid.start + k * grid.step);
      return result.value;
    });
  }
  if (fix.samples > 0) annotations.forcedMonotonicity('', fix, vectorAt);
  return mergeRows(dropEmptyRows(out), budget);
}

function noteFix(
  all: MonotonicityFix,
  one: { minBucket: number; maxBucket: number; maxDifference: number },
  time: number,
): void {
  all.samples++;
  all.minTime = Math.min(all.minTime, time);
  all.maxTime = Math.max(all.maxTime, time);
  all.minBucket = Math.min(all.minBucket, one.minBucket);
  all.maxBucket = Math.max(all.maxBucket, one.maxBucket);
  all.maxDifference = Math.max(all.maxDifference, one.maxDifference);
}

export async function histogramFraction(
  context: HistogramContext,
  lower: Float64Array,
  upper: Float64Array,
): Promise<Columns> {
  const { input, budget, annotations, vectorAt } = context;
  const histograms = await groupBuckets(input, annotations, vectorAt, budget);
  const out = budget.allocate(histograms.length, input.steps);
  out.labels = histograms.map((histogram) => histogram.labels);
  await eachHistogram(input, histograms, out, 0, budget, (buckets, k) =>
    bucketFraction(lower[k], upper[k], buckets),
  );
  return mergeRows(dropEmptyRows(out), budget);
}
