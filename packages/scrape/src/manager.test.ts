import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CanopyError,
  type Labels,
  NO_LABELS,
  type PullFormat,
  type PullOutcome,
  asDuration,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, test } from 'vitest';
import type { ScrapeConfig } from './config.js';
import type { FetchRequest } from './fetch.js';
import { ScrapeManager, type ScrapeManagerOptions } from './manager.js';
import { LimitError } from './refusal.js';
import { REPORT_NAMES } from './target-series.js';
import {
  FakeFetcher,
  RecordingJournal,
  gateOf,
  gatesOf,
  relabelConfig,
  scrapeConfig,
} from './testing/index.js';
import type { FakeAnswer } from './testing/fake-fetcher.js';

const INTERVAL = 10_000;

class Rig {
  readonly clock = new VirtualClock();
  readonly journal = new RecordingJournal();
  answer: (request: FetchRequest) => FakeAnswer = () => '';
  readonly fetcher = new FakeFetcher(this.clock, (request) => this.answer(request));
  readonly manager: ScrapeManager;
  readonly logged: string[] = [];

  constructor(configs: ScrapeConfig[], options: Partial<ScrapeManagerOptions> = {}) {
    this.manager = new ScrapeManager({
      clock: this.clock,
      journal: this.journal,
      fetcher: this.fetcher,
      gates: gatesOf(),
      pullFormat: undefined,
      configs,
      externalLabels: NO_LABELS,
      discoveries: [],
      offsetSeed: 'seed',
      enforcedLabels: [],
      limits: { seriesPerTargetMax: 10_000, targetsPerJobMax: 1000, droppedTargetsMax: 3 },
      log: (level, message, fields) =>
        this.logged.push(`${level} ${message} ${fields.error ?? ''}`),
      ...options,
    });
    this.manager.start();
  }

  /** One interval later. */
  async scrape(body?: FakeAnswer, times = 1): Promise<void> {
    if (body !== undefined) this.answer = () => body;
    for (let i = 0; i < times; i++) await this.clock.advance(INTERVAL);
  }

  /** Resolves when nothing runs any more; what hangs is waited for a little. */
  async stop(): Promise<void> {
    const stopped = this.manager.stop();
    await this.clock.advance(INTERVAL);
    await stopped;
  }

  /** The newest frame of a group as text, the report left out. */
  frame(group = 0): string[] {
    const frame = this.journal.groups[group]?.frames.at(-1) ?? [];
    return frame
      .filter(({ series }) => !REPORT_NAMES.some((name) => series.startsWith(`${name}{`)))
      .map(({ series, value }) => `${series} ${value}`);
  }

  /** The report of the newest frame; the duration is left out. */
  report(group = 0): Record<string, number | 'stale'> {
    const out: Record<string, number | 'stale'> = {};
    for (const { series, value } of this.journal.groups[group].frames.at(-1) ?? []) {
      const name = REPORT_NAMES.find((report) => series.startsWith(`${report}{`));
      if (name !== undefined && name !== 'scrape_duration_seconds') out[name] = value;
    }
    return out;
  }

  get error(): string {
    return this.manager.active()[0].lastError;
  }
}

const report = (up: number, scraped: number, kept: number, added: number) => ({
  up,
  scrape_samples_scraped: scraped,
  scrape_samples_post_metric_relabeling: kept,
  scrape_series_added: added,
});

test('a scrape is one frame with its report', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('# TYPE x gauge\n# HELP x An x.\nx{l="1"} 5\nx{l="2"} NaN\n');
  const [group] = rig.journal.groups;
  expect(group.meta).toEqual({
    kind: 'aligned',
    target: labelsFromObject({ job: 'test', instance: 'a:1' }),
    scrapeUrl: 'http://a:1/metrics',
    interval: INTERVAL,
  });
  expect(rig.frame()).toEqual([
    'x{instance="a:1", job="test", l="1"} 5',
    'x{instance="a:1", job="test", l="2"} NaN',
  ]);
  expect(rig.report()).toEqual(report(1, 2, 2, 2));
  expect(group.families).toEqual([{ name: 'x', type: 'gauge', help: 'An x.', unit: '' }]);
  expect(group.slots.slice(0, 5).map((slot) => slot.family)).toEqual([-1, -1, -1, -1, -1]);
  await rig.scrape();
  expect(rig.report()).toEqual(report(1, 2, 2, 0));
  expect(group.frames[1][0].time - group.frames[0][0].time).toBe(INTERVAL);
  expect(rig.manager.totals).toMatchObject({
    scrapes: 2,
    failed: 0,
    samples: 4,
    late: 0,
    missed: 0,
  });
});

test('what vanishes goes stale at that scrape, once', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('a 1\nb 2\n');
  await rig.scrape('b 3\n');
  const a = 'a{instance="a:1", job="test"}';
  const b = 'b{instance="a:1", job="test"}';
  expect(rig.frame()).toEqual([`${a} stale`, `${b} 3`]);
  await rig.scrape();
  expect(rig.frame()).toEqual([`${b} 3`]);
  await rig.scrape('a 4\nb 3\n');
  expect(rig.frame()).toEqual([`${a} 4`, `${b} 3`]);
  expect(rig.report()).toEqual(report(1, 2, 2, 1));
});

test('a failed scrape: up 0, all stale, the reason is kept', async () => {
  const rig = new Rig([scrapeConfig({ sampleLimit: 3, scrapeTimeout: asDuration(100) })]);
  const failures: Array<[FakeAnswer, RegExp, ReturnType<typeof report>]> = [
    [new Error('boom'), /^boom$/, report(0, 0, 0, 0)],
    ['a 1\nb ', /./, report(0, 0, 0, 0)], // half a line
    ['<html></html>', /./, report(0, 0, 0, 0)],
    [
      { body: 'a 1\n', contentType: 'text/html' },
      /unsupported Content-Type "text\/html"/,
      report(0, 0, 0, 0),
    ],
    [{ body: 'a 1\n', contentType: '' }, /blank Content-Type/, report(0, 0, 0, 0)],
    ['a 1\nb 1\nc 1\nd 1\n', /^sample limit exceeded/, report(0, 4, 4, 4)],
    [{ body: 'a 1\n', delay: 200 }, /deadline/, report(0, 0, 0, 0)],
  ];
  for (const [answer, reason, expected] of failures) {
    await rig.scrape('a 1\n');
    expect(rig.manager.active()[0].health).toBe('up');
    await rig.scrape(answer);
    expect(rig.error).toMatch(reason);
    expect(rig.frame()).toEqual(['a{instance="a:1", job="test"} stale']);
    expect(rig.report().up).toBe(0);
    expect({ ...rig.report(), scrape_series_added: 0 }).toEqual({
      ...expected,
      scrape_series_added: 0,
    });
  }
  expect(rig.manager.totals).toMatchObject({ scrapes: 14, failed: 7, missed: 0 });
  // Only what a good scrape brought has a slot.
  expect(rig.journal.groups[0].slotCount).toBe(6);
});

test('a target that hangs is down at each of its ticks', async () => {
  const check = async (timeout: number, delay: number, scrapes: number, missed: number) => {
    const rig = new Rig([scrapeConfig({ scrapeTimeout: asDuration(timeout) })]);
    rig.answer = () => ({ body: 'a 1\n', delay });
    for (let i = 0; i < 10; i++) await rig.clock.advance(INTERVAL);
    const times = rig.journal.groups[0].frames.map(([{ time }]) => time);
    expect([times.length, rig.manager.totals.missed]).toEqual([scrapes, missed]);
    await rig.stop();
    return times.map((time) => time - times[0]);
  };
  const each = Array.from({ length: 9 }, (_, i) => i * INTERVAL);
  // A time-out as long as the interval: the next tick is there when it ends.
  expect(await check(INTERVAL, 2 * INTERVAL, 9, 0)).toEqual(each);
  expect(await check(INTERVAL - 1, 2 * INTERVAL, 9, 0)).toEqual(each);
});

test('labels: conflicts, honor_labels, external labels, metric relabelling', async () => {
  const frameOf = async (
    body: string,
    config: Partial<ScrapeConfig>,
    externalLabels: Labels = NO_LABELS,
  ): Promise<string[]> => {
    const rig = new Rig([scrapeConfig(config)], { externalLabels });
    await rig.scrape(body);
    expect(rig.error).toBe('');
    return rig.frame();
  };
  expect(await frameOf('x{job="j",exported_job="e"} 1\n', {})).toEqual([
    'x{exported_exported_job="j", exported_job="e", instance="a:1", job="test"} 1',
  ]);
  expect(await frameOf('x{job="j"} 1\n', { honorLabels: true })).toEqual([
    'x{instance="a:1", job="j"} 1',
  ]);
  expect(await frameOf('x{job="j",instance=""} 1\n', { honorLabels: true })).toEqual([
    'x{job="j"} 1',
  ]);
  const external = labelsFromObject({ cluster: 'east', job: 'no' });
  expect(await frameOf('x 1\ny{cluster="own"} 2\n', {}, external)).toEqual([
    'x{cluster="east", instance="a:1", job="test"} 1',
    'y{cluster="own", instance="a:1", job="test"} 2',
  ]);
  const metricRelabelConfigs = [
    relabelConfig({ sourceLabels: ['__name__'], regex: 'drop_.*', action: 'drop' }),
    relabelConfig({ regex: 'l', action: 'labeldrop' }),
    relabelConfig({
      sourceLabels: ['__name__'],
      regex: 'old_(.*)',
      targetLabel: '__name__',
      replacement: 'new_$1',
    }),
  ];
  const rig = new Rig([scrapeConfig({ metricRelabelConfigs })]);
  await rig.scrape('drop_x 1\n# TYPE old_h histogram\nold_h_count{l="v"} 2\n');
  expect(rig.frame()).toEqual(['new_h_count{instance="a:1", job="test"} 2']);
  expect(rig.report()).toEqual(report(1, 2, 1, 1));
  expect(rig.journal.groups[0].families[0]).toMatchObject({ name: 'new_h', type: 'histogram' });
});

test('two texts of one label set are one series', async () => {
  const metricRelabelConfigs = [relabelConfig({ regex: 'l', action: 'labeldrop' })];
  const rig = new Rig([scrapeConfig({ metricRelabelConfigs })]);
  await rig.scrape('x{l="1"} 1\nx{l="2"} 2\n');
  expect(rig.frame()).toEqual(['x{instance="a:1", job="test"} 1']);
  expect(rig.manager.totals.refused).toEqual({ duplicate: 1 });
});

test('the report wins over an exporter that says the same', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('up 0\nx 1\n');
  expect(rig.report().up).toBe(1);
  expect(rig.manager.totals.refused).toEqual({ conflict: 1 });
});

test('limits refuse the scrape whole', async () => {
  const check = async (
    config: Partial<ScrapeConfig>,
    body: string,
    expected: RegExp,
    reason: string,
  ) => {
    const rig = new Rig([scrapeConfig(config)]);
    await rig.scrape(body);
    expect(rig.error).toMatch(expected);
    expect(rig.frame()).toEqual([]);
    expect(rig.report().up).toBe(0);
    const targets = rig.manager.active().length;
    expect(rig.manager.totals.failedByReason).toEqual({ [reason]: targets });
    expect(rig.journal.refused).toEqual({ [reason]: targets });
  };
  await check({ sampleLimit: 1 }, 'x 1\ny 1\n', /^sample limit exceeded/, 'sample_limit');
  await check(
    { labelLimit: 3 },
    'x{a="1"} 1\n',
    /^label_limit exceeded \(metric: x, number of labels: 4, limit: 3\)$/,
    'label_limit',
  );
  await check(
    { labelNameLengthLimit: 8 },
    'x{longlabel="1"} 1\n',
    /^label_name_length_limit exceeded .*length: 9, limit: 8/,
    'label_name_length_limit',
  );
  await check(
    { labelValueLengthLimit: 4 },
    'x{a="äöü"} 1\n',
    /^label_value_length_limit exceeded .*length: 6, limit: 4/,
    'label_value_length_limit',
  );
  const gone = relabelConfig({ targetLabel: '__name__', replacement: '' });
  await check({ metricRelabelConfigs: [gone] }, 'x 1\n', /^missing metric name/, 'bad_data');
  await check(
    { targetLimit: 1, staticConfigs: [{ targets: ['a:1', 'b:1'], labels: {}, source: '' }] },
    'x 1\n',
    /^target_limit exceeded \(number of targets: 2, limit: 1\)$/,
    'target_limit',
  );
});

test('a label that is enforced has the value of the target, or none', async () => {
  const listed = [{ targets: ['a:1'], labels: { cluster: 'east' }, source: '' }];
  const rigOf = (config: Partial<ScrapeConfig>, enforcedLabels = ['zone', 'cluster']) =>
    new Rig([scrapeConfig({ honorLabels: true, staticConfigs: listed, ...config })], {
      enforcedLabels,
      externalLabels: labelsFromObject({ zone: 'z' }),
    });
  const rig = rigOf({});
  await rig.scrape('x{cluster="east"} 1\ny{cluster="",zone="other"} 2\nz 3\n');
  expect(rig.error).toBe('');
  expect(rig.frame()).toHaveLength(3);
  await rig.scrape('x{cluster="east"} 1\nz{cluster="west"} 3\n');
  expect(rig.error).toBe('label cluster is enforced (metric: z, value: "west", allowed: "east")');
  expect(rig.report().up).toBe(0);
  expect(rig.journal.refused).toEqual({ forged_label: 1 });
  expect(rig.manager.totals.failedByReason).toEqual({ forged_label: 1 });
  // The series before it has ended: none of the body was taken.
  expect(rig.frame()).toEqual(expect.arrayContaining([expect.stringMatching(/^x.* stale$/)]));
  await rig.scrape('x{cluster="east"} 1\n');
  expect(rig.error).toBe('');

  const good = async (config: Partial<ScrapeConfig>, enforced?: string[]): Promise<void> => {
    const other = rigOf(config, enforced);
    await other.scrape('x{cluster="west"} 1\n');
    expect(other.error).toBe('');
  };
  await good({}, []);
  await good({}, ['zone']);
  // It moves to exported_cluster.
  await good({ honorLabels: false });
  // The list gives it no cluster, so it may have any.
  await good({ staticConfigs: [{ targets: ['a:1'], labels: {}, source: '' }] });
  const drop = relabelConfig({ sourceLabels: ['cluster'], regex: 'west', action: 'drop' });
  await good({ metricRelabelConfigs: [drop] });
});

test('extra metrics where they are asked for', async () => {
  const rig = new Rig([scrapeConfig({ extraScrapeMetrics: true, sampleLimit: 2 })]);
  const extra = (): unknown[] =>
    (rig.journal.groups[0].frames.at(-1) ?? [])
      .filter(({ series }) => /^scrape_(timeout|sample_limit|body_size)/.test(series))
      .map(({ value }) => value);
  await rig.scrape('x 1\n');
  expect(extra()).toEqual([5, 2, 4]);
  await rig.scrape('x 1\ny 1\nz 1\n');
  expect(extra()).toEqual([5, 2, 12]);
  await rig.scrape(new CanopyError('unavailable', 'connection refused'));
  expect(extra()).toEqual([5, 2, 0]);
  await rig.scrape(new LimitError('body_size_limit', 'body size limit exceeded'));
  expect(extra()).toEqual([5, 2, -1]);
  // An exporter's own gives way, as for the rest of the report.
  await rig.scrape('scrape_sample_limit 9\n');
  expect(extra()).toEqual([5, 2, 22]);
  rig.manager.reload([], NO_LABELS);
  await rig.scrape();
  expect(extra()).toEqual(['stale', 'stale', 'stale']);
});

test('failed scrapes are written to the file that is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'canopy-failures-'));
  const file = join(folder, 'failures.log');
  const rig = new Rig([scrapeConfig({ scrapeFailureLogFile: file })]);
  await rig.scrape('x 1\n');
  await rig.scrape('x{\n');
  await rig.scrape(new CanopyError('timeout', 'context deadline exceeded'));
  await rig.stop();
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { level: 'ERROR', job_name: 'test', target: 'http://a:1/metrics' },
    { msg: 'context deadline exceeded', time: expect.stringMatching(/^\d{4}-.*Z$/) },
  ]);
  rmSync(folder, { recursive: true });
  // A disk that takes nothing is said once, and costs nothing else.
  const broken = new Rig([scrapeConfig({ scrapeFailureLogFile: file })]);
  await broken.scrape('x{\n', 3);
  await broken.stop();
  const said = broken.logged.filter((line) => line.includes('scrape failures cannot be logged'));
  expect(said.length).toBe(1);
});

test('samples with times of their own go to a loose group', async () => {
  const rig = new Rig([scrapeConfig()]);
  const t = rig.clock.now();
  await rig.scrape(`a 1 ${t}\nb 2\n`);
  expect(rig.journal.groups[1].meta.kind).toBe('loose');
  expect(rig.frame(0)).toEqual(['b{instance="a:1", job="test"} 2']);
  expect(rig.journal.groups[1].frames).toEqual([
    [{ series: 'a{instance="a:1", job="test"}', time: t, value: 1 }],
  ]);
  await rig.scrape(); // the same time again is no new sample
  expect(rig.journal.groups[1].frames.length).toBe(1);
  await rig.scrape(`a 3 ${t + 5}\na 4 ${t + 3_600_000}\n`); // an hour ahead is refused
  expect(rig.journal.groups[1].frames.at(-1)).toEqual([
    { series: 'a{instance="a:1", job="test"}', time: t + 5, value: 3 },
  ]);
  expect(rig.manager.totals.refused).toEqual({ out_of_bounds: 1 });
  await rig.scrape('b 2\n'); // no stale mark for what had its own time
  expect(rig.journal.groups[1].frames.length).toBe(2);
});

test('with track_timestamps_staleness they go stale too', async () => {
  const rig = new Rig([scrapeConfig({ trackTimestampsStaleness: true })]);
  await rig.scrape(`a 1 ${rig.clock.now()}\n`);
  await rig.scrape('b 1\n');
  await rig.scrape('b 1\n');
  const stale = rig.journal.groups[1].frames.flat().filter(({ value }) => value === 'stale');
  expect(stale.length).toBe(1);
  expect(stale[0].time).toBe(rig.journal.groups[0].frames[1][0].time);
});

test('what an answer of a /federate lacks has ended, unless the configuration says otherwise', async () => {
  const ends = async (change: Partial<ScrapeConfig>): Promise<string[]> => {
    const rig = new Rig([scrapeConfig({ metricsPath: '/prometheus/federate', ...change })]);
    const t = rig.clock.now();
    await rig.scrape(`a 1 ${t}\nb 1 ${t}\nahead 1 ${t + 300_000}\n`);
    await rig.scrape('no answer{', 2);
    const failed = rig.journal.groups[1].frames.length;
    await rig.scrape(`a 2 ${t + 1}\n`, 2);
    await rig.scrape('');
    await rig.scrape('', 2);
    const { frames } = rig.journal.groups[1];
    const stale = frames.flatMap((frame, i) =>
      frame.filter(({ value }) => value === 'stale').map((sample) => ({ ...sample, i })),
    );
    return stale.map(({ series, time, i }) => {
      const at = rig.journal.groups[0].frames.findIndex((frame) => frame[0].time === time);
      const when = at < 0 ? `${time - t} ms after` : `scrape ${at}`;
      return `${series.split('{')[0]}: ${when}${i < failed ? ', of no answer' : ''}`;
    });
  };
  expect(await ends({})).toEqual(['b: scrape 3', 'ahead: 300001 ms after', 'a: scrape 5']);
  expect(await ends({ metricsPath: '/metrics' })).toEqual([]);
  expect(await ends({ trackTimestampsStaleness: false })).toEqual([]);
  expect((await ends({ trackTimestampsStaleness: true })).slice(0, 2)).toEqual([
    'a: scrape 1, of no answer',
    'b: scrape 1, of no answer',
  ]);
});

test('honor_timestamps off: the time of the scrape', async () => {
  const rig = new Rig([scrapeConfig({ honorTimestamps: false })]);
  await rig.scrape('a 1 1000\n');
  expect(rig.frame()).toEqual(['a{instance="a:1", job="test"} 1']);
  expect(rig.journal.groups.length).toBe(1);
});

test('churn gives slots back', async () => {
  const rig = new Rig([scrapeConfig()]);
  const body = (from: number, count: number): string =>
    Array.from({ length: count }, (_, i) => `x{n="${from + i}"} ${from + i}\n`).join('');
  for (let round = 0; round < 12; round++) {
    await rig.scrape(body(round * 100, 100));
    const values = rig.frame().filter((line) => !line.endsWith('stale'));
    const expected = Array.from(
      { length: 100 },
      (_, i) => `x{instance="a:1", job="test", n="${round * 100 + i}"} ${round * 100 + i}`,
    );
    expect(values.toSorted()).toEqual(expected.toSorted());
    expect(rig.journal.groups[0].slotCount).toBeLessThan(310);
  }
  expect(rig.journal.groups[0].rebases).toBeGreaterThan(3);
  await rig.scrape(body(0, 200)); // back again, after they were forgotten
  expect(rig.frame().filter((line) => !line.endsWith('stale')).length).toBe(200);
});

const listed = (address: string): ScrapeConfig =>
  scrapeConfig({
    jobName: address,
    scrapeTimeout: asDuration(INTERVAL),
    staticConfigs: [{ targets: [address], labels: {}, source: '' }],
  });

const BAD = ['bad:1', 'bad:2', 'bad:3'];

/** Rounds of ten in which `good:1` had to wait for those that answer `bad`. */
async function roundsWaited(
  bad: FakeAnswer,
  options: Partial<ScrapeManagerOptions>,
): Promise<number> {
  const rig = new Rig([...BAD, 'good:1'].map(listed), options);
  const contentType = options.pullFormat?.mediaType ?? 'text/plain';
  rig.answer = ({ url }) => (url.includes('bad') ? bad : { body: 'a 1\n', contentType });
  let waited = 0;
  for (let round = 0; round < 10; round++) {
    await rig.scrape();
    const good = rig.manager.active().find(({ scrapeUrl }) => scrapeUrl.includes('good'))!;
    if (good.lastScrapeDuration > 0 || good.health !== 'up') waited++;
  }
  await rig.stop();
  return waited;
}

test('a body that comes slowly holds up others once, and others of its kind', async () => {
  const slow = { body: 'a 1\n', bodyDelay: 6 * INTERVAL };
  const apart = gatesOf({ text: gateOf(1), slow: gateOf(1) });
  expect(await roundsWaited(slow, { gates: apart })).toBeLessThanOrEqual(BAD.length + 1);
  const one = gateOf(1);
  const together = gatesOf({ text: one, slow: one });
  expect(await roundsWaited(slow, { gates: together })).toBeGreaterThan(5);
});

test('a source that catches up holds up others that do', async () => {
  const pullFormat: PullFormat = {
    mediaType: 'application/vnd.canopy.frames',
    requestHeaders: async () => ({}),
    take: async ({ url }) => ({ samples: 1, more: url.includes('bad') }),
  };
  const page = { body: '', contentType: pullFormat.mediaType, bodyDelay: 900 };
  const apart = gatesOf({ pulls: gateOf(1), behind: gateOf(1) });
  expect(await roundsWaited(page, { pullFormat, gates: apart })).toBeLessThanOrEqual(1);
  const one = gateOf(1);
  const together = gatesOf({ pulls: one, behind: one });
  expect(await roundsWaited(page, { pullFormat, gates: together })).toBeGreaterThan(5);
});

test('a late scrape is not doubled, a slow one skips ticks', async () => {
  const rig = new Rig([scrapeConfig({ scrapeTimeout: asDuration(10_000) })]);
  await rig.scrape('x 1\n');
  rig.answer = () => ({ body: 'x 1\n', delay: 9999 });
  await rig.scrape(undefined, 3);
  const times = rig.journal.groups[0].frames.map((frame) => frame[0].time);
  for (let i = 1; i < times.length; i++) expect((times[i] - times[i - 1]) % INTERVAL).toBe(0);
  expect(new Set(times).size).toBe(times.length);
});

test('offsets spread targets, and are the same each time', async () => {
  const targets = Array.from({ length: 200 }, (_, i) => `host-${i}:9100`);
  const run = async (): Promise<number[]> => {
    const rig = new Rig([scrapeConfig({ staticConfigs: [{ targets, labels: {}, source: '' }] })]);
    await rig.scrape('x 1\n');
    return rig.fetcher.requests.map(({ time }) => time % INTERVAL);
  };
  const first = await run();
  expect(first.length).toBe(200);
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = first.filter((at) => Math.floor(at / (INTERVAL / 10)) === tenth).length;
    expect(count).toBeGreaterThan(5);
    expect(count).toBeLessThan(40);
  }
  expect(await run()).toEqual(first);
});

test('a clock that steps back: nothing twice, then on again', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('x 1\n', 3);
  rig.clock.stepWallClock(-7000);
  await rig.scrape(undefined, 3);
  const times = rig.journal.groups[0].frames.map((frame) => frame[0].time);
  for (let i = 1; i < times.length; i++) expect(times[i]).toBeGreaterThan(times[i - 1]);
  rig.clock.stepWallClock(-3_600_000); // an hour: the journal begins a new run
  await rig.scrape(undefined, 2);
  expect(rig.journal.groups[0].frames.at(-1)?.[0].time).toBeLessThan(times[0]);
  rig.clock.stepWallClock(7_200_000);
  await rig.scrape(undefined, 2);
  const after = rig.journal.groups[0].frames.map((frame) => frame[0].time);
  expect(after.at(-1)).toBeGreaterThan(times.at(-1) as number);
});

test('a tick is taken once, though the clock was set back a little before it', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('x 1\n', 2);
  rig.clock.stepWallClock(-20);
  for (let i = 0; i < 4; i++) await rig.scrape();
  const times = rig.journal.groups[0].frames.map(([{ time }]) => time);
  const gaps = times.slice(1).map((time, i) => time - times[i]);
  // The scrape after the step is early by it; the next one is on its tick again.
  expect(gaps).toEqual([INTERVAL, INTERVAL - 20, INTERVAL + 20, INTERVAL, INTERVAL]);
});

test('a removed target ends with stale marks for all its series', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('x 1\n', 2);
  const [group] = rig.journal.groups;
  const last = group.frames[1][0].time;
  rig.manager.reload([scrapeConfig({ staticConfigs: [] })], NO_LABELS);
  expect(rig.manager.active()).toEqual([]);
  await rig.scrape(undefined, 2);
  expect(group.frames.length).toBe(3);
  expect(group.frames[2].map(({ value }) => value)).toEqual(Array(6).fill('stale'));
  expect(group.frames[2][0].time).toBe(last + INTERVAL - 1);
  expect(group.closed).toBe(true);
});

test('a target with another configuration goes on without a hole', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('x 1\n', 2);
  rig.manager.reload([scrapeConfig({ honorLabels: true })], NO_LABELS);
  await rig.scrape(undefined, 2);
  const [before, after] = rig.journal.groups;
  expect(before.frames.at(-1)?.[0]).toMatchObject({ value: 'stale' });
  expect(before.frames.at(-1)?.[0].time).toBe(after.frames[0][0].time - 1);
});

test('a reload leaves unchanged targets alone', async () => {
  const config = scrapeConfig();
  const rig = new Rig([config]);
  await rig.scrape('x 1\n', 2);
  const staticConfigs = [{ targets: ['a:1', 'b:1'], labels: {}, source: '0' }];
  rig.manager.reload([{ ...config, staticConfigs }], NO_LABELS);
  await rig.scrape(undefined, 2);
  expect(rig.journal.groups.map((group) => group.frames.length)).toEqual([4, 2]);
});

test('stopping writes nothing more', async () => {
  const rig = new Rig([scrapeConfig()]);
  await rig.scrape('x 1\n', 2);
  await rig.stop();
  await rig.scrape(undefined, 2);
  expect(rig.journal.groups[0].frames.length).toBe(2);
  expect(rig.journal.groups[0].closed).toBe(true);
});

test('dropped targets are listed up to a limit; what cannot be scraped is said', async () => {
  const rig = new Rig([
    scrapeConfig({
      staticConfigs: [
        { targets: ['a:1', 'b:1', 'c:1', 'd:1', 'e:1', 'f/1'], labels: {}, source: '' },
      ],
      relabelConfigs: [
        relabelConfig({ sourceLabels: ['__address__'], regex: 'a:1|f/1', action: 'keep' }),
      ],
    }),
  ]);
  expect(rig.manager.active().map(({ scrapeUrl }) => scrapeUrl)).toEqual(['http://a:1/metrics']);
  expect(rig.manager.dropped().length).toBe(3);
  expect(rig.manager.totals.invalidTargets).toBe(1);
});

test('frames are handed to the pull format, page after page, and only the report is written', async () => {
  const pages: PullOutcome[] = [
    { samples: 10, more: true },
    { samples: 5, more: false },
  ];
  const taken: string[] = [];
  const pullFormat: PullFormat = {
    mediaType: 'application/vnd.canopy.frames;version=1',
    requestHeaders: async () => ({ 'x-cursor': String(taken.length) }),
    take: async (target, _headers, body) => {
      taken.push(`${target.url} ${Buffer.from(body)}`);
      return pages[taken.length - 1] ?? { samples: 1, more: false };
    },
  };
  const rig = new Rig([scrapeConfig()], { pullFormat });
  await rig.scrape('t 1\n'); // an exporter of text first
  let accept = '';
  rig.answer = (request) => {
    accept = request.headers.accept;
    return {
      body: request.headers['x-cursor'],
      contentType: 'application/vnd.canopy.frames; version=1',
    };
  };
  await rig.scrape();
  expect(
    accept.startsWith('application/vnd.canopy.frames;version=1,application/openmetrics-text'),
  ).toBe(true);
  expect(taken).toEqual(['http://a:1/metrics 0', 'http://a:1/metrics 1']);
  expect(rig.report()).toEqual(report(1, 15, 15, 0));
  expect(rig.frame()).toEqual(['t{instance="a:1", job="test"} stale']);
  await rig.scrape();
  expect(rig.frame()).toEqual([]);
  expect(rig.manager.totals.samples).toBe(17);
});

test('a source that never ends has until the next scrape', async () => {
  const pullFormat: PullFormat = {
    mediaType: 'application/vnd.canopy.frames',
    requestHeaders: async () => ({}),
    take: async () => ({ samples: 1, more: true }),
  };
  const rig = new Rig([scrapeConfig()], { pullFormat });
  await rig.scrape({ body: '', contentType: pullFormat.mediaType, delay: 1000 }, 3);
  const times = rig.journal.groups[0].frames.map((frame) => frame[0].time);
  expect(times.length).toBeGreaterThanOrEqual(2);
  expect(times[1] - times[0]).toBe(INTERVAL);
  expect(rig.report().scrape_samples_scraped).toBe(9);
});

test('no frame comes that is not later than what was said to be complete', async () => {
  const staticConfigs = [{ targets: ['a:1', 'b:1', 'c:1'], labels: {}, source: '0' }];
  const rig = new Rig([scrapeConfig({ staticConfigs })]);
  rig.answer = () => ({ delay: 3000, body: 'a 1\n' });
  let complete = 0;
  let newest = 0;
  const seen = new Set<object>();
  for (let i = 0; i < 400; i++) {
    // Other rules: every loop is replaced, the old ones end meanwhile.
    if (i % 57 === 56) {
      const metricsPath = `/${i}`; // another place in the interval
      rig.manager.reload([scrapeConfig({ staticConfigs, metricsPath })], NO_LABELS);
    }
    await rig.clock.advance(250);
    for (const frame of rig.journal.groups.flatMap((group) => group.frames)) {
      if (seen.has(frame)) continue;
      seen.add(frame);
      expect(frame[0].time).toBeGreaterThan(complete);
      newest = Math.max(newest, frame[0].time);
    }
    complete = Math.max(complete, rig.manager.completeUpTo());
    expect(complete).toBeLessThan(rig.clock.now());
    expect(rig.clock.now() - rig.manager.completeUpTo()).toBeLessThan(INTERVAL + 10);
  }
  expect(newest).toBeGreaterThan(0);
  expect(seen.size).toBeGreaterThan(20);
  await rig.stop();
});
