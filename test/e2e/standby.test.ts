/**
 * Two parents on one Redis: one pulls and writes, the other follows and answers. Killed, frozen and
 * awake again: each scrape of the leaf is there once, at its own time, whichever is asked.
 */
import { afterAll, expect, it } from 'vitest';
import { completeUpTo, gapsOf, rawSamples } from '../hierarchy.js';
import {
  type Program,
  Site,
  eventually,
  freePort,
  get,
  isWithout,
  waitReady,
} from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

/** From the death of one to the first page that the other has stored. */
const TAKE_OVER_MS = 15_000;

const now = (): number => Math.floor(Date.now() / 1000);

async function metric(base: string, name: string): Promise<number> {
  const text = await get(`${base}/metrics`);
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function notices(base: string): Promise<readonly string[]> {
  const body = JSON.parse(await get(`${base}/api/v1/status/hierarchy`)) as {
    data: { notices: string[] };
  };
  return body.data.notices;
}

/** What the leaf journalled up to `time` is at `base`, all of it and once. */
async function checkSame(leaf: string, base: string, time: number): Promise<void> {
  const selector = `{job="self",instance="${new URL(leaf).host}"}`;
  await completeUpTo(base, time, ['leaf']);
  const journalled = await rawSamples(leaf, selector, time);
  // A standby's watermark is read from the store before its entries are.
  await eventually(10_000, `${base} level with the store`, async () => {
    const there = await rawSamples(base, selector, time);
    expect([...there.keys()].sort()).toEqual([...journalled.keys()].sort());
    for (const [labels, values] of journalled) expect(there.get(labels), labels).toBe(values);
  });
  expect(journalled.size).toBeGreaterThan(50);
}

async function isStandby(base: string): Promise<void> {
  await eventually(20_000, `${base} on standby`, async () => {
    expect(await get(`${base}/-/ready`)).toContain('standby');
  });
  expect(await metric(base, 'canopy_parent_standby')).toBe(1);
  expect((await notices(base)).join()).toContain('standby');
}

/** Milliseconds from now until `base` has stored something new of the leaf. */
async function tookOver(base: string): Promise<number> {
  const begun = performance.now();
  // Seconds are rounded down: what was stored before must not be enough.
  const died = now() + 1;
  await completeUpTo(base, died, ['leaf']);
  expect(await metric(base, 'canopy_parent_standby')).toBe(0);
  return performance.now() - begun;
}

it.skipIf(isWithout('redis'))('two parents on one Redis take turns', async () => {
  const ports = [];
  for (let i = 0; i < 5; i++) ports.push(await freePort());
  const [redisPort, firstPort, secondPort, leafPort, otherPort] = ports;
  const url = (port: number): string => `http://127.0.0.1:${port}`;
  const [first, second, leaf] = [url(firstPort), url(secondPort), url(leafPort)];
  site.program(
    'redis',
    'redis-server',
    ...['--bind', '127.0.0.1', '--port', String(redisPort), '--dir', site.folder],
    ...['--save', '', '--maxmemory', '128mb', '--maxmemory-policy', 'noeviction'],
  );
  const parentConfig = site.file('parent.yml', 'global: { scrape_interval: 1s }');
  const startParent = (name: string, port: number): Program =>
    site.canopy(
      name,
      ...['parent', '--config.file', parentConfig, '--storage.path', site.path(name)],
      ...['--web.listen-address', `127.0.0.1:${port}`, '--leaf.name', name],
      ...['--store', `redis://127.0.0.1:${redisPort}`],
    );
  const startLeaf = (name: string, port: number, parent: string): Program => {
    const config = `global: { scrape_interval: 250ms }\nscrape_configs: [{ job_name: self, static_configs: [{ targets: ["127.0.0.1:${port}"] }] }]`;
    return site.canopy(
      name,
      ...['leaf', '--config.file', site.file(`${name}.yml`, config)],
      ...['--storage.path', site.path(name), '--leaf.name', name],
      ...['--web.listen-address', `127.0.0.1:${port}`, '--parent', parent],
    );
  };
  let firstProgram = startParent('first', firstPort);
  await waitReady(first);
  startLeaf('leaf', leafPort, first);
  const secondProgram = startParent('second', secondPort);
  await waitReady(second);
  await isStandby(second);
  expect(await metric(first, 'canopy_parent_standby')).toBe(0);
  await eventually(20_000, 'the first scrapes', async () => {
    expect((await rawSamples(leaf, '{job="self"}', now())).size).toBeGreaterThan(50);
  });
  await checkSame(leaf, first, now());
  await checkSame(leaf, second, now());
  // It could not keep a leaf that is new, and says so.
  const announcement = {
    name: 'x',
    url: 'http://127.0.0.1:1',
    journal: 'a'.repeat(32),
    labels: {},
  };
  const refused = await fetch(`${second}/api/v1/canopy/leaves`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(announcement),
  });
  expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining('standby')]);

  await firstProgram.kill('SIGKILL');
  const afterKill = await tookOver(second);
  expect(afterKill).toBeLessThan(TAKE_OVER_MS);
  await checkSame(leaf, second, now());

  // The one that was killed comes back: now it follows.
  firstProgram = startParent('first', firstPort);
  await waitReady(first);
  await isStandby(first);
  await checkSame(leaf, first, now());
  startLeaf('other', otherPort, second);
  await completeUpTo(second, now(), ['other']);

  // Only frozen: the first takes over, the second finds itself fenced when it wakes.
  process.kill(secondProgram.pid, 'SIGSTOP');
  const afterFreeze = await tookOver(first);
  expect(afterFreeze).toBeLessThan(TAKE_OVER_MS);
  process.kill(secondProgram.pid, 'SIGCONT');
  await isStandby(second);
  await checkSame(leaf, first, now());
  await checkSame(leaf, second, now());
  expect(await gapsOf(first, 'leaf')).toEqual([]);

  // A clean end does not wait for the lease to run out.
  await firstProgram.kill('SIGTERM');
  const afterStop = await tookOver(second);
  await checkSame(leaf, second, now());
  const rounded = [afterKill, afterFreeze, afterStop].map((ms) => (ms / 1000).toFixed(1));
  console.log(`taken over after kill, freeze, stop: ${rounded.join(', ')} s`);
  expect(afterStop).toBeLessThan(8000);
});
