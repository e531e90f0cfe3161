/**
 * Random exporters against the rules of staleness written down naively: what each series must have
 * at each scrape, whatever slots and layouts are used to say it.
 */
import { NO_LABELS, asDuration, asTime } from '@canopy/model';
import { expect, test } from 'vitest';
import { compileRelabel } from './relabel.js';
import { SeriesTable, StringPool } from './series-table.js';
import { TargetSeries } from './target-series.js';
import { RecordingJournal, relabelConfig, scrapeConfig } from './testing/index.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 100);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function runOnce(seed: number): void {
  const random = randomOf(seed);
  const journal = new RecordingJournal();
  const config = scrapeConfig({
    metricRelabelConfigs: [
      relabelConfig({ sourceLabels: ['n'], regex: '.*7', action: 'drop' }),
      relabelConfig({ regex: 'alias', action: 'labeldrop' }),
    ],
  });
  const series = new TargetSeries({
    target: {
      jobName: 'test',
      discoveredLabels: NO_LABELS,
      labels: NO_LABELS,
      url: 'http://a/metrics',
      interval: asDuration(1000),
      timeout: asDuration(1000),
    },
    config,
    journal,
    externalLabels: NO_LABELS,
    metricRelabel: compileRelabel(config.metricRelabelConfigs),
    pool: new StringPool(),
    seriesMax: 10_000,
    enforcedLabels: [],
  });
  const width = 1 + random(random(4) === 0 ? 400 : 60);
  let expectedBefore = new Map<string, number>();
  for (let scrape = 1; scrape <= 12; scrape++) {
    const time = asTime(scrape * 1000);
    const first = random(3) * random(300);
    const expected = new Map<string, number>();
    const kept = random(4);
    let body = '';
    for (let n = first; n < first + width; n++) {
      if (random(4) < kept) continue;
      const value = random(5);
      // A doubled series under another spelling: the first one wins.
      body += `x{n="${n}",alias="${random(2)}"} ${value}\n`;
      if (random(20) === 0) body += `x{alias="2",n="${n}"} ${value + 1}\n`;
      if (n % 10 !== 7) expected.set(`x{n="${n}"}`, value);
    }
    const failed = random(6) === 0;
    if (failed) {
      expect(() => series.parse(Buffer.from(`${body}x{n="1`))).toThrow();
      expected.clear();
    }
    const columns = failed ? undefined : series.parse(Buffer.from(body));
    const up = failed ? 0 : 1;
    const report = {
      durationSeconds: 0,
      samplesScraped: 0,
      samplesKept: 0,
      seriesAdded: 0,
      bodyBytes: 0,
    };
    const totals = series.write(time, time, columns, { up, ...report });
    expect(totals.samples).toBe(expected.size);

    const wanted = new Map<string, number | 'stale'>(expected);
    for (const name of expectedBefore.keys()) if (!wanted.has(name)) wanted.set(name, 'stale');
    const frame = journal.groups[0].frames.at(-1) ?? [];
    const written = new Map(frame.map(({ series: name, value }) => [name, value]));
    expect(written.size).toBe(frame.length);
    for (const name of written.keys()) if (!name.startsWith('x{')) written.delete(name);
    expect(written).toEqual(wanted);
    expectedBefore = expected;
  }
}

test(`${ROUNDS} random exporters`, () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    try {
      runOnce(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
});

test('the table finds what it was given, whatever the labels', () => {
  const random = randomOf(7);
  const table = new SeriesTable();
  const known = new Map<string, number>();
  for (let i = 0; i < ROUNDS * 20; i++) {
    const labels = Array.from({ length: 2 * random(3) }, () => 'abc'.slice(random(3), random(4)));
    const key = JSON.stringify(labels);
    const number = table.add(labels, undefined);
    expect(number).toBe(known.get(key) ?? known.size);
    known.set(key, number);
  }
});
