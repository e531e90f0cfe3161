import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import type { GapRecord, HierarchyStatus, JournalRef, JournalStatus } from '@canopy/model';
import { asTime, emptyLedger } from '@canopy/model';
import { expect, it } from 'vitest';
import { formatSeconds, runTree } from './tree.js';

function processOf(name: string, given: Partial<HierarchyStatus> = {}): HierarchyStatus {
  return {
    role: 'leaf',
    name,
    url: `http://${name}`,
    version: '1',
    startTime: 1,
    targets: { up: 3, down: 1, unknown: 0 },
    activeSeries: 1200,
    samplesPerSecond: 240.4,
    journal: undefined,
    store: { kind: 'embedded', usedBytes: 2048, limitBytes: 4096, healthy: true, message: '' },
    sources: [],
    notices: [],
    ...given,
  };
}

function journalOf(lagSeconds: number, gaps: GapRecord[]): JournalStatus {
  return {
    ref: 'a'.repeat(32) as JournalRef,
    position: { epoch: 1, sequence: 1 },
    trimmed: { epoch: 1, sequence: 0 },
    ledger: { ...emptyLedger(), gaps, gapsTotal: gaps.length, watermark: 5 },
    lagSeconds,
    entryBytes: 1,
  };
}

const GAP: GapRecord = {
  group: 0,
  from: asTime(1_700_000_000_000),
  to: asTime(1_700_000_090_000),
  cause: 'restart',
  frames: -1,
};

/** Of a reader that had nothing yet. */
const WHOLE: GapRecord = {
  ...GAP,
  from: asTime(0),
  to: asTime(1_700_000_080_000),
  cause: 'trimmed',
};

const source = {
  ...{ lastError: '', kind: 'canopy' as const, mayBeAwaySeconds: 86_400 },
  ...{ hopLagSeconds: 0.4, behindBytes: 4096, clockSkew: { seconds: -1.26, errorSeconds: 0.01 } },
};

async function run(hierarchy: HierarchyStatus | undefined, targets: object[] = []) {
  const server = createServer((req, res) => {
    const answers: Record<string, unknown> = {
      '/api/v1/status/hierarchy?gaps=10': hierarchy,
      '/api/v1/targets?state=active': { activeTargets: targets },
    };
    const data = answers[req.url ?? ''];
    res.statusCode = data === undefined ? 404 : 200;
    res.end(data === undefined ? 'not found\n' : JSON.stringify({ status: 'success', data }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const exitCode = await runTree({ url, stdout, stderr });
  server.close();
  server.closeAllConnections();
  const read = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';
  return { exitCode, out: read(stdout), err: read(stderr) };
}

it('prints every level, aligned', async () => {
  const region = processOf('region', {
    role: 'parent',
    sources: [
      {
        ...source,
        name: 'leaf',
        url: 'http://leaf',
        health: 'up',
        journals: [],
        report: undefined,
      },
    ],
  });
  const top = processOf('top', {
    role: 'parent',
    sources: [
      {
        ...source,
        name: 'region',
        url: 'http://region',
        health: 'up',
        journals: [journalOf(0.4, [WHOLE]), journalOf(75, [GAP])],
        report: region,
      },
      {
        ...source,
        name: 'old',
        url: 'http://old',
        health: 'down',
        lastError: 'connection refused',
        kind: 'foreign',
        journals: [],
        report: undefined,
        ...{ mayBeAwaySeconds: -1, hopLagSeconds: -1, behindBytes: -1, clockSkew: undefined },
      },
    ],
    notices: ['alerting is ignored'],
  });
  const targets = [
    { scrapePool: 'node', scrapeUrl: 'http://h:1/metrics', health: 'down', lastError: 'time-out' },
  ];
  const { exitCode, out, err } = await run(top, targets);
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  expect(out).toBe(
    [
      'PROCESS           STATE   TARGETS  SERIES  SAMPLES/S    LAG  GAPS   HOP  BEHIND  CLOCK  MAY BE AWAY  URL',
      'top               parent   3/4 up    1200        240      -     0     -       -      -            -  http://top',
      '├─ region         up       3/4 up    1200        240  1m15s     2  0.4s    4KiB  -1.3s           1d  http://region',
      '│  └─ leaf        up            -       -          -      -     0  0.4s    4KiB  -1.3s           1d  http://leaf',
      '└─ old (foreign)  down          -       -          -      -     0     -       -      -            -  http://old  connection refused',
      '',
      'store: embedded, 2KiB of 4KiB',
      '',
      'TARGETS OF top  STATE  URL                 ERROR',
      'node            down   http://h:1/metrics  time-out',
      '',
      'NEWEST GAPS  FROM                      TO                        LENGTH  CAUSE    FRAMES LOST',
      'region       2023-11-14T22:13:20.000Z  2023-11-14T22:14:50.000Z   1m30s  restart    not known',
      'region       the beginning             2023-11-14T22:14:40.000Z       -  trimmed    not known',
      '',
      'note: alerting is ignored',
      '',
    ].join('\n'),
  );
});

it('prints a leaf that has nothing yet, and a store in trouble', async () => {
  const store = { kind: 'redis', usedBytes: 0, limitBytes: 0, healthy: false, message: 'away' };
  const { out } = await run(processOf('leaf', { store }));
  expect(out).toContain('store: redis, 0B, not healthy: away');
  expect(out).toContain('no gap is known');
  expect(out).not.toContain('TARGETS OF');
});

it('says so where there is no hierarchy', async () => {
  const { exitCode, err } = await run(undefined);
  expect(exitCode).toBe(1);
  expect(err).toContain('does not know /api/v1/status/hierarchy; is it a Canopy process?');
});

it('writes lengths of time for people', () => {
  const check = (seconds: number, expected: string) =>
    expect(formatSeconds(seconds)).toBe(expected);
  check(-1, '0.0s');
  check(0.84, '0.8s');
  check(42.9, '42s');
  check(200, '3m20s');
  check(3600, '1h');
  check(86_400 * 2 + 3600 * 4 + 59, '2d4h');
});
