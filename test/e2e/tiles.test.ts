/**
 * Long enough for tiles: closed, written to the store, the journal cut behind them, sealed into a
 * block, and all of it read back by a parent (and a leaf) that was killed. At ten scrapes a second a tile closes every
 * 12 s; windows are ten seconds instead of two hours.
 */
import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { completeUpTo, gapsOf, rawSamples } from '../hierarchy.js';
import {
  type Program,
  Site,
  eventually,
  freePort,
  get,
  isWithout,
  sleep,
  waitReady,
} from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

async function metric(base: string, name: string): Promise<number> {
  const text = await get(`${base}/metrics`);
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

const redisCli = (port: number, ...args: string[]): string =>
  execFileSync('redis-cli', ['-p', String(port), ...args])
    .toString()
    .trim();

const keysOf = (port: number, pattern: string): string[] =>
  redisCli(port, '--scan', '--pattern', pattern).split('\n').sort();

/** In the first tile of a window's hash. */
const FLIP = `
local field = redis.call('HKEYS', KEYS[1])[1]
local tile = redis.call('HGET', KEYS[1], field)
local byte = string.char(bit.bxor(string.byte(tile, 88), 1))
return redis.call('HSET', KEYS[1], field, string.sub(tile, 1, 87) .. byte .. string.sub(tile, 89))`;

function flipBit(port: number, key: string): void {
  redisCli(port, 'eval', FLIP, '1', key);
}

const stores = isWithout('redis') ? ['embedded'] : ['embedded', 'redis'];

describe.each(stores)('tiles and blocks in the %s store', (kind) => {
  it('come back after kill -9, and go with their retention', async () => {
    const [leafPort, parentPort, redisPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const leaf = `http://127.0.0.1:${leafPort}`;
    const parent = `http://127.0.0.1:${parentPort}`;
    const leafConfig = site.file(
      `${kind}-leaf.yml`,
      `global: { scrape_interval: 100ms }\nscrape_configs: [{ job_name: self, static_configs: [{ targets: ["127.0.0.1:${leafPort}"] }] }]`,
    );
    const parentConfig = site.file(`${kind}-parent.yml`, 'global: { scrape_interval: 500ms }');
    const startParent = (...more: string[]) =>
      site.canopy(
        `${kind} parent`,
        ...['parent', '--config.file', parentConfig, '--storage.path', site.path(`${kind}-parent`)],
        ...['--web.listen-address', `127.0.0.1:${parentPort}`],
        // In Redis a loose tile is damaged below: it must not have become a part of a block.
        ...(kind === 'embedded' ? ['--blocks.window', '10s'] : []),
        ...(kind === 'redis' ? ['--store', `redis://127.0.0.1:${redisPort}`] : []),
        ...more,
      );
    let redis: Program | undefined;
    if (kind === 'redis') {
      redis = site.program(
        'redis',
        'redis-server',
        ...['--bind', '127.0.0.1', '--port', String(redisPort), '--dir', site.folder],
        ...['--save', '', '--maxmemory', '128mb', '--maxmemory-policy', 'noeviction'],
      );
    }
    const first = startParent();
    const startLeaf = () =>
      site.canopy(
        `${kind} leaf`,
        ...['leaf', '--config.file', leafConfig, '--storage.path', site.path(`${kind}-leaf`)],
        ...['--web.listen-address', `127.0.0.1:${leafPort}`],
        ...['--leaf.name', 'leaf', '--parent', parent],
      );
    const firstLeaf = startLeaf();
    await waitReady(parent);
    await eventually(45_000, 'two tiles stored', async () => {
      expect(await metric(parent, 'canopy_tiles_stored_total')).toBeGreaterThanOrEqual(2);
    });
    if (kind === 'redis') {
      execFileSync('redis-cli', ['-p', String(redisPort), 'flushall']);
      // Pulled again with nobody's help, and tiles are made anew.
      await eventually(30_000, 'what Redis lost', async () => {
        const stored = await metric(parent, 'canopy_store_used_bytes');
        expect(await metric(parent, 'canopy_tiles_stored_total')).toBeGreaterThanOrEqual(4);
        expect(stored).toBeGreaterThan(0);
      });
    }
    const blocks = kind === 'embedded' ? 1 : 0;
    await eventually(45_000, 'a window sealed', async () => {
      expect(await metric(parent, 'canopy_blocks_sealed_total')).toBeGreaterThanOrEqual(blocks);
    });
    await first.kill('SIGKILL');
    let second = startParent();
    await waitReady(parent);
    await sleep(2000);
    const time = Math.floor(Date.now() / 1000);
    await completeUpTo(parent, time, ['leaf']);
    const journalled = await rawSamples(leaf, '{job="self"}', time);
    const stored = await rawSamples(parent, '{job="self"}', time);
    expect(journalled.size).toBeGreaterThan(50);
    expect([...stored.keys()].sort()).toEqual([...journalled.keys()].sort());
    for (const [labels, values] of journalled) expect(stored.get(labels), labels).toBe(values);
    expect(await metric(parent, 'canopy_blocks')).toBeGreaterThanOrEqual(blocks);
    expect(await metric(parent, 'canopy_tiles_unreadable_total')).toBe(0);

    if (kind === 'embedded') {
      // The leaf: its tiles and the end of its journal say what all of the journal said.
      await eventually(45_000, 'tiles of the leaf', async () => {
        expect(await metric(leaf, 'canopy_tiles_stored_total')).toBeGreaterThanOrEqual(1);
      });
      await firstLeaf.kill('SIGKILL');
      startLeaf();
      await waitReady(leaf);
      expect(await rawSamples(leaf, '{job="self"}', time)).toEqual(journalled);
    }
    if (redis !== undefined) {
      // What the store had of the last hours is in memory by now: it is answered while Redis hangs.
      await eventually(15_000, 'nothing cold', async () => {
        expect(await get(`${parent}/-/ready`)).toBe('Canopy is Ready.\n');
      });
      process.kill(redis.pid, 'SIGSTOP');
      const answered = await rawSamples(parent, '{job="self"}', time);
      process.kill(redis.pid, 'SIGCONT');
      expect(answered).toEqual(stored);

      // One bit of one tile: the tile is not shown, and its time named.
      await second.kill('SIGKILL');
      const status = JSON.parse(await get(`${leaf}/api/v1/status/hierarchy`)) as {
        data: { journal: { ref: string } };
      };
      const [tile] = keysOf(redisPort, `*${status.data.journal.ref}*:tiles:*`);
      flipBit(redisPort, tile);
      second = startParent();
      await waitReady(parent);
      const gap = await eventually(30_000, 'the gap named', async () => {
        const gaps = await gapsOf(parent, 'leaf');
        const found = gaps.find(({ cause }) => cause === 'corrupt');
        if (found === undefined) throw new Error(JSON.stringify(gaps));
        return found;
      });
      const isThere = ([at]: readonly [number, string]): boolean =>
        Math.round(at * 1000) <= gap.from || Math.round(at * 1000) >= gap.to;
      const left = await rawSamples(parent, '{job="self"}', time);
      for (const [labels, text] of stored) {
        const kept = (JSON.parse(text) as Array<[number, string]>).filter(isThere);
        expect(left.get(labels) ?? '[]', labels).toBe(JSON.stringify(kept));
      }
      expect(await metric(parent, 'canopy_corrupt_entries_total')).toBe(1);
    }

    // With a retention shorter than what is there, the oldest tiles go; what is in memory stays.
    await second.kill('SIGTERM');
    startParent('--retention.raw', '10s');
    await waitReady(parent);
    await eventually(75_000, 'tiles dropped', async () => {
      expect(await metric(parent, 'canopy_retention_dropped_bytes_total')).toBeGreaterThan(0);
    });
  });
});
