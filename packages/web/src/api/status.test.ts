import {
  type GapRecord,
  type JournalRef,
  type JournalStatus,
  type Queryable,
  type SourceStatus,
  asTime,
  emptyLedger,
  labelsFromObject,
} from '@canopy/model';
import { expect, it } from 'vitest';
import type { WebOptions } from '../options.js';
import { runWeb } from '../testing/call-web.js';
import { fakeOptions, fakeStatus } from '../testing/fake-options.js';

async function ask(path: string, given: Partial<WebOptions> = {}) {
  await using web = await runWeb(given);
  const response = await fetch(`${web.url}/api/v1/status/${path}`);
  const answer = (await response.json()) as Record<string, unknown>;
  return { status: response.status, answer, data: answer.data as Record<string, unknown> };
}

function journalWith(gapCount: number): JournalStatus {
  const gap = (i: number): GapRecord => ({
    group: 0,
    from: asTime(i),
    to: asTime(i + 1),
    cause: 'restart',
    frames: -1,
  });
  const gaps = Array.from({ length: gapCount }, (_, i) => gap(i));
  return {
    ref: 'a'.repeat(32) as JournalRef,
    position: { epoch: 1, sequence: 2 },
    trimmed: { epoch: 1, sequence: 0 },
    ledger: { ...emptyLedger(), gaps, gapsTotal: gapCount },
    lagSeconds: 1,
    entryBytes: 3,
  };
}

const source: SourceStatus = {
  name: 'east',
  url: 'http://127.0.0.1:9095',
  health: 'up',
  lastError: '',
  kind: 'canopy',
  journals: [journalWith(3)],
  report: fakeStatus({ role: 'leaf', name: 'east', journal: journalWith(3) }),
  ...{ mayBeAwaySeconds: 86_400, hopLagSeconds: 0.1, behindBytes: 0, clockSkew: undefined },
};

it('gives the hierarchy as it is', async () => {
  const whole = fakeStatus({ journal: journalWith(2), sources: [source], notices: ['n'] });
  const { data } = await ask('hierarchy', { hierarchy: () => whole });
  expect(data).toEqual(JSON.parse(JSON.stringify(whole)));
});

it('lists the newest gaps only, at every level, where asked to', async () => {
  const whole = fakeStatus({ journal: journalWith(3), sources: [source] });
  const check = async (gaps: string, expected: number[]) => {
    const { data } = await ask(`hierarchy?gaps=${gaps}`, { hierarchy: () => whole });
    const status = data as unknown as typeof whole;
    const [pulled] = status.sources;
    for (const journal of [status.journal, pulled.journals[0], pulled.report?.journal]) {
      expect(journal?.ledger.gaps.map(({ from }) => from)).toEqual(expected);
      expect(journal?.ledger.gapsTotal).toBe(3);
    }
  };
  await check('', [0, 1, 2]);
  await check('1', [2]);
  await check('2', [1, 2]);
  await check('0', []);
  expect((await ask('hierarchy?gaps=x')).status).toBe(400);
});

it('says what it is and how it was started', async () => {
  const given = { flags: () => ({ 'web.listen-address': ':9090' }), version: '9.9.9' };
  expect((await ask('buildinfo', given)).data).toMatchObject({
    version: fakeOptions().prometheusVersion,
    revision: '',
    branch: '',
    buildUser: '',
    buildDate: '',
    goVersion: '',
    canopyVersion: '9.9.9',
  });
  expect((await ask('flags', given)).data).toEqual({ 'web.listen-address': ':9090' });
  expect((await ask('config')).data).toEqual({ yaml: 'global: {}\n' });
  const runtime = (await ask('runtimeinfo')).data;
  expect(runtime).toMatchObject({
    startTime: '2023-11-14T22:13:20.000Z',
    reloadConfigSuccess: true,
    corruptionCount: 0,
  });
  for (const key of ['CWD', 'lastConfigTime', 'GOMAXPROCS', 'GOMEMLIMIT', 'GOGC', 'GODEBUG']) {
    expect(runtime).toHaveProperty(key);
  }
});

const held: Queryable = {
  metadata: () => new Map(),
  snapshot: () => ({
    select: async () => [],
    labelNames: async () => [],
    labelValues: async () => [],
    release: () => undefined,
    series: async () =>
      Array.from({ length: 12_000 }, (_, i) =>
        labelsFromObject({ __name__: i < 3 ? 'up' : 'many', n: String(i) }),
      ),
  }),
};

it('counts cardinality', async () => {
  const { data } = await ask('tsdb?limit=1', { queryable: held });
  expect(data).toMatchObject({
    headStats: { numSeries: 12_000, numLabelPairs: 12_002 },
    seriesCountByMetricName: [{ name: 'many', value: 11_997 }],
    labelValueCountByLabelName: [{ name: 'n', value: 12_000 }],
    seriesCountByLabelValuePair: [{ name: '__name__=many', value: 11_997 }],
    memoryInBytesByLabelName: [{ name: 'n', value: 48_890 }],
  });
  const byDefault = (await ask('tsdb', { queryable: held })).data;
  expect(byDefault.seriesCountByMetricName).toHaveLength(2);
  expect(byDefault.seriesCountByLabelValuePair).toHaveLength(10);
});

it('refuses silly limits of the cardinality lists', async () => {
  for (const limit of ['0', '-1', 'x', '1.5', '10001']) {
    expect((await ask(`tsdb?limit=${limit}`)).status, limit).toBe(400);
  }
});

it('gives the ledger, a journal once, with the newest gaps only where asked to', async () => {
  const journal = journalWith(3);
  const other = { ...journalWith(1), ref: 'b'.repeat(32) as JournalRef };
  const sources = [{ ...source, journals: [other] }, source];
  const whole = fakeStatus({ name: 'top', journal, sources });
  const { status, data } = await ask('ledger?gaps=2', { hierarchy: () => whole });
  expect(status).toBe(200);
  const journals = data.journals as Array<{ source: string; gaps: GapRecord[]; gapsTotal: number }>;
  expect(journals.map(({ source, gaps, gapsTotal }) => [source, gaps.length, gapsTotal])).toEqual([
    ['top', 2, 3],
    ['east', 1, 1],
  ]);
  expect(journals[0].gaps[1].from).toBe(2);
});
