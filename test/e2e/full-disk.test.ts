/**
 * Disks that take nothing for a while, under a leaf and under its parent, their logs on the same ones: both go on and say so,
 * nothing is lost.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
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
const programs: Program[] = [];
const disks: string[] = [];
afterAll(async () => {
  for (const program of programs) await program.kill('SIGKILL');
  for (const disk of disks) execFileSync('umount', [disk]);
  await site[Symbol.asyncDispose]();
});

/** A file system of its own, of few bytes; false where this user may not have one. */
function makeDisk(name: string): boolean {
  mkdirSync(site.path(name));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', site.path(name)], {
      stdio: 'pipe',
    });
    disks.push(site.path(name));
    return true;
  } catch (error) {
    console.log(`Left out: a full disk needs a file system of its own: ${String(error)}`);
    return false;
  }
}

function setDisk({ name }: Program, is: 'full' | 'free'): void {
  const file = `${site.path(name)}/filling`;
  if (is === 'free') return rmSync(file);
  // It ends where there is no room left.
  spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k']);
}

it('what a disk does not take waits, and is not lost', async (context) => {
  if (!makeDisk('leaf') || !makeDisk('parent')) return context.skip();
  let scrapes = 0;
  const exporter = await site.serve((_req, res) => {
    res.setHeader('content-type', 'text/plain').end(`scrape_number ${++scrapes}\n`);
  });
  const timing = 'global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n';
  const jobs = `scrape_configs: [{job_name: x, static_configs: [{targets: ["127.0.0.1:${exporter}"]}]}]`;
  const ports = { leaf: await freePort(), parent: await freePort() };
  const [leafUrl, parentUrl] = [ports.leaf, ports.parent].map((port) => `http://127.0.0.1:${port}`);
  const start = (role: 'leaf' | 'parent', config: string, ...flags: string[]): Program => {
    const program = site.program(
      ...[role, 'sh', '-c', `exec "$@" 2>> ${site.path(role)}/log`, 'sh'],
      ...[process.execPath, MAIN, role, '--config.file', site.file(`${role}.yml`, config)],
      ...['--storage.path', site.path(role), '--leaf.name', role],
      ...['--web.listen-address', `127.0.0.1:${ports[role]}`, ...flags],
    );
    programs.push(program);
    return program;
  };
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
    expect(program.isRunning, readFileSync(`${site.path(program.name)}/log`, 'utf8')).toBe(true);
    setDisk(program, 'free');
    await isHealthy(url, true);
    await isComplete();
  }
  // What the log did not take was written later.
  expect(readFileSync(`${site.path('leaf')}/log`, 'utf8')).toMatch(/does not take journal commits/);
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
