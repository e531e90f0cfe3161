/**
 * Readers of a leaf that ask for what they should not: without end, with cursors they made up, under ever new names and filters,
 * or take nothing of what they asked for. The leaf has a small heap; it scrapes on time, stays within its memory, and its parent
 * has all it had. And the cursor from beyond the end that is no lie: the leaf's folder came back from a backup.
 */
import { copyFileSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { JOURNALS_MAX, encodeCursor } from '../../packages/federation/src/cursor.js';
import type { HierarchyStatus, JournalRef } from '../../packages/model/src/index.js';
import { completeUpTo, gapsOf, rawSamples } from '../hierarchy.js';
import {
  MAIN,
  type Program,
  Site,
  eventually,
  freePort,
  get,
  sleep,
  waitReady,
} from '../processes.js';

const SERIES = 4000;
/** Of the leaf's scrapes: many times what one takes. */
const SCRAPE_MS = 1500;
const HOSTILE_MS = 5000;
const THERE = '127.0.0.2';
const FRAMES = 'application/vnd.canopy.frames;version=1';
/** The heap is bounded, too; beside it stand pages on their way: 8 of 4 MiB, in a few forms each. */
const GROWN_MIB_MAX = 300;

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());
let leaf: Program;
let ports: { leaf: number; parent: number };
const url = (name: 'leaf' | 'parent'): string => `http://127.0.0.1:${ports[name]}`;

beforeAll(async () => {
  ports = { leaf: await freePort(), parent: await freePort() };
  const exporter = await site.serve((_req, res) => {
    const lines = Array.from({ length: SERIES }, (_, i) => `x{i="${i}"} ${Math.random()}\n`);
    res.setHeader('content-type', 'text/plain').end(lines.join(''));
  });
  const config = (job: string, interval: number, more: string): string =>
    `global: {scrape_interval: ${interval}ms}\nscrape_configs: [{job_name: ${job}, ${more}}]`;
  const farm = `static_configs: [{targets: ["127.0.0.1:${exporter}"]}]`;
  site.file('leaf.yml', config('farm', SCRAPE_MS, farm));
  leaf = site.program(
    ...(['leaf', process.execPath, '--max-old-space-size=96', MAIN, 'leaf'] as const),
    ...['--config.file', site.path('leaf.yml'), '--storage.path', site.path('leaf')],
    ...['--web.listen-address', `127.0.0.1:${ports.leaf}`, '--leaf.name', 'leaf'],
  );
  const pull = `metrics_path: /federate, static_configs: [{targets: ["127.0.0.1:${ports.leaf}"]}]`;
  site.canopy(
    ...['parent', 'parent', '--config.file', site.file('parent.yml', config('leaves', 1000, pull))],
    ...['--storage.path', site.path('parent'), '--web.listen-address', `127.0.0.1:${ports.parent}`],
  );
  await Promise.all([waitReady(url('leaf')), waitReady(url('parent'))]);
  await completeUpTo(url('parent'), Date.now() / 1000, ['leaf']);
}, 60_000);

/** Asks from another address than the parent; `take` says what becomes of the answer. */
function ask(
  query: string,
  headers: Record<string, string>,
  take: (res: IncomingMessage, done: () => void) => void = (res, done) =>
    void res.on('close', done).resume(),
): Promise<void> {
  return new Promise((done) => {
    const path = `/federate${query}`;
    const all = { accept: FRAMES, ...headers };
    const options = { agent: false, localAddress: THERE, headers: all };
    const asked = request(`${url('leaf')}${path}`, options, (res) => take(res, done));
    asked.on('error', () => done()).end();
  });
}

async function status(): Promise<HierarchyStatus> {
  const text = await get(`${url('leaf')}/api/v1/status/hierarchy`, {}, 30_000);
  return (JSON.parse(text) as { data: HierarchyStatus }).data;
}

const made = (ref: JournalRef, epoch: number, sequence: number, replay = 0, told = 0): string =>
  encodeCursor({
    ...{ ref, position: { epoch, sequence }, complete: Number.MAX_SAFE_INTEGER, replay },
    told: { epoch: told, sequence: told },
    proof: undefined,
  });

/** Name → one question, again and again. */
const HOSTILE: Record<string, (ref: JournalRef, round: number) => Promise<void>> = {
  beginner: (_ref, round) => ask('', { 'accept-encoding': round % 2 ? 'br' : 'gzip' }),
  tiny: () => ask('', { 'canopy-page-bytes': '1' }),
  nobody: (_ref, round) => ask('', { 'canopy-reader': `n${round}` }),
  filters: (_ref, round) => ask(`?match[]={i=~".*${round % 50}.*"}`, { 'canopy-reader': 'f' }),
  many: () => ask(`?${'match[]=x&'.repeat(700)}`, {}),
  broken: () => ask('?match[]={', {}),
  epochs: (ref, round) => ask('', { 'canopy-cursor': made(ref, 2 + round, 1) }),
  end: (ref) => ask('', { 'canopy-cursor': made(ref, 2 ** 53 - 1, 2 ** 53 - 1) }),
  beyond: (ref) => ask('', { 'canopy-cursor': made(ref, 1, 2 ** 40) }),
  replay: (ref) => ask('', { 'canopy-cursor': made(ref, 1, 3, 2 ** 53 - 1, 2 ** 50) }),
  garbage: (_ref, round) => ask('', { 'canopy-cursor': `AQ${'.AQ'.repeat(round % 900)}` }),
  /** Takes the head and a little; is gone before the leaf cuts it off. */
  slow: () =>
    ask('', { 'canopy-reader': 'slow' }, (res, done) => {
      res.on('error', done).pause();
      setTimeout(() => (res.destroy(), done()), 3000);
    }),
  /** Gone while its page is made. */
  leaves: (_ref, round) =>
    new Promise((done) => {
      const options = { agent: false, localAddress: THERE, headers: { accept: FRAMES } };
      const asked = request(`${url('leaf')}/federate`, options);
      asked.on('error', () => undefined).on('close', () => done());
      asked.end(() => setTimeout(() => asked.destroy(), round % 20));
    }),
};

it('a reader may have cursors of as many journals as a source may have, and no more', async () => {
  const answered = async (journals: number): Promise<number | undefined> => {
    const cursors = Array.from({ length: journals }, (_, i) => {
      const ref = i.toString(16).padStart(32, '0') as JournalRef;
      return made(ref, 2 ** 52, 2 ** 52, 2 ** 52, 2 ** 53 - 1);
    });
    let code: number | undefined;
    await ask('', { 'canopy-cursor': cursors.join('.') }, (res, done) => {
      code = res.statusCode;
      res.on('close', done).resume();
    });
    return code;
  };
  expect(await answered(JOURNALS_MAX)).toBe(200);
  // Header too large, or too many cursors: the connection may be gone before the answer is read.
  expect(await answered(2 * JOURNALS_MAX)).not.toBe(200);
});

const vmHighWater = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

it('hostile readers take nothing from the scrapes, the memory and the parent of a leaf', async () => {
  const { journal } = await status();
  const before = vmHighWater(leaf.pid);
  const begun = Date.now();
  const attack = async (name: string): Promise<void> => {
    for (let round = 0; Date.now() - begun < HOSTILE_MS; round++) {
      await HOSTILE[name](journal!.ref, round);
      await sleep(5);
    }
  };
  await Promise.all([...Object.keys(HOSTILE), 'slow', 'slow', 'slow', 'filters'].map(attack));
  // While it lasts and after it: nothing is missing.
  const ended = Date.now() / 1000;
  await completeUpTo(url('parent'), ended, ['leaf'], undefined, 60_000);
  expect(await gapsOf(url('parent'), 'leaf')).toEqual([]);
  const [here, there] = await Promise.all(
    (['leaf', 'parent'] as const).map((name) => rawSamples(url(name), 'x{i=~"1.."}', ended)),
  );
  expect(here.size).toBe(100);
  expect(there).toEqual(here);
  const times = (JSON.parse([...here.values()][0]) as Array<[number, string]>).map(([at]) => at);
  // On a busy machine one begins a little late, none a step.
  const late = times.slice(1).map((at, i) => Math.abs((at - times[i]) * 1000 - SCRAPE_MS));
  expect(Math.max(...late)).toBeLessThan(SCRAPE_MS / 2);
  const metrics = await get(`${url('leaf')}/metrics`, {}, 30_000);
  expect(metrics).toMatch(/^canopy_scrapes_missed_total 0$/m);
  for (const outcome of ['sent', 'abandoned', 'bad_data', 'format', 'too_many_requests']) {
    expect(metrics).toMatch(
      new RegExp(`canopy_served_pages_total\\{outcome="${outcome}"\\} [1-9]`),
    );
  }
  // Whoever made up an epoch did not get one.
  expect((await status()).journal?.position.epoch).toBe(journal?.position.epoch);
  const grown = Math.round(vmHighWater(leaf.pid) - before);
  expect(grown).toBeLessThan(GROWN_MIB_MAX);
  console.log(`${grown} MiB more at the most, ${times.length} scrapes`);
});

it('a folder restored from a backup: what the parent has beyond it leads to a new epoch', async () => {
  const restart = async (change: () => void): Promise<void> => {
    expect(await leaf.kill('SIGTERM')).toBe(0);
    change();
    leaf.start();
    await waitReady(url('leaf'));
    await completeUpTo(url('parent'), Date.now() / 1000, ['leaf'], undefined, 60_000);
  };
  const [folder, backup] = [site.path('leaf'), site.path('backup')];
  const copy = (from: string, to: string): void => {
    mkdirSync(to, { recursive: true });
    // Into the files that are there: with others the folder would be a copy, and another journal.
    for (const name of readdirSync(from)) copyFileSync(`${from}/${name}`, `${to}/${name}`);
  };
  await restart(() => copy(folder, backup));
  await sleep(2 * SCRAPE_MS);
  const before = (await status()).journal!;
  await restart(() => copy(backup, folder));
  const after = await eventually(30_000, 'a new epoch', async () => {
    const now = (await status()).journal!;
    expect(now.position.epoch).not.toBe(before.position.epoch);
    return now;
  });
  expect([after.ref, after.position.epoch]).toEqual([before.ref, before.position.epoch + 1]);
  await eventually(30_000, 'the parent is where the leaf is', async () => {
    const text = await get(`${url('parent')}/api/v1/status/hierarchy`);
    const { sources } = (JSON.parse(text) as { data: HierarchyStatus }).data;
    expect(sources[0].journals[0].position.epoch).toBe(after.position.epoch);
  });
});
