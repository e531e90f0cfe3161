/**
 * Disks that take nothing for a while, under a leaf and under its parent, their logs on the same ones: both go on and say so, and nothing is lost. The
 * parent gets what the leaf scrapes meanwhile; a leaf killed then starts on the full disk.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import type { LedgerReport } from '@canopy/model';
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

it('what a disk does not take goes on in memory, and is not lost', async (context) => {
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
  const startLeaf = () => start('leaf', `${timing}${jobs}`, '--parent', parentUrl);
  const parent = start('parent', timing);
  let leaf = startLeaf();
  await Promise.all([leafUrl, parentUrl].map((url) => waitReady(url)));
  const isComplete = (): Promise<void> =>
    completeUpTo(parentUrl, Date.now() / 1000, ['leaf'], undefined, 60_000);
  await isComplete();
  const isHealthy = (url: string, healthy: boolean): Promise<void> =>
    eventually(30_000, `the store is ${healthy ? 'well' : 'ill'}`, async () => {
      const metrics = await get(`${url}/metrics`);
      expect(metrics).toMatch(new RegExp(`^canopy_store_healthy ${healthy ? 1 : 0}$`, 'm'));
      if (url === leafUrl)
        expect(metrics).toMatch(new RegExp(`^canopy_store_volatile ${healthy ? 0 : 1}$`, 'm'));
      const status = await get(`${url}/api/v1/status/hierarchy`);
      if (!healthy) expect(status).toContain('the disk');
    });
  const numbersAt = async (url: string): Promise<number[]> => {
    const [text] = (await rawSamples(url, 'scrape_number', Date.now() / 1000)).values();
    return (JSON.parse(text) as Array<[number, string]>).map(([, n]) => Number(n));
  };
  const logOf = (role: string): string => readFileSync(`${site.path(role)}/log`, 'utf8');

  // The parent goes on receiving, and after it both ends have the same.
  setDisk(leaf, 'full');
  await isHealthy(leafUrl, false);
  await isComplete();
  setDisk(leaf, 'free');
  await isHealthy(leafUrl, true);
  // What the log did not take was written later.
  await eventually(30_000, 'the log', async () =>
    expect(logOf('leaf')).toMatch(/the disk takes no writes: the journal goes on in memory/),
  );
  // The parent waits for its own disk.
  setDisk(parent, 'full');
  await isHealthy(parentUrl, false);
  await sleep(FULL_MS);
  expect(parent.isRunning, logOf('parent')).toBe(true);
  setDisk(parent, 'free');
  await isHealthy(parentUrl, true);
  await isComplete();
  expect(await gapsOf(parentUrl, 'leaf')).toEqual([]);
  const [here, there] = await Promise.all([leafUrl, parentUrl].map(numbersAt));
  expect(there.slice(0, here.length)).toEqual(here.slice(0, there.length));
  expect(there).toEqual(there.map((_, i) => i + there[0]));
  expect(there.length).toBeGreaterThan(FULL_MS / 500);

  // Killed with entries in memory alone, it starts on the full disk.
  setDisk(leaf, 'full');
  await isHealthy(leafUrl, false);
  const complete = scrapes;
  await isComplete();
  await leaf.kill('SIGKILL');
  const pulled = scrapes;
  leaf = startLeaf();
  await waitReady(leafUrl);
  await isHealthy(leafUrl, false);
  await eventually(30_000, 'scrapes', async () => expect(scrapes).toBeGreaterThan(pulled + 3));
  await isComplete();
  setDisk(leaf, 'free');
  await isHealthy(leafUrl, true);
  await isComplete();
  const [kept, all] = await Promise.all([leafUrl, parentUrl].map(numbersAt));
  const isLater = (n: number): boolean => n > pulled + 1;
  const last = Math.min(kept.at(-1)!, all.at(-1)!);
  expect(last).toBeGreaterThan(pulled + 1);
  expect(kept.filter((n) => isLater(n) && n <= last)).toEqual(
    all.filter((n) => isLater(n) && n <= last),
  );
  // Nothing twice, and nothing missing but what was scraped in the moment before the kill, which one gap tells.
  expect(all).toEqual([...new Set(all)].sort((a, b) => a - b));
  const must = Array.from({ length: last }, (_, i) => i + 1).filter((n) => n >= all[0]);
  const missing = must.filter((n) => !all.includes(n));
  expect(missing.filter((n) => n <= complete || n > pulled + 1)).toEqual([]);
  expect((await gapsOf(parentUrl, 'leaf')).map(({ cause }) => cause)).toEqual(['restart']);
  const { data } = JSON.parse(await get(`${parentUrl}/api/v1/status/ledger`)) as {
    data: LedgerReport;
  };
  expect(data.journals.flatMap(({ jobs }) => jobs.map(({ verdict }) => verdict))).toEqual([
    'balanced',
    'balanced',
  ]);
}, 120_000);
