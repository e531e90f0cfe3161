/**
 * Samples for the queries of prometheus/compliance: the metrics of its demo service from three instances,
 * as functions of a seed, with restarts (counter resets), pauses, stale marks and NaNs.
 */
import { seededRandom } from '../../packages/promql/src/testing/random-query.js';

export interface DemoSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds, ascending. */
  readonly times: number[];
  /** `STALE` for Prometheus's stale mark. */
  readonly values: number[];
}

export const STALE = Symbol.for('stale') as unknown as number;

const INSTANCES = ['demo.promlabs.com:10000', 'demo.promlabs.com:10001', 'demo.promlabs.com:10002'];
const STEP = 5000;
/** Samples lie between whole seconds, where versions 2 and 3 agree on what a range holds. */
const PHASE = 321;

type Draw = (step: number, before: number) => number;

export function demoSeries(startSeconds: number, steps: number, seed: number): DemoSeries[] {
  const next = seededRandom(seed);
  const all: DemoSeries[] = [];
  const add = (
    name: string,
    instance: string,
    labels: Record<string, string>,
    draw: Draw,
  ): void => {
    const series: DemoSeries = {
      labels: { __name__: name, instance, job: 'demo', ...labels },
      times: [],
      values: [],
    };
    let value = Number.NaN;
    for (let step = 0; step < steps; step++) {
      const drawn = draw(step, value);
      if (drawn === undefined) continue;
      series.times.push(startSeconds * 1000 + step * STEP + PHASE);
      series.values.push(drawn);
      if (drawn !== STALE) value = drawn;
    }
    all.push(series);
  };
  const counter = (pace: number): Draw => {
    const restart = Math.floor(next() * steps * 2);
    return (step, before) =>
      step === 0 || step === restart ? 0 : before + Math.floor(next() * pace * 100) / 100;
  };
  const walk =
    (start: number, stride: number): Draw =>
    (step, before) =>
      step === 0 ? start : before + (next() - 0.5) * stride;
  for (const instance of INSTANCES) addInstance(instance, add, counter, walk, next);
  return all;
}

function addInstance(
  instance: string,
  add: (name: string, instance: string, labels: Record<string, string>, draw: Draw) => void,
  counter: (pace: number) => Draw,
  walk: (start: number, stride: number) => Draw,
  next: () => number,
): void {
  // No two instances have equal values: which of them topk shows would be a matter of order.
  const number = INSTANCES.indexOf(instance);
  for (const type of ['used', 'free', 'cached', 'buffers']) {
    add('demo_memory_usage_bytes', instance, { type }, walk(2 ** 30 * (1 + next()), 1e7));
  }
  add('demo_num_cpus', instance, {}, () => 4 + number);
  for (const mode of ['user', 'system', 'idle']) {
    add('demo_cpu_usage_seconds_total', instance, { mode }, counter(4));
  }
  add('demo_disk_usage_bytes', instance, {}, walk(1e11, 1e8));
  add('demo_disk_total_bytes', instance, {}, () => 2.5e11);
  add('demo_batch_last_run_duration_seconds', instance, {}, walk(40, 10));
  // At times that are no multiples of anything.
  add(
    'demo_batch_last_success_timestamp_seconds',
    instance,
    {},
    (step) => 1_700_000_000.25 + 60 * Math.floor(step / 12),
  );
  add('demo_items_shipped_total', instance, {}, counter(30));
  add('demo_is_holiday', instance, {}, (step) => (step % 100 > 90 ? 1 : 0) + number / 8);
  add('demo_intermittent_metric', instance, {}, (step) => {
    const phase = step % 60;
    if (phase === 40) return STALE;
    return (phase > 40 ? undefined : phase + number / 8) as number;
  });
  add('demo_odd_values', instance, {}, (step) =>
    step % 50 === 7 + number
      ? Number.NaN
      : step % 50 === 17 + number
        ? Number.POSITIVE_INFINITY
        : step + number / 8,
  );
  for (const [method, status] of [
    ['GET', '200'],
    ['GET', '500'],
    ['POST', '200'],
  ]) {
    const labels = { method, status, path: '/api/foo' };
    addHistogram(instance, labels, add, next);
  }
}

const BOUNDS = ['0.0001', '0.001', '0.01', '0.1', '1', '+Inf'];

/** Cumulative buckets that fit each other, with their sum and count. */
function addHistogram(
  instance: string,
  labels: Record<string, string>,
  add: (name: string, instance: string, labels: Record<string, string>, draw: Draw) => void,
  next: () => number,
): void {
  const paces = BOUNDS.map(() => next() * 10);
  const each: number[][] = BOUNDS.map(() => []);
  const upTo = (bucket: number, step: number): number => {
    const counts = each[bucket];
    while (counts.length <= step) {
      counts.push((counts.at(-1) ?? 0) + Math.floor(next() * paces[bucket]));
    }
    return bucket === 0 ? counts[step] : counts[step] + upTo(bucket - 1, step);
  };
  const name = 'demo_api_request_duration_seconds';
  BOUNDS.forEach((le, bucket) => {
    add(`${name}_bucket`, instance, { ...labels, le }, (step) => upTo(bucket, step));
  });
  add(`${name}_count`, instance, labels, (step) => upTo(BOUNDS.length - 1, step));
  add(`${name}_sum`, instance, labels, (step) => upTo(BOUNDS.length - 1, step) * 0.0371);
}
