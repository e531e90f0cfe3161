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
const scrapes = 40;

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
      close: () => {},
    };
  },
};

const config = scrapeConfig();
const series = new TargetSeries({
  target: {
    jobName: 'test',
    discoveredLabels: NO_LABELS,
    labels: labelsFromObject({ instance: 'a:1', job: 'test' }),
    url: 'http://a:1/metrics',
    interval: asDuration(15_000),
    timeout: asDuration(10_000),
  },
  config,
  journal,
  externalLabels: labelsFromObject({ cluster: 'east' }),
  metricRelabel: compileRelabel([]),
  pool: new StringPool(),
  seriesMax: 10 * count,
});

const bodies = Array.from({ length: scrapes }, (_, round) => body(round));
const took = { first: 0, parse: 0, write: 0 };
for (let round = 0; round < scrapes; round++) {
  const start = performance.now();
  const columns = series.parse(bodies[round]);
  const parsed = performance.now();
  const report = { durationSeconds: 0, samplesScraped: count, samplesKept: count, seriesAdded: 0 };
  const time = asTime(round * 15_000 + 1);
  series.write(time, time, columns, { up: 1, ...report });
  const written = performance.now();
  if (round === 0) took.first = written - start;
  else if (round > scrapes / 2) {
    took.parse += parsed - start;
    took.write += written - parsed;
  }
}
const measured = scrapes - 1 - Math.floor(scrapes / 2);
const perSample = (ms: number, rounds: number): string => ((ms * 1e6) / rounds / count).toFixed(1);
console.log(`series                       ${count}`);
console.log(`first scrape                 ${perSample(took.first, 1)} ns a sample`);
console.log(`again: parse                 ${perSample(took.parse, measured)} ns a sample`);
console.log(`again: columns to a frame    ${perSample(took.write, measured)} ns a sample`);
console.log(`write / parse                ${(took.write / took.parse).toFixed(2)}`);
