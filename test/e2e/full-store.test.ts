/**
 * Stores that are far too small for what comes in: the oldest goes first, the parent goes on, and nothing is missing that is
 * newer than the oldest kept. It is killed in between; Redis's limit is lowered, and another user fills it.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '@canopy/store/testing';
import { gapsOf } from '../hierarchy.js';
import { Site, eventually, freePort, get, isWithout, query, waitReady } from '../processes.js';
import { type OldJournal, writeOldJournal } from './old-journal.js';

const site = new Site();
let redis: RedisServer | undefined;
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await redis?.stop();
});

const HOUR = 3_600_000;
const MIB = 1024 * 1024;
const [TARGETS, SERIES, INTERVAL, HOURS] = [16, 36, 15_000, 12];
/** The leaf has 13 MB. */
const LIMIT = 10 * MIB;

async function metric(base: string, name: string): Promise<number> {
  const text = await get(`${base}/metrics`);
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** A series of each target as the parent has it must be a run up to the newest sample, unchanged. Their least length. */
async function checkRuns(base: string, journal: OldJournal): Promise<number> {
  const { times } = journal;
  const time = Math.ceil(times[times.length - 1] / 1000);
  const result = await query(base, `m{number="7"}[${HOURS + 1}h]`, time);
  expect(result.length).toBe(TARGETS);
  for (const { metric: labels, values = [] } of result) {
    const first = times.length - values.length;
    const expected = journal.values(Number(labels.target), 7);
    const found = values.map(([at, value]) => `${Math.round(at * 1000)} ${Number(value)}`);
    const run = times.map((at, i) => `${at} ${expected[i]}`).slice(first);
    expect(found.join('\n'), `target ${labels.target}`).toBe(run.join('\n'));
  }
  return Math.min(...result.map(({ values = [] }) => values.length));
}

/** What the leaf scrapes now is there, so all before it was pulled. */
async function isLive(base: string): Promise<void> {
  const since = Date.now();
  await eventually(90_000, 'what the leaf scrapes now', async () => {
    const [series] = await query(base, 'timestamp(up{job="self"})');
    expect(Number(series?.value?.[1]) * 1000).toBeGreaterThan(since);
  });
}

/** The limit is lowered while the parent runs, then another user takes what there is and gives it back. */
async function attackRedis(server: RedisServer, parent: string): Promise<void> {
  const limit = 8 * MIB;
  await server.command('config', 'set', 'maxmemory', String(limit));
  await eventually(60_000, 'below the new limit', async () => {
    const info = String(await server.command('info', 'memory'));
    expect(Number(/used_memory:(\d+)/.exec(info)?.[1])).toBeLessThan(0.75 * limit);
  });
  await isLive(parent);
  const dropped = await metric(parent, 'canopy_retention_dropped_bytes_total');
  const fill = `for i = 1, 80 do redis.call('SET', 'foreign:' .. i, string.rep('x', 100000)) end`;
  await server.command('eval', fill, '0');
  await eventually(60_000, 'that Redis is full', async () => {
    const text = await get(`${parent}/api/v1/targets`);
    expect(text).toContain('has reached maxmemory');
  });
  // What is young is not given away for others, and is answered.
  expect((await query(parent, 'up{job="self"}')).length).toBe(1);
  expect(await metric(parent, 'canopy_retention_dropped_bytes_total')).toBeGreaterThanOrEqual(
    dropped,
  );
  await server.command('eval', `for i = 1, 80 do redis.call('UNLINK', 'foreign:' .. i) end`, '0');
  await isLive(parent);
}

const stores = isWithout('redis') ? ['embedded'] : ['embedded', 'redis'];

describe.each(stores)('a parent on a small %s store', (kind) => {
  it('drops the oldest and goes on', async () => {
    const [leafPort, parentPort] = [await freePort(), await freePort()];
    const parent = `http://127.0.0.1:${parentPort}`;
    const to = Math.floor(Date.now() / INTERVAL) * INTERVAL;
    const shape = { leaf: 'old', targets: TARGETS, series: SERIES, interval: INTERVAL };
    const folder = site.path(`${kind}-leaf`);
    const journal = await writeOldJournal(folder, { ...shape, from: to - HOURS * HOUR, to });
    if (kind === 'redis') redis = await startRedis(['--maxmemory', String(LIMIT)]);
    const self = `[{ job_name: self, static_configs: [{ targets: ["127.0.0.1:${leafPort}"] }] }]`;
    const every = 'global: { scrape_interval: 1s }';
    const leafConfig = site.file(`${kind}-leaf.yml`, `${every}\nscrape_configs: ${self}`);
    const parentConfig = site.file(`${kind}-parent.yml`, every);
    const store = redis === undefined ? ['--storage.max-bytes', '10MiB'] : ['--store', redis.url];
    const startParent = () =>
      site.canopy(
        `${kind} parent`,
        ...['parent', '--config.file', parentConfig, '--storage.path', site.path(`${kind}-parent`)],
        ...['--web.listen-address', `127.0.0.1:${parentPort}`, ...store],
      );
    const first = startParent();
    site.canopy(
      `${kind} leaf`,
      ...['leaf', '--config.file', leafConfig, '--storage.path', folder, '--leaf.name', 'leaf'],
      ...['--web.listen-address', `127.0.0.1:${leafPort}`, '--parent', parent],
      ...['--federation.max-page-bytes', '512KiB'],
    );
    await waitReady(parent);
    await eventually(90_000, 'something dropped', async () => {
      expect(await metric(parent, 'canopy_retention_dropped_bytes_total')).toBeGreaterThan(MIB);
    });
    await first.kill('SIGKILL');
    startParent();
    await waitReady(parent, 40_000);
    await isLive(parent);
    const kept = await checkRuns(parent, journal);
    expect(kept).toBeGreaterThan(120);
    expect(kept).toBeLessThan(journal.times.length);
    if (redis !== undefined) {
      await attackRedis(redis, parent);
      expect(await checkRuns(parent, journal)).toBeLessThan(kept);
    }
    // The leaf's own start after its kill, and nothing else.
    const causes = new Set((await gapsOf(parent, 'leaf')).map(({ cause }) => cause));
    expect([...causes]).toEqual(['restart']);
  });
});
