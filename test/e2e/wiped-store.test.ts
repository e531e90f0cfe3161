/**
 * FLUSHALL where no journal has anything new: no commit finds it out, the parent does. What the leaf's journal holds is
 * stored again; so is what only the parent's memory has, its leaf being gone.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { completeUpTo, rawSamples } from '../hierarchy.js';
import { Site, eventually, freePort, isWithout, sleep, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

it.skipIf(isWithout('redis'))(
  'a wiped Redis is filled again though nothing is scraped',
  async () => {
    const [redisPort, leafPort, parentPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const leaf = `http://127.0.0.1:${leafPort}`;
    const parent = `http://127.0.0.1:${parentPort}`;
    const jobs = `scrape_configs: [{ job_name: self, static_configs: [{ targets: ["127.0.0.1:${leafPort}"] }] }]`;
    const leafConfig = site.file('leaf.yml', `global: { scrape_interval: 100ms }\n${jobs}`);
    const parentConfig = site.file('parent.yml', 'global: { scrape_interval: 500ms }');
    const redis = (...args: string[]): string =>
      execFileSync('redis-cli', ['-p', String(redisPort), ...args])
        .toString()
        .trim();
    site.program(
      'redis',
      'redis-server',
      ...['--bind', '127.0.0.1', '--port', String(redisPort), '--dir', site.folder],
      ...['--save', '', '--maxmemory', '128mb', '--maxmemory-policy', 'noeviction'],
    );
    const startParent = () =>
      site.canopy(
        'parent',
        ...['parent', '--config.file', parentConfig, '--storage.path', site.path('parent')],
        ...['--web.listen-address', `127.0.0.1:${parentPort}`],
        ...['--store', `redis://127.0.0.1:${redisPort}`],
      );
    const startLeaf = () =>
      site.canopy(
        'leaf',
        ...['leaf', '--config.file', leafConfig, '--storage.path', site.path('leaf')],
        ...['--web.listen-address', `127.0.0.1:${leafPort}`, '--web.enable-lifecycle'],
        ...['--leaf.name', 'leaf', '--parent', parent],
      );
    /** Of journals on a disk: the parent's own, which says that it asks the leaf, is in an epoch by the clock. */
    const positions = (): string[] =>
      redis('--scan', '--pattern', '*:state')
        .split('\n')
        .filter((key) => key !== '')
        .map((key) => redis('hget', key, 'position'))
        .filter((position) => position.startsWith('1-'));
    const samples = async (base: string): Promise<Map<string, string>> =>
      rawSamples(base, '{job="self"}', Math.floor(Date.now() / 1000));

    const first = startParent();
    const firstLeaf = startLeaf();
    await waitReady(parent);
    await eventually(20_000, 'scrapes', async () => {
      expect([...(await samples(parent)).values()].join('').length).toBeGreaterThan(10_000);
    });
    writeFileSync(leafConfig, 'global: { scrape_interval: 100ms }');
    expect((await fetch(`${leaf}/-/reload`, { method: 'POST' })).status).toBe(200);
    await sleep(1500);
    await completeUpTo(parent, Date.now() / 1000 - 1, ['leaf']);
    const journalled = await samples(leaf);
    expect(await samples(parent)).toEqual(journalled);
    const stored = positions();
    expect(stored).toHaveLength(1);

    redis('flushall');
    await eventually(30_000, 'the store filled again', async () =>
      expect(positions()).toEqual(stored),
    );
    await firstLeaf.kill('SIGKILL');
    await first.kill('SIGKILL');
    const second = startParent();
    await waitReady(parent, 20_000);
    expect(await samples(parent)).toEqual(journalled);

    // Nobody has it but the memory of this parent.
    redis('flushall');
    await eventually(30_000, 'the store filled from memory', async () => {
      expect(positions()).toEqual(stored);
      expect(redis('--scan', '--pattern', '*:tiles:*')).not.toBe('');
      expect(await samples(parent)).toEqual(journalled);
    });
    await second.kill('SIGKILL');
    startParent();
    await waitReady(parent, 20_000);
    expect(await samples(parent)).toEqual(journalled);
    startLeaf();
    await eventually(40_000, 'the store filled by a leaf that came back', async () => {
      // The same, and the gap that the leaf's own end was.
      expect(positions()).toHaveLength(1);
      expect(await samples(parent)).toEqual(journalled);
    });
  },
);
