/**
 * Leaves that answer a parent with what they should not: bodies without end, bombs, pages that lie. The parent has a small
 * heap; it stays up and within its memory, counts each by its reason, pulls the good leaf on time and shows its pages.
 */
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { constants, brotliCompressSync, gzipSync } from 'node:zlib';
import { ByteWriter, encodeEntry } from '../../packages/encoding/src/index.js';
import { encodePage } from '../../packages/federation/src/page.js';
import { EntryKind, type JournalRef, asTime } from '../../packages/model/src/index.js';
import { afterAll, expect, it } from 'vitest';
import { MAIN, Site, eventually, freePort, get, query, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

const MIB = 1 << 20;
const FRAMES = { 'content-type': 'application/vnd.canopy.frames;version=1' };
const zeros = Buffer.alloc(64 * MIB);
/** 1 GiB in 1 MB, and in a few hundred bytes. */
const gzipped = gzipSync(zeros, { level: 1 });
const gzipBomb = Buffer.concat(Array.from({ length: 16 }, () => gzipped));
const brotliBomb = brotliCompressSync(Buffer.alloc(512 * MIB), {
  params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 24 },
});

const id = (digit: string) => digit.repeat(32) as JournalRef;
const place = (sequence: number) => ({ epoch: 1, sequence });

function pageOf(digit: string, payload: Uint8Array, more: { report?: object } = {}): Uint8Array {
  const fields = { ...place(1), kind: EntryKind.layout, group: 1, time: asTime(1), key: false };
  return encodePage({
    ...{ serverName: 'hostile', serverTime: Date.now(), excluded: [] },
    report: more.report as never,
    journals: [
      {
        ...{ ref: id(digit), from: place(0), position: place(1), newest: place(1) },
        ...{ trimmed: { epoch: 0, sequence: 0 }, watermark: 0, keptFor: -1, cursor: '' },
        ...{ more: true, epochBreak: false, behindBytes: 2 ** 52, trail: [] },
        entries: [encodeEntry(fields, payload)],
      },
    ],
  });
}

/** A layout of `count` slots in three bytes each, each of which has 32 labels more. */
function labelBomb(count: number): Uint8Array {
  const writer = new ByteWriter(3 * count + 1024);
  for (const byte of [1, 0, 1, 1, 0, 0, 0]) writer.u8(byte);
  const names = Array.from({ length: 33 }, (_, i) => `n${String(i).padStart(2, '0')}`);
  writer.varint(34);
  for (const text of ['0', ...names]) {
    writer.varint(0);
    writer.text(text);
  }
  for (const number of [0, 0, 0, count, 0, count, 32]) writer.varint(number);
  for (let i = 1; i <= 32; i++) for (const number of [i, 0]) writer.varint(number);
  for (const number of [0, 1, 33]) writer.varint(number);
  for (let i = 1; i < 3 * count; i++) writer.u8(0);
  return writer.copy();
}

const whole =
  (body: Uint8Array, headers: Record<string, string> = {}): RequestListener =>
  (_req, res) =>
    void res.writeHead(200, { ...FRAMES, ...headers }).end(body);

let sent = 0;
const endless: RequestListener = (_req, res) => {
  res.writeHead(200, FRAMES);
  const chunk = zeros.subarray(0, MIB);
  const more = (): void => {
    do sent++;
    while (!res.destroyed && res.write(chunk));
  };
  res.on('drain', more);
  more();
};
const drip: RequestListener = (_req, res) => {
  res.writeHead(200, { ...FRAMES, 'content-length': String(50 * MIB) });
  const timer = setInterval(() => res.write('C'), 50);
  res.on('close', () => clearInterval(timer));
};

const good = pageOf('9', new Uint8Array(30));
const flipped = Uint8Array.from(good);
flipped[20] ^= 4;

/** On a slow machine the time is up before. */
const TOO_LARGE = /body size limit exceeded \(limit: 67108864 bytes\)|context deadline exceeded/;

/** Name → what it answers, and how that shows. */
const HOSTILE: Record<string, { answer: RequestListener; error: RegExp | '' }> = {
  gzip: {
    answer: whole(gzipBomb, { 'content-encoding': 'gzip' }),
    error: TOO_LARGE,
  },
  brotli: {
    answer: whole(brotliBomb, { 'content-encoding': 'br' }),
    error: TOO_LARGE,
  },
  endless: { answer: endless, error: TOO_LARGE },
  drip: { answer: drip, error: /context deadline exceeded/ },
  announces: {
    answer: (_req, res) => void res.writeHead(200, { ...FRAMES, 'content-length': '99999999999' }),
    error: TOO_LARGE,
  },
  labels: {
    answer: whole(pageOf('2', labelBomb(1 << 21))),
    error: /a layout unfolds to more than allowed/,
  },
  flipped: { answer: whole(flipped), error: /page has a wrong checksum/ },
  cut: { answer: whole(good.subarray(0, good.length >> 1)), error: /checksum|too early/ },
  garbage: { answer: whole(Buffer.from('<html>a proxy</html>')), error: /not a page of frames/ },
  // Always more, always the same, and a report of nonsense.
  repeats: { answer: whole(good), error: '' },
  nonsense: {
    answer: whole(pageOf('8', new Uint8Array(9), { report: { sources: 5, journal: 'x' } })),
    error: '',
  },
  thief: { answer: (req, res) => stolen(req, res), error: /another's, and not to be passed on/ },
};
let stolen: RequestListener = () => undefined;

const vmHighWater = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

it('hostile leaves harm only themselves', async () => {
  const hostilePort = await site.serve((req, res) => {
    const [, name] = (req.url ?? '').split('/');
    HOSTILE[name].answer(req, res);
  });
  const [port, leafPort] = [await freePort(), await freePort()];
  const [base, leaf] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${leafPort}`];
  const timing = 'global: {scrape_interval: 5s, scrape_timeout: 5s}\n';
  const parent = site.program(
    ...(['parent', process.execPath, '--max-old-space-size=256', MAIN, 'parent'] as const),
    ...['--config.file', site.file('parent.yml', timing), '--storage.path', site.path('parent')],
    ...['--web.listen-address', `127.0.0.1:${port}`],
  );
  await waitReady(base);
  const self = `- {job_name: self, static_configs: [{targets: ["127.0.0.1:${leafPort}"]}]}`;
  site.canopy(
    ...[
      'leaf',
      'leaf',
      '--config.file',
      site.file('leaf.yml', `${timing}scrape_configs:\n${self}`),
    ],
    ...['--storage.path', site.path('leaf'), '--web.listen-address', `127.0.0.1:${leafPort}`],
    ...['--parent', base],
  );
  const isFresh = async (): Promise<void> => {
    const age = await query(base, 'time() - timestamp(up{job="self"} == 1)', undefined, 30_000);
    expect(Number(age[0]?.value?.[1])).toBeLessThan(40);
  };
  await eventually(60_000, 'the good leaf is pulled', isFresh);
  const before = vmHighWater(parent.pid);
  const hierarchy = JSON.parse(await get(`${leaf}/api/v1/status/hierarchy`)) as {
    data: { journal: { ref: JournalRef } };
  };
  const theirs = encodePage({
    ...{ serverName: 'thief', serverTime: Date.now(), report: undefined, excluded: [] },
    journals: [
      {
        ...{ ref: hierarchy.data.journal.ref, from: place(0), position: place(2 ** 40) },
        ...{
          newest: place(2 ** 40),
          trimmed: { epoch: 0, sequence: 0 },
          watermark: 0,
          keptFor: -1,
        },
        ...{ cursor: '', more: false, epochBreak: false, behindBytes: 0, trail: [], entries: [] },
      },
    ],
  });
  stolen = whole(theirs);

  const own: Record<string, string> = { repeats: id('9'), nonsense: id('8') };
  for (const [i, name] of Object.keys(HOSTILE).entries()) {
    const response = await fetch(`${base}/api/v1/canopy/leaves`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ name, url: `http://127.0.0.1:${hostilePort}/${name}`, role: 'leaf' },
        journal: own[name] ?? i.toString(16).padStart(32, '0'),
      }),
    });
    expect([response.status, await response.text()]).toEqual([200, expect.anything()]);
  }
  await eventually(120_000, 'each is refused for what it is', async () => {
    const { data } = JSON.parse(await get(`${base}/api/v1/targets`, {}, 30_000)) as {
      data: { activeTargets: Array<{ scrapeUrl: string; lastError: string; health: string }> };
    };
    for (const [name, { error }] of Object.entries(HOSTILE)) {
      const target = data.activeTargets.find(({ scrapeUrl }) => scrapeUrl.includes(`/${name}/`));
      expect(target?.health, name).not.toBe('unknown');
      if (error === '') expect(target?.lastError, name).toBe('');
      else expect(target?.lastError, name).toMatch(error);
    }
  });
  await isFresh();
  const metrics = await get(`${base}/metrics`, {}, 30_000);
  for (const reason of ['damaged', 'too_large', 'foreign_journal']) {
    const count = new RegExp(`canopy_pulls_refused_total\\{reason="${reason}"\\} [1-9]`);
    expect(metrics).toMatch(count);
  }
  expect(metrics).toMatch(/canopy_unusable_reports_total [1-9]/);
  for (const path of ['status/hierarchy', 'status/ledger', 'targets', 'status/tsdb']) {
    expect(await get(`${base}/api/v1/${path}`, {}, 30_000)).toContain('"success"');
  }
  // What the good leaf has is there, the thief did not move it on.
  const ledger = JSON.parse(await get(`${base}/api/v1/status/ledger`, {}, 30_000)) as {
    data: { journals: Array<{ ref: string; position: { sequence: number } }> };
  };
  const pulled = ledger.data.journals.find(({ ref }) => ref === hierarchy.data.journal.ref);
  expect(pulled?.position.sequence).toBeLessThan(2 ** 30);
  expect(parent.isRunning).toBe(true);
  const grown = vmHighWater(parent.pid) - before;
  // Pulls at once, each with a body of at most 64 MiB as sent and 64 MiB unpacked.
  expect(grown).toBeLessThan(8 * 2 * 64 + 256);
  console.log(`${Math.round(grown)} MiB more at the most, ${sent} MiB of the endless body`);
});
