/**
 * Queries over 5,000 series of 100 groups, an hour at 15 s: `npx tsx -C canopy-source
 * packages/promql/bench/engine.bench.ts [series]`. Times are medians; `ns` is per series and step. The rival
 * works out rate the plain way: each series and step by itself, samples as objects.
 */
import { type Labels, type QueryResult, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { MemoryQueryable } from '../src/testing/memory.js';
import { testEngine } from '../src/testing/options.js';

const SERIES = Number(process.argv[2] ?? 5000);
const GROUPS = 100;
const SAMPLES = 241;
const INTERVAL = 15_000;
const END = (SAMPLES - 1) * INTERVAL;

interface Point {
  readonly time: number;
  readonly value: number;
}

const queryable = new MemoryQueryable();
const objects: Point[][] = [];
const BOUNDS = ['0.1', '0.5', '1', '5', '+Inf'];

for (let group = 0; group < GROUPS; group++) {
  const times = Float64Array.from({ length: SAMPLES }, (_zero, i) => i * INTERVAL);
  for (let i = 0; i < SERIES / GROUPS; i++) {
    const values = Float64Array.from(times, (time, k) => (time / 1000) * (i + 1) + (k % 7));
    const labels = (name: string, extra: Record<string, string>): Labels =>
      labelsFromObject({
        __name__: name,
        job: `job${group % 10}`,
        instance: `host${group}`,
        ...extra,
      });
    queryable.addColumns(labels('work_total', { worker: String(i) }), times, values);
    const le = BOUNDS[i % BOUNDS.length];
    const worker = String(Math.floor(i / BOUNDS.length));
    const counts = Float64Array.from(times, (_time, k) => k * (1 + (i % BOUNDS.length)));
    queryable.addColumns(labels('wait_bucket', { worker, le }), times, counts);
    objects.push([...times].map((time, k) => ({ time, value: values[k] })));
  }
}

const engine = testEngine(queryable);
const STEP = 60_000;
const STEPS = END / STEP + 1;

const range = (query: string) => (): Promise<QueryResult> =>
  engine.range(query, asTime(0), asTime(END), asDuration(STEP));
const instant = (query: string) => (): Promise<QueryResult> => engine.instant(query, asTime(END));

/** rate(x[5m]) at all steps, the plain way. */
async function plainRate(): Promise<void> {
  const results: Point[][] = [];
  for (const points of objects) {
    const result: Point[] = [];
    for (let time = 0; time <= END; time += STEP) {
      const window = points.filter((point) => point.time > time - 300_000 && point.time <= time);
      if (window.length < 2) continue;
      let change = window.at(-1)!.value - window[0].value;
      for (let i = 1; i < window.length; i++) {
        if (window[i].value < window[i - 1].value) change += window[i - 1].value;
      }
      result.push({ time, value: change / 300 });
    }
    results.push(result);
  }
  if (results.length !== objects.length) throw new Error('BUG: a series is missing');
}

const CASES: ReadonlyArray<readonly [name: string, steps: number, run: () => Promise<unknown>]> = [
  ['rival: plain rate', STEPS, plainRate],
  ['range   work_total', STEPS, range('work_total')],
  ['range   rate(work_total[5m])', STEPS, range('rate(work_total[5m])')],
  [
    'range   sum by (job) (rate(work_total[5m]))',
    STEPS,
    range('sum by (job) (rate(work_total[5m]))'),
  ],
  [
    'range   histogram_quantile(0.9, sum by (le, job) (rate(wait_bucket[5m])))',
    STEPS,
    range('histogram_quantile(0.9, sum by (le, job) (rate(wait_bucket[5m])))'),
  ],
  [
    'range   histogram_quantile(0.9, rate(wait_bucket[5m]))',
    STEPS,
    range('histogram_quantile(0.9, rate(wait_bucket[5m]))'),
  ],
  ['range   topk(5, work_total)', STEPS, range('topk(5, work_total)')],
  ['range   max_over_time(work_total[5m])', STEPS, range('max_over_time(work_total[5m])')],
  [
    'range   work_total / on (job, instance, worker) work_total',
    STEPS,
    range('work_total / on (job, instance, worker) work_total'),
  ],
  [
    'range   max_over_time(rate(work_total[1m])[5m:1m])',
    STEPS,
    range('max_over_time(rate(work_total[1m])[5m:1m])'),
  ],
  ['instant work_total', 1, instant('work_total')],
  [
    'instant sum by (job) (rate(work_total[5m]))',
    1,
    instant('sum by (job) (rate(work_total[5m]))'),
  ],
  [
    'instant histogram_quantile(0.9, sum by (le, job) (rate(wait_bucket[5m])))',
    1,
    instant('histogram_quantile(0.9, sum by (le, job) (rate(wait_bucket[5m])))'),
  ],
  ['instant count({__name__!=""})', 1, instant('count({__name__!=""})')],
];

const ROUNDS = Number(process.env.CANOPY_BENCH_ROUNDS ?? 7);
const taken = CASES.map((): number[] => []);
for (let round = 0; round <= ROUNDS; round++) {
  for (let i = 0; i < CASES.length; i++) {
    const began = performance.now();
    await CASES[i][2]();
    // The first round warms up.
    if (round > 0) taken[i].push(performance.now() - began);
  }
}
const medians = taken.map((times) => times.sort((a, b) => a - b)[times.length >> 1]);
console.log(`${SERIES} series a metric, ${STEPS} steps, median of ${ROUNDS}`);
CASES.forEach(([name, steps], i) => {
  const nanoseconds = (medians[i] * 1e6) / SERIES / steps;
  const ratio =
    i === 2 ? `, ${(medians[0] / medians[i]).toFixed(1)} times as fast as the rival` : '';
  console.log(
    `${medians[i].toFixed(1).padStart(8)} ms ${nanoseconds.toFixed(0).padStart(6)} ns  ${name}${ratio}`,
  );
});
