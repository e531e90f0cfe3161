/** Real servers, real time: what a bad exporter does to itself, and not to others. */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Clock, NO_LABELS, asDuration, asTime, labelValue } from '@canopy/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpFetcher } from './fetch.js';
import { ScrapeManager } from './manager.js';
import { RecordingJournal, gateOf, gatesOf, scrapeConfig } from './testing/index.js';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};

const GOOD = '# TYPE good_total counter\ngood_total{path="/"} 42\n';
const TEXT = { 'content-type': 'text/plain; version=0.0.4' };
const bodies: Record<string, (res: http.ServerResponse) => void> = {
  good: (res) => res.writeHead(200, TEXT).end(GOOD),
  gzip: (res) => res.writeHead(200, { ...TEXT, 'content-encoding': 'gzip' }).end(gzipSync(GOOD)),
  status: (res) => res.writeHead(500, TEXT).end('oh'),
  html: (res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  half: (res) => res.writeHead(200, TEXT).end('good_total{path="/"} 42\ngood_total{pa'),
  wrong: (res) => res.writeHead(200, { ...TEXT, 'content-encoding': 'gzip' }).end(GOOD),
  garbage: (res) => {
    res.writeHead(200, TEXT);
    const chunk = Buffer.alloc(64 * 1024, 0x7f);
    const more = (): void => {
      while (!res.destroyed && res.write(chunk)) {}
    };
    res.on('drain', more);
    more();
  },
  ...Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`hung${i}`, () => {}])),
};

const server = http.createServer((req, res) => {
  const name = new URL(req.url ?? '', 'http://x').searchParams.get('name') ?? '';
  bodies[name](res);
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

test('bad exporters are down with the reason, the others on time; nothing is invented', async () => {
  const journal = new RecordingJournal();
  const fetcher = new HttpFetcher({
    clock,
    userAgent: 'Canopy/test',
    bodyBytesMax: 1 << 20,
    idleTimeout: asDuration(5000),
  });
  const group = (name: string, at: string) => ({
    targets: [at],
    labels: { name, __param_name: name },
    source: name,
  });
  const manager = new ScrapeManager({
    clock,
    journal,
    fetcher,
    gates: gatesOf({ text: gateOf(2), pulls: gateOf(2) }),
    pullFormat: undefined,
    configs: [
      scrapeConfig({
        scrapeInterval: asDuration(800),
        scrapeTimeout: asDuration(700),
        staticConfigs: [
          ...Object.keys(bodies).map((name) => group(name, address)),
          group('refused', '127.0.0.1:1'),
        ],
      }),
    ],
    externalLabels: NO_LABELS,
    discoveries: [],
    offsetSeed: '',
    enforcedLabels: [],
    limits: { seriesPerTargetMax: 100, targetsPerJobMax: 100, droppedTargetsMax: 10 },
    log: () => {},
  });
  manager.start();
  await expect
    .poll(() => manager.totals.scrapes, { timeout: 10_000, interval: 20 })
    .toBeGreaterThan(4 * (Object.keys(bodies).length + 1));
  const reasons = Object.fromEntries(
    manager.active().map((target) => [labelValue(target.labels, 'name'), target.lastError]),
  );
  await manager.stop();
  fetcher[Symbol.dispose]();

  expect(reasons).toMatchObject({
    good: '',
    gzip: '',
    status: 'server returned HTTP status 500 Internal Server Error',
    html: expect.stringContaining('unsupported Content-Type "text/html"'),
    half: expect.stringMatching(/./),
    wrong: expect.stringContaining('not valid gzip'),
    garbage: expect.stringContaining('body size limit exceeded'),
    refused: expect.stringContaining('connection refused'),
    hung0: expect.stringContaining('context deadline exceeded'),
    hung7: expect.stringContaining('context deadline exceeded'),
  });
  const most = Math.max(...journal.groups.map((recorded) => recorded.frames.length));
  for (const recorded of journal.groups) {
    const name = labelValue(recorded.meta.target, 'name');
    const good = name === 'good' || name === 'gzip';
    for (const frame of recorded.frames) {
      expect(frame.length, name).toBe(good ? 6 : 5);
      expect(frame[0]).toMatchObject({ value: good ? 1 : 0 });
    }
    // A tick may come late on a busy machine; but nobody waits longer than another.
    if (good) expect(recorded.frames.length, name).toBeGreaterThanOrEqual(most - 1);
  }
});
