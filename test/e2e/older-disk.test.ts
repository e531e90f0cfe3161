/**
 * A leaf's storage folder is put back from an older copy, and the leaf writes past what its parent has before the parent
 * asks again: the same numbers, other entries. Real processes. Nothing is lost without a word, nothing taken for what it
 * is not.
 */
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JournalPosition } from '@canopy/model';
import { afterAll, expect, it } from 'vitest';
import { type Gap, gapsOf } from '../hierarchy.js';
import { Site, eventually, freePort, get, query, sleep, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

interface Hierarchy {
  readonly data: {
    readonly journal?: { readonly position: JournalPosition };
    readonly sources: ReadonlyArray<{
      readonly journals: ReadonlyArray<{ readonly position: JournalPosition }>;
    }>;
  };
}

/** Scrapes on the other branch while the parent is away: more than it has of the first. */
const AWAY = 40;

const hierarchyOf = async (base: string): Promise<Hierarchy['data']> =>
  (JSON.parse(await get(`${base}/api/v1/status/hierarchy`)) as Hierarchy).data;

/** The number that each scrape had, with its time (ms). */
async function scrapes(base: string): Promise<Map<number, number>> {
  const [series] = await query(base, 'scrape_number[30m]', Date.now() / 1000);
  const values = series?.values ?? [];
  const byNumber = new Map(values.map(([at, value]) => [Number(value), Math.round(at * 1000)]));
  // No number twice.
  expect(byNumber.size).toBe(values.length);
  return byNumber;
}

/** As a disk that goes back to its snapshot: the same files (another file would be noticed as a copy), with what was in them. */
function putBack(from: string, to: string): void {
  const files = readdirSync(from);
  for (const file of readdirSync(to)) if (!files.includes(file)) rmSync(join(to, file));
  for (const file of files) writeFileSync(join(to, file), readFileSync(join(from, file)));
}

it('a leaf put back to an older disk goes on in a new epoch, and the ledger names what is gone', async () => {
  /** When each scrape was answered (ms). */
  const answered: number[] = [];
  const target = await site.serve((_req, res) => {
    answered.push(Date.now());
    res.setHeader('content-type', 'text/plain').end(`scrape_number ${answered.length}\n`);
  });
  const [leafPort, parentPort] = [await freePort(), await freePort()];
  const leaf = `http://127.0.0.1:${leafPort}`;
  const parent = `http://127.0.0.1:${parentPort}`;
  const jobs = `scrape_configs: [{job_name: own, static_configs: [{targets: ["127.0.0.1:${target}"]}]}]`;
  const leafConfig = site.file('leaf.yml', `global: {scrape_interval: 100ms}\n${jobs}`);
  const parentConfig = site.file('parent.yml', 'global: {scrape_interval: 500ms}');
  const folder = site.path('leaf');
  const startLeaf = async () => {
    const program = site.canopy(
      ...['leaf', 'leaf', '--config.file', leafConfig, '--storage.path', folder],
      ...['--web.listen-address', `127.0.0.1:${leafPort}`],
      ...['--leaf.name', 'leaf', '--parent', parent],
    );
    await waitReady(leaf);
    return program;
  };
  const startParent = async () => {
    const program = site.canopy(
      ...['parent', 'parent', '--config.file', parentConfig, '--storage.path', site.path('parent')],
      ...['--web.listen-address', `127.0.0.1:${parentPort}`],
    );
    await waitReady(parent);
    return program;
  };
  const pulled = async (): Promise<JournalPosition> =>
    (await hierarchyOf(parent)).sources[0].journals[0].position;
  const beyond = (sequence: number): Promise<void> =>
    eventually(20_000, `beyond ${sequence}`, async () =>
      expect((await pulled()).sequence).toBeGreaterThan(sequence),
    );

  let above = await startParent();
  let below = await startLeaf();
  await eventually(20_000, 'a page', async () =>
    expect((await scrapes(parent)).size).toBeGreaterThan(5),
  );
  const copied = await pulled();
  await below.kill('SIGTERM');
  cpSync(folder, site.path('older'), { recursive: true });
  below = await startLeaf();
  await beyond(copied.sequence + 12);
  await above.kill('SIGTERM');
  await below.kill('SIGKILL');

  putBack(site.path('older'), folder);
  below = await startLeaf();
  const before = answered.length;
  await eventually(20_000, 'the other branch', async () => {
    const { position } = (await hierarchyOf(leaf)).journal!;
    expect(position.epoch).toBe(1);
    expect(answered.length).toBeGreaterThan(before + AWAY);
  });
  above = await startParent();
  await eventually(30_000, 'a new epoch', async () => expect((await pulled()).epoch).toBe(2));
  await beyond(3);
  const had = await scrapes(parent);
  const gaps = await gapsOf(parent, 'leaf');
  const isNamed = (at: number) => gaps.some((gap: Gap) => gap.from <= at && at <= gap.to);
  const newest = Math.max(...had.keys());
  expect(had.get(newest)).toBeGreaterThan(answered[before + AWAY]);
  const missing = answered.slice(0, newest).filter((_, i) => !had.has(i + 1));
  expect(missing.length).toBeGreaterThan(AWAY);
  expect(missing.filter((at) => !isNamed(at))).toEqual([]);
  // What the parent had of the old branch it has still; of the other one nothing before the new epoch.
  const kept = [...had.keys()].filter((number) => number <= before);
  expect(kept.length).toBeGreaterThan(12);
  const own = await scrapes(leaf);
  const later = [...had].filter(([number]) => number > before);
  expect(later.filter(([number, at]) => own.get(number) !== at)).toEqual([]);
  expect(Math.min(...later.map(([number]) => number))).toBeGreaterThan(before + AWAY);
  const metrics = await get(`${leaf}/metrics`);
  expect(metrics).toMatch(/canopy_reader_branches_total [1-9]/);
  // A restart of both changes nothing of it.
  await below.kill('SIGKILL');
  await above.kill('SIGKILL');
  await startLeaf();
  await startParent();
  await sleep(1000);
  const after = await scrapes(parent);
  expect([...had].filter(([number, at]) => after.get(number) !== at)).toEqual([]);
});
