/**
 * One target with 10,000 series, a fifth of them changed between scrapes: from bytes to a frame.
 * `npx tsx packages/scrape/bench/target-series.bench.ts [series]`
 */
import { NO_LABELS, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { compileRelabel } from '../src/relabel.js';
import { StringPool } from '../src/series-table.js';
import { TargetSeries } from '../src/target-series.js';
import { scrapeConfig } from '../src/testing/index.js';

const count = Number(process.argv[2] ?? 10_000);
const scrapes = 10;

function body(round: number): Buffer {
  let text = '# TYPE http_requests_total counter\n';
  for (let n = 0; n < count; n++) {
    const value = n % 5 === 0 ? 1000 + n + round : 1000 + n;
    text += `http_requests_total{method="GET",handler="/api/v1/things/${n}",code="200",zone="eu-west-1a",pool="p${n % 7}"} ${value}\n`;
  }
  return Buffer.from(text);
}

/** A journal that only takes: its cost is another bench's matter. */
const journal = {
  id: '0'.repeat(32) as never,
  countRefused: () => {},
  countMissed: () => {},
  countLeftOut: () => {},
  expectScrapes: async () => {},
  flush: async () => {},
  openGroup: () => {
    let slots = 0;
    return {
      get slotCount() {
        return slots;
      },
      addFamily: () => 0,
      addSlot: () => slots++,
      write: () => {},
      writeLoose: () => {},
      rebase: () => new Int32Array(slots),
      retype: () => {},
      close: () => {},
    };
  },
};

const config = scrapeConfig();
const pool = new StringPool();

function makeSeries(instance: string): TargetSeries {
  return new TargetSeries({
    target: {
      jobName: 'test',
      discoveredLabels: NO_LABELS,
      labels: labelsFromObject({ instance, job: 'test' }),
      url: `http://${instance}/metrics`,
      interval: asDuration(15_000),
      timeout: asDuration(10_000),
    },
    config,
    journal,
    externalLabels: labelsFromObject({ cluster: 'east' }),
    metricRelabel: compileRelabel([]),
    pool,
    seriesMax: 10 * count,
    enforcedLabels: [],
  });
}

/** Milliseconds of one scrape, in its two steps. */
function scrapeOnce(series: TargetSeries, round: number): { parse: number; write: number } {
  const start = performance.now();
  const columns = series.parse(bodies[round]);
  const parsed = performance.now();
  const report = {
    durationSeconds: 0,
    samplesScraped: count,
    samplesKept: count,
    seriesAdded: 0,
    bodyBytes: 0,
  };
  const time = asTime(round * 15_000 + 1);
  series.write(time, time, columns, { up: 1, ...report });
  return { parse: parsed - start, write: performance.now() - parsed };
}

const bodies = Array.from({ length: scrapes }, (_, round) => body(round));
// The machine code for it is there after a few targets.
const targets = Array.from({ length: 6 }, (_, i) => makeSeries(`a:${i}`));
const firsts = targets.map((series) => scrapeOnce(series, 0)).slice(-3);
const again = targets
  .map((series) => bodies.map((_, round) => scrapeOnce(series, round)).slice(1))
  .slice(-3)
  .flat();

/** The median: other work on the machine does not count. Nanoseconds a sample. */
const median = (ms: number[]): number =>
  (ms.toSorted((a, b) => a - b)[Math.floor(ms.length / 2)] * 1e6) / count;
const parse = median(again.map((took) => took.parse));
const write = median(again.map((took) => took.write));
console.log(`series of a target           ${count}`);
console.log(
  `first scrape                 ${median(firsts.map((t) => t.parse + t.write)).toFixed(0)} ns a sample`,
);
console.log(`again: body to columns       ${parse.toFixed(1)} ns a sample`);
console.log(`again: columns to a frame    ${write.toFixed(1)} ns a sample`);
console.log(`write / parse                ${(write / parse).toFixed(2)}`);
