/**
 * A leaf that was away for six hours comes back: its samples end in blocks of their own two hours, blocks of other leaves stay
 * as they are, and queries over these hours find everything. Real processes and a real Redis; the parent's housekeeping
 * is done each second, the leaves' journals were written with the times of then.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { BlockMeta } from '@canopy/model';
import { type RedisServer, startRedis } from '@canopy/store/testing';
import { gapsOf } from '../hierarchy.js';
import { Site, eventually, freePort, isWithout, query, sleep, waitReady } from '../processes.js';
import { type OldJournal, writeOldJournal } from './old-journal.js';

const site = new Site();
let redis: RedisServer | undefined;
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await redis?.stop();
});

const HOUR = 3_600_000;
const WINDOW = 2 * HOUR;
const [TARGETS, SERIES, INTERVAL] = [3, 20, 15_000];
const HASTY = fileURLToPath(new URL('hasty-parent.ts', import.meta.url));

type Blocks = Map<number, BlockMeta & { readonly sum: string }>;

const windowOf = (time: number): number => Math.floor(time / WINDOW) * WINDOW;

/** Records of a journal's finished blocks, by number, with a digest of their bytes. */
async function blocksOf(server: RedisServer, ref: string): Promise<Blocks> {
  const key = `canopy:{${ref}}:`;
  const fields = (await server.command('hgetall', `${key}blocks`)) as Record<string, string>;
  const found = new Map() as Blocks;
  for (const [field, record] of Object.entries(fields)) {
    if (!/^\d+$/.test(field)) continue;
    const meta = JSON.parse(record.slice(0, -9)) as BlockMeta;
    const script = `local sum = '' for _, key in ipairs(KEYS) do sum = redis.sha1hex(sum .. redis.call('GET', key)) end return sum`;
    const chunks = Math.ceil((meta.tileBytes + meta.indexBytes) / 262_080);
    const keys = Array.from({ length: chunks }, (_, chunk) => `${key}block:${meta.id}:${chunk}`);
    const sum = String(await server.command('eval', script, String(chunks), ...keys));
    found.set(meta.id, { ...meta, sum });
  }
  return found;
}

/** Every sample of every series, at its time. */
async function checkAll(base: string, journal: OldJournal, leaf: string): Promise<void> {
  const time = Math.ceil(journal.times[journal.times.length - 1] / 1000);
  const result = await query(base, `m{leaf="${leaf}"}[7h]`, time);
  expect(result.length).toBe(TARGETS * SERIES);
  for (const { metric, values = [] } of result) {
    const expected = journal.values(Number(metric.target), Number(metric.number));
    const found = values.map(([at, value]) => `${Math.round(at * 1000)} ${Number(value)}`);
    expect(found).toEqual(journal.times.map((at, i) => `${at} ${expected[i]}`));
  }
}

describe.skipIf(isWithout('redis'))('a leaf that comes back after six hours', () => {
  it('fills its own windows', async () => {
    // Windows that are long over, so that they are sealed at once: from eleven to five hours ago.
    const to = Math.floor((Date.now() - 5 * HOUR) / INTERVAL) * INTERVAL;
    const shape = { targets: TARGETS, series: SERIES, interval: INTERVAL, from: to - 6 * HOUR, to };
    const journals = new Map<string, OldJournal>();
    for (const leaf of ['near', 'late']) {
      journals.set(leaf, await writeOldJournal(site.path(leaf), { leaf, ...shape }));
    }
    const [near, late] = [journals.get('near')!, journals.get('late')!];
    const server = (redis = await startRedis());
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const config = site.file('parent.yml', 'global: { scrape_interval: 1s }');
    const program = site.program(
      'parent',
      process.execPath,
      ...['--conditions=canopy-source', '--import', 'tsx', HASTY, 'parent'],
      ...['--config.file', config, '--storage.path', site.path('parent'), '--store', server.url],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
    await waitReady(base, 60_000);
    const comeBack = async (leaf: string): Promise<void> => {
      site.canopy(
        leaf,
        ...[
          'leaf',
          '--config.file',
          site.file(`${leaf}.yml`, ''),
          '--storage.path',
          site.path(leaf),
        ],
        ...['--web.listen-address', `127.0.0.1:${await freePort()}`, '--leaf.name', leaf],
        ...['--parent', base],
      );
    };
    /** Once every window is in a block and two rounds of housekeeping have changed nothing. */
    const settled = (ref: string): Promise<Blocks> =>
      eventually(90_000, `blocks of ${ref}`, async () => {
        const blocks = await blocksOf(server, ref);
        const windows = new Set<number>();
        for (const { from, to: end } of blocks.values()) {
          for (let at: number = from; at < end; at += WINDOW) windows.add(at);
        }
        for (let at = windowOf(shape.from); at < to; at += WINDOW) expect(windows).toContain(at);
        await sleep(2500);
        expect(await blocksOf(server, ref)).toEqual(blocks);
        return blocks;
      });
    /** Beginnings of the windows that the parent says it has sealed. */
    const sealedWindows = (ref: string): number[] => {
      const lines = program.output
        .split('\n')
        .filter((line) => line.includes('a window was sealed'));
      const own = lines.filter((line) => line.includes(ref));
      return own.map((line) => Number(/"from":(\d+)/.exec(line)?.[1]));
    };
    await comeBack('near');
    const before = await settled(near.ref);
    await checkAll(base, near, 'near');
    await comeBack('late');
    const filled = await settled(late.ref);
    const expected = [];
    for (let at = windowOf(shape.from); at < to; at += WINDOW) expected.push(at);
    expect([...new Set(sealedWindows(late.ref))].sort()).toEqual(expected);
    // Each block, merged or not, holds whole windows; a tile is where its newest sample is.
    for (const block of filled.values()) {
      expect(block.from % WINDOW).toBe(0);
      expect(block.maxTime).toBeGreaterThanOrEqual(block.from);
      expect(block.maxTime).toBeLessThan(block.to);
      expect(block.minTime).toBeGreaterThan(block.from - 121 * INTERVAL);
    }
    await checkAll(base, late, 'late');
    await checkAll(base, near, 'near');
    expect(await blocksOf(server, near.ref)).toEqual(before);
    for (const leaf of ['near', 'late']) {
      const causes = (await gapsOf(base, leaf)).map(({ cause }) => cause);
      expect([...new Set(causes)]).toEqual(['restart']);
    }
  });
});
