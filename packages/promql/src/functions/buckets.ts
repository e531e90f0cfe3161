/**
 * Classic histograms: quantiles and fractions of cumulative buckets (Prometheus
 * promql/quantile.go).
 */

/**
 * One histogram at one step: bounds ascend; `counts` are cumulative. Both are scratch, changed in
 * place.
 */
export interface Buckets {
  bounds: number[];
  counts: number[];
}

/** Relative differences between neighbouring counts up to this are rounding, not observations. */
const SMALL_DELTA_TOLERANCE = 1e-12;

export interface BucketQuantile {
  readonly value: number;
  /** Set where counts had to be raised to make them ascend. */
  readonly fix: { minBucket: number; maxBucket: number; maxDifference: number } | null;
}

const quantile = (value: number): BucketQuantile => ({ value, fix: null });

/** Interpolates within the bucket the quantile falls into. */
export function bucketQuantile(q: number, buckets: Buckets): BucketQuantile {
  if (Number.isNaN(q)) return quantile(Number.NaN);
  if (q < 0) return quantile(Number.NEGATIVE_INFINITY);
  if (q > 1) return quantile(Number.POSITIVE_INFINITY);
  if (buckets.bounds.at(-1) !== Number.POSITIVE_INFINITY) return quantile(Number.NaN);
  coalesce(buckets);
  const fix = makeMonotonic(buckets);
  const { bounds, counts } = buckets;
  const last = bounds.length - 1;
  if (last < 1) return quantile(Number.NaN);
  const observations = counts[last];
  if (observations === 0) return quantile(Number.NaN);
  let rank = q * observations;
  let at = 0;
  while (at < last && !(counts[at] >= rank)) at++;
  if (at === last) return { value: bounds[last - 1], fix };
  if (at === 0 && bounds[0] <= 0) return { value: bounds[0], fix };
  let start = 0;
  let count = counts[at];
  if (at > 0) {
    start = bounds[at - 1];
    count -= counts[at - 1];
    rank -= counts[at - 1];
  }
  return { value: start + (bounds[at] - start) * (rank / count), fix };
}

/** The share of observations between two values. */
export function bucketFraction(lower: number, upper: number, buckets: Buckets): number {
  if (buckets.bounds.at(-1) !== Number.POSITIVE_INFINITY) return Number.NaN;
  coalesce(buckets);
  const total = buckets.counts.at(-1)!;
  if (total === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return Number.NaN;
  if (lower >= upper) return 0;
  return (rankOf(upper, buckets, total) - rankOf(lower, buckets, total)) / total;
}

/**
 * Observations below `value`, interpolated. The first bucket starts at 0 where its bound is
 * positive.
 * Buckets without an end cannot be interpolated: of a last one nothing counts, of a first one all.
 */
function rankOf(value: number, { bounds, counts }: Buckets, total: number): number {
  let below = 0;
  for (let i = 0; i < bounds.length; i++) {
    const first = bounds[0] > 0 ? 0 : Number.NEGATIVE_INFINITY;
    const lower = i === 0 ? first : bounds[i - 1];
    if (lower >= value) return Math.min(below, total);
    if (bounds[i] > value) {
      if (lower === Number.NEGATIVE_INFINITY) return Math.min(counts[i], total);
      const rank = below + ((counts[i] - below) * (value - lower)) / (bounds[i] - lower);
      return rank > total ? total : rank;
    }
    below = counts[i];
  }
  return total;
}

/** Buckets of the same bound (`1`, `1.0`) are added up. */
function coalesce({ bounds, counts }: Buckets): void {
  let kept = 0;
  for (let i = 1; i < bounds.length; i++) {
    if (bounds[i] === bounds[kept]) counts[kept] += counts[i];
    else {
      kept++;
      bounds[kept] = bounds[i];
      counts[kept] = counts[i];
    }
  }
  bounds.length = kept + 1;
  counts.length = kept + 1;
}

/** Evens out rounding, then raises counts that go down to the highest before them. */
function makeMonotonic({ bounds, counts }: Buckets): BucketQuantile['fix'] {
  let fix: BucketQuantile['fix'] = null;
  let previous = counts[0];
  for (let i = 1; i < counts.length; i++) {
    const current = counts[i];
    if (current === previous) continue;
    if (almostEqual(previous, current)) {
      counts[i] = previous;
    } else if (current < previous) {
      fix ??= { minBucket: bounds[i], maxBucket: bounds[i], maxDifference: 0 };
      fix.minBucket = Math.min(fix.minBucket, bounds[i]);
      fix.maxBucket = Math.max(fix.maxBucket, bounds[i]);
      fix.maxDifference = Math.max(fix.maxDifference, previous - current);
      counts[i] = previous;
    } else {
      previous = current;
    }
  }
  return fix;
}

function almostEqual(a: number, b: number): boolean {
  const difference = Math.abs(a - b);
  const sum = Math.abs(a) + Math.abs(b);
  if (a === 0 || b === 0 || sum < Number.MIN_VALUE) {
    return difference < SMALL_DELTA_TOLERANCE * Number.MIN_VALUE;
  }
  return difference / Math.min(sum, Number.MAX_VALUE) < SMALL_DELTA_TOLERANCE;
}
