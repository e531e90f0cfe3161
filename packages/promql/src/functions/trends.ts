/** deriv, predict_linear, double_exponential_smoothing (Prometheus promql/functions.go). */
import { CanopyError } from '@canopy/model';
import { KahanSum } from './kahan.js';
import type { RangeCall, RangeKernel } from './range-kernel.js';

interface Line {
  readonly slope: number;
  readonly intercept: number;
}

/** Least squares; the intercept is the value at `originTime` (ms), the slope is per second. */
function linearRegression(
  times: Float64Array,
  values: Float64Array,
  lo: number,
  hi: number,
  originTime: number,
): Line {
  const sumX = new KahanSum();
  const sumY = new KahanSum();
  const sumXY = new KahanSum();
  const sumX2 = new KahanSum();
  const first = values[lo];
  let constant = true;
  for (let i = lo; i < hi; i++) {
    const y = values[i];
    if (constant && i > lo && y !== first) constant = false;
    const x = (times[i] - originTime) / 1000;
    sumX.add(x);
    sumY.add(y);
    sumXY.add(x * y);
    sumX2.add(x * x);
  }
  if (constant) {
    if (Math.abs(first) === Number.POSITIVE_INFINITY) {
      return { slope: Number.NaN, intercept: Number.NaN };
    }
    return { slope: 0, intercept: first };
  }
  const n = hi - lo;
  const x = sumX.total;
  const y = sumY.total;
  const covariance = sumXY.total - (x * y) / n;
  const variance = sumX2.total - (x * x) / n;
  const slope = covariance / variance;
  return { slope, intercept: y / n - (slope * x) / n };
}

function deriv(call: RangeCall): void {
  const { times, values, lo, hi } = call;
  for (let k = 0; k < call.steps; k++) {
    if (hi[k] - lo[k] < 2) continue;
    call.put(k, linearRegression(times, values, lo[k], hi[k], times[lo[k]]).slope);
  }
}

function predictLinear(call: RangeCall): void {
  const { times, values, lo, hi, evalTimes } = call;
  const seconds = call.params[0];
  for (let k = 0; k < call.steps; k++) {
    if (hi[k] - lo[k] < 2) continue;
    const now = evalTimes.start + k * evalTimes.step;
    const line = linearRegression(times, values, lo[k], hi[k], now);
    call.put(k, line.slope * seconds[k] + line.intercept);
  }
}

function checkFactor(what: string, letters: string, factor: number): void {
  if (factor > 0 && factor < 1) return;
  throw new CanopyError(
    'execution',
    `invalid ${what} factor. Expected: 0 < ${letters} < 1, got: ${factor.toFixed(6)}`,
  );
}

/** Holt's linear method. */
function doubleExponentialSmoothing(call: RangeCall): void {
  const { values, lo, hi } = call;
  for (let k = 0; k < call.steps; k++) {
    if (hi[k] <= lo[k]) continue;
    const smoothing = call.params[0][k];
    const trendFactor = call.params[1][k];
    checkFactor('smoothing', 'sf', smoothing);
    checkFactor('trend', 'tf', trendFactor);
    if (hi[k] - lo[k] < 2) continue;
    let before = 0;
    let smoothed = values[lo[k]];
    let trend = values[lo[k] + 1] - smoothed;
    for (let i = lo[k] + 1; i < hi[k]; i++) {
      if (i > lo[k] + 1) trend = trendFactor * (smoothed - before) + (1 - trendFactor) * trend;
      const next = smoothing * values[i] + (1 - smoothing) * (smoothed + trend);
      before = smoothed;
      smoothed = next;
    }
    call.put(k, smoothed);
  }
}

export const TREND_KERNELS: Readonly<Record<string, RangeKernel>> = {
  deriv,
  predict_linear: predictLinear,
  double_exponential_smoothing: doubleExponentialSmoothing,
};
