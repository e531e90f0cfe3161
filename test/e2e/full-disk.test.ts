/**
 * Disks that take nothing for a while, under a leaf and under its parent, their logs on the same ones: both go on and say so,
 * nothing is lost. A bound on the size of files stands for the disk: all writes are refused.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
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

const FULL_MS = 1500;

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

function setDisk(program: Program, is: 'full' | 'free'): void {
  const bytes = is === 'full' ? '1' : 'unlimited';
  execFileSync('prlimit', ['--pid', String(program.pid), `--fsize=${bytes}:unlimited`]);
}

it('what a disk does not take waits, and is not lost', async () => {
  let scrapes = 0;
  const exporter = await site.serve((_req, res) => {
    res.setHeader('content-type', 'text/plain').end(`scrape_number ${++scrapes}\n`);
  });
  const timing = 'global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n';
  const jobs = `scrape_configs: [{job_name: x, static_configs: [{targets: ["127.0.0.1:${exporter}"]}]}]`;
  const ports = { leaf: await freePort(), parent: await freePort() };
  const [leafUrl, parentUrl] = [ports.leaf, ports.parent].map((port) => `http://127.0.0.1:${port}`);
  const start = (role: 'leaf' | 'parent', config: string, ...flags: string[]): Program =>
    site.program(
      ...[role, 'sh', '-c', `exec "$@" 2>> ${site.path(`${role}.log`)}`, 'sh'],
      ...[process.execPath, MAIN, role, '--config.file', site.file(`${role}.yml`, config)],
      ...['--storage.path', site.path(role), '--leaf.name', role],
      ...['--web.listen-address', `127.0.0.1:${ports[role]}`, ...flags],
    );
  const parent = start('parent', timing);
  const leaf = start('leaf', `${timing}${jobs}`, '--parent', parentUrl);
  await Promise.all([leafUrl, parentUrl].map((url) => waitReady(url)));
  const isComplete = (): Promise<void> =>
    completeUpTo(parentUrl, Date.now() / 1000, ['leaf'], undefined, 60_000);
  await isComplete();
  const isHealthy = (url: string, healthy: boolean): Promise<void> =>
    eventually(30_000, `the store is ${healthy ? 'well' : 'ill'}`, async () => {
      const metrics = await get(`${url}/metrics`);
      expect(metrics).toMatch(new RegExp(`^canopy_store_healthy ${healthy ? 1 : 0}$`, 'm'));
      const status = await get(`${url}/api/v1/status/hierarchy`);
      if (!healthy) expect(status).toContain('the disk');
    });
  for (const [program, url] of [
    [leaf, leafUrl],
    [parent, parentUrl],
  ] as const) {
    setDisk(program, 'full');
    await isHealthy(url, false);
    await sleep(FULL_MS);
    expect(program.isRunning, readFileSync(site.path(`${program.name}.log`), 'utf8')).toBe(true);
    setDisk(program, 'free');
    await isHealthy(url, true);
    await isComplete();
  }
  // What the log did not take was written later.
  expect(readFileSync(site.path('leaf.log'), 'utf8')).toMatch(/does not take journal commits/);
  expect(await gapsOf(parentUrl, 'leaf')).toEqual([]);
  const time = Date.now() / 1000 - 1;
  const [here, there] = await Promise.all(
    [leafUrl, parentUrl].map((url) => rawSamples(url, 'scrape_number', time)),
  );
  expect(there).toEqual(here);
  const numbers = (JSON.parse([...there.values()][0]) as Array<[number, string]>).map(([, n]) =>
    Number(n),
  );
  expect(numbers).toEqual(numbers.map((_, i) => i + numbers[0]));
  expect(numbers.length).toBeGreaterThan((2 * FULL_MS) / 500);
});
