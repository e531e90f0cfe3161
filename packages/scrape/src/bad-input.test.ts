/**
 * Hostile exporters over real HTTP, each with what becomes of its scrape. All stand beside a good one in
 * one job, two bodies at once: nobody waits longer for their sake, and memory stays bounded.
 */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { constants, gzipSync } from 'node:zlib';
import { type Clock, NO_LABELS, asDuration, asTime, labelValue } from '@canopy/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Fetcher, HttpFetcher } from './fetch.js';
import { ScrapeManager } from './manager.js';
import { SocketFetcher } from './socket/socket-fetcher.js';
import { RecordingJournal, gateOf, gatesOf, scrapeConfig } from './testing/index.js';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};

const MIB = 1 << 20;
const BODY_BYTES_MAX = 4 * MIB;
const TEXT = { 'content-type': 'text/plain; version=0.0.4' };

interface Hostile {
  readonly answer: http.RequestListener;
  /** '' where the scrape goes well. */
  readonly error: RegExp | '';
  /** Samples of a frame, the report's five left out. */
  readonly samples: readonly string[];
  /** Its count in the ledger's `refused`; default: none. */
  readonly refused?: string;
}

const text =
  (body: string | Buffer): http.RequestListener =>
  (_req, res) =>
    void res.writeHead(200, TEXT).end(body);

/** Writes `chunk` over and over, until `bytes` are out or the other side has had enough. */
const flood =
  (chunk: Buffer, bytes: number): http.RequestListener =>
  (_req, res) => {
    res.writeHead(200, TEXT);
    let left = bytes;
    const more = (): void => {
      while (left > 0 && !res.destroyed) {
        left -= chunk.length;
        sent.bytes += chunk.length;
        if (!res.write(chunk)) return;
      }
      if (left <= 0) res.end();
    };
    res.on('drain', more);
    more();
  };
const sent = { bytes: 0 };

/** 1 GiB of zeros in 1 MB: sixteen members. */
const member = gzipSync(Buffer.alloc(64 * MIB), { level: constants.Z_BEST_SPEED });
const zeros = Buffer.concat(Array.from({ length: 16 }, () => member));
const bomb: http.RequestListener = (_req, res) =>
  void res.writeHead(200, { ...TEXT, 'content-encoding': 'gzip' }).end(zeros);

const drip: http.RequestListener = (_req, res) => {
  res.writeHead(200, TEXT);
  const timer = setInterval(() => res.write('a'), 50);
  res.on('close', () => clearInterval(timer));
};

const SIZE = /^body size limit exceeded \(limit: 4194304 bytes\)$/;
const HOSTILE: Readonly<Record<string, Hostile>> = {
  duplicate: { answer: text('x 1\nx 2\ny 3\n'), error: '', samples: ['x 1', 'y 3'] },
  types: {
    answer: text('# TYPE x counter\n# TYPE x gauge\nx 1\n# TYPE x histogram\nx{a="b"} 2\n'),
    error: '',
    samples: ['x 1', 'x 2'],
  },
  utf8: {
    answer: text(Buffer.from('x{a="\xff"} 1\n', 'latin1')),
    error: /UTF-8/i,
    samples: [],
    refused: 'format',
  },
  line: {
    answer: flood(Buffer.alloc(64 * 1024, 'a'), 1 << 30),
    error: SIZE,
    samples: [],
    refused: 'body_size_limit',
  },
  middle: {
    answer: (_req, res) => {
      res.writeHead(200, { ...TEXT, 'content-length': 1000 });
      res.write('x 1\ny 2\n');
      setTimeout(() => res.destroy(), 5);
    },
    error: /^unexpected EOF$/,
    samples: [],
    refused: 'format',
  },
  bomb: { answer: bomb, error: SIZE, samples: [], refused: 'body_size_limit' },
  loop: {
    answer: (req, res) => void res.writeHead(302, { location: req.url }).end(),
    error: /stopped after 10 redirects$/,
    samples: [],
  },
  drip: { answer: drip, error: /context deadline exceeded$/, samples: [] },
};

const server = http.createServer((req, res) => {
  const name = new URL(req.url ?? '', 'http://x').searchParams.get('name') ?? '';
  (HOSTILE[name]?.answer ?? text('good 1\n'))(req, res);
});
let address = '';
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** The fetchers of a parent and of a leaf. */
const FETCHERS: ReadonlyArray<
  readonly [name: string, open: () => { fetcher: Fetcher; dispose: () => void }]
> = [
  [
    "Node's client",
    () => {
      const fetcher = new HttpFetcher(FETCHING);
      return { fetcher, dispose: () => fetcher[Symbol.dispose]() };
    },
  ],
  [
    'bare sockets',
    () => {
      const fallback = new HttpFetcher(FETCHING);
      const fetcher = new SocketFetcher({ ...FETCHING, fallback });
      const dispose = (): void => {
        fetcher[Symbol.dispose]();
        fallback[Symbol.dispose]();
      };
      return { fetcher, dispose };
    },
  ],
];
const FETCHING = {
  clock,
  userAgent: 'Canopy/test',
  bodyBytesMax: BODY_BYTES_MAX,
  idleTimeout: asDuration(5000),
};

const CUT_SHORT = { __scrape_timeout__: '400ms' };

test.each(FETCHERS)('hostile exporters harm only themselves (%s)', async (_name, open) => {
  const journal = new RecordingJournal();
  const { fetcher, dispose } = open();
  const names = ['good', ...Object.keys(HOSTILE)];
  const manager = new ScrapeManager({
    clock,
    journal,
    fetcher,
    gates: gatesOf({ text: gateOf(2) }),
    pullFormat: undefined,
    configs: [
      scrapeConfig({
        scrapeInterval: asDuration(1000),
        scrapeTimeout: asDuration(1000),
        staticConfigs: names.map((name) => ({
          targets: [address],
          // Only who never comes to an end is cut short: the others may find a slow machine.
          labels: { name, __param_name: name, ...(name === 'drip' && CUT_SHORT) },
          source: name,
        })),
      }),
    ],
    externalLabels: NO_LABELS,
    discoveries: [],
    offsetSeed: '',
    enforcedLabels: [],
    limits: { seriesPerTargetMax: 1000, targetsPerJobMax: 100, droppedTargetsMax: 10 },
    log: () => {},
  });
  sent.bytes = 0;
  const before = process.memoryUsage().rss;
  manager.start();
  await expect
    .poll(() => manager.totals.scrapes, { timeout: 15_000, interval: 20 })
    .toBeGreaterThan(3 * names.length);
  const expected = Object.entries(HOSTILE).map(([name, { error }]) => [
    name,
    error === '' ? '' : expect.stringMatching(error),
  ]);
  const errors = (): unknown =>
    Object.fromEntries(
      manager.active().map((target) => [labelValue(target.labels, 'name'), target.lastError]),
    );
  // On a busy machine one or the other is out of time before its fault is seen; not each time.
  await expect
    .poll(errors, { timeout: 30_000, interval: 20 })
    .toEqual({ good: '', ...Object.fromEntries(expected) });
  const grown = process.memoryUsage().rss - before;
  const { totals } = manager;
  await manager.stop();
  dispose();

  const most = Math.max(...journal.groups.map(({ frames }) => frames.length));
  for (const { meta, frames } of journal.groups) {
    const name = labelValue(meta.target, 'name');
    const samples = HOSTILE[name]?.samples ?? ['good 1'];
    for (const frame of frames) {
      const own = frame
        .slice(5)
        .map(({ series, value }) => `${series.replace(/\{.*/, '')} ${value}`);
      expect(own, name).toEqual(samples);
      expect(frame[0].value, name).toBe(HOSTILE[name]?.error ? 0 : 1);
    }
    if (name === 'good') expect(frames.length).toBeGreaterThanOrEqual(most - 1);
  }
  const reasons = new Set(Object.values(HOSTILE).flatMap(({ refused }) => refused ?? []));
  expect(Object.keys(journal.refused).sort()).toEqual([...reasons].sort());
  expect(journal.refused.body_size_limit).toBeGreaterThanOrEqual(4);
  expect(totals.refused.duplicate).toBeGreaterThanOrEqual(2);
  // A body over its limit is not received to its end, nor kept in memory.
  expect(sent.bytes).toBeLessThan(names.length * 64 * MIB);
  expect(grown).toBeLessThan(400 * MIB);
});

test.each(FETCHERS)(
  'timestamps twice and backwards in a body do not refuse it (%s)',
  async (_name, open) => {
    const journal = new RecordingJournal();
    const now = Date.now();
    const bodies = http.createServer((_req, res) => {
      const lines = [`x 1 ${now}`, `x 2 ${now}`, `x 3 ${now - 5000}`, `y 4 ${now}`];
      res.writeHead(200, TEXT).end(`${lines.join('\n')}\n`);
    });
    await new Promise<void>((done) => bodies.listen(0, '127.0.0.1', done));
    const at = `127.0.0.1:${(bodies.address() as AddressInfo).port}`;
    const { fetcher, dispose } = open();
    const manager = new ScrapeManager({
      clock,
      journal,
      fetcher,
      gates: gatesOf(),
      pullFormat: undefined,
      configs: [
        scrapeConfig({
          scrapeInterval: asDuration(300),
          scrapeTimeout: asDuration(300),
          staticConfigs: [{ targets: [at], labels: {}, source: '0' }],
        }),
      ],
      externalLabels: NO_LABELS,
      discoveries: [],
      offsetSeed: '',
      enforcedLabels: [],
      limits: { seriesPerTargetMax: 1000, targetsPerJobMax: 100, droppedTargetsMax: 10 },
      log: () => {},
    });
    manager.start();
    await expect.poll(() => manager.totals.scrapes, { timeout: 10_000 }).toBeGreaterThan(2);
    const [{ health, lastError }] = manager.active();
    await manager.stop();
    dispose();
    bodies.closeAllConnections();
    bodies.close();
    expect([health, lastError]).toEqual(['up', '']);
    const loose = journal.groups.find(({ meta }) => meta.kind === 'loose');
    const [first, ...later] = loose?.frames ?? [];
    const shown = first.map(({ series, time, value }) => [series[0], time - now, value]);
    expect(shown).toContainEqual(['x', 0, 1]);
    expect(shown).toContainEqual(['y', 0, 4]);
    // The same body again brings nothing new.
    expect(later.flat().filter(({ series }) => series.startsWith('y'))).toEqual([]);
  },
);
