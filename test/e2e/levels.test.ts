/**
 * Three levels of real processes. The top pulls the leaf and the middle, which pulls the leaf, too (a diamond), and the top (a
 * loop). The leaf's clock is behind, its frames are larger than its pages, and it is frozen for a while: what the metrics
 * say of lag, skew and watermark is compared with that.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodePage } from '../../packages/federation/src/page.js';
import type { HierarchyStatus, JournalStatus } from '../../packages/model/src/index.js';
import { ownMetrics } from '../bench/canopy-metrics.js';
import { completeUpTo, rawSamples } from '../hierarchy.js';
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

const BEHIND_S = 3;
const SERIES = 4000;
/** Of entries; a frame of so many values of eight bytes is larger. */
const PAGE_BYTES = 16 * 1024;
const RETENTION_S = 3600;
const PATIENCE_MS = 60_000;

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());
const programs = new Map<string, Program>();
const ports = { leaf: 0, middle: 0, top: 0 };
type Name = keyof typeof ports;
const url = (name: Name): string => `http://127.0.0.1:${ports[name]}`;

beforeAll(async () => {
  for (const name of Object.keys(ports) as Name[]) ports[name] = await freePort();
  let scrapes = 0;
  const exporter = await site.serve((_req, res) => {
    const lines = Array.from({ length: SERIES }, (_, i) => `x{i="${i}"} ${Math.random()}\n`);
    res.setHeader('content-type', 'text/plain').end(`n ${++scrapes}\n${lines.join('')}`);
  });
  const pull = (...from: Name[]): string[] =>
    from.map(
      (name) =>
        `- {job_name: ${name}, metrics_path: /federate, static_configs: [{targets: ["127.0.0.1:${ports[name]}"]}]}`,
    );
  const start = (name: Name, role: string, configs: string[], ...more: string[]): void => {
    const config = ['global: {scrape_interval: 1s}', 'scrape_configs:', ...configs].join('\n');
    const before = role === 'leaf' ? ['--import', BEHIND] : [];
    const program = site.program(
      name,
      process.execPath,
      ...[...before, MAIN, role],
      ...['--config.file', site.file(`${name}.yml`, config), '--storage.path', site.path(name)],
      ...['--web.listen-address', `127.0.0.1:${ports[name]}`, '--leaf.name', name, ...more],
    );
    programs.set(name, program);
  };
  process.env.CHAOS_CLOCK_AHEAD_MS = String(-BEHIND_S * 1000);
  const farm = `- {job_name: farm, static_configs: [{targets: ["127.0.0.1:${exporter}"]}]}`;
  const small = ['--federation.max-page-bytes', `${PAGE_BYTES}B`];
  start('leaf', 'leaf', [farm], ...small, '--journal.retention', `${RETENTION_S}s`);
  start('middle', 'parent', pull('leaf', 'top'));
  start('top', 'parent', pull('leaf', 'middle'));
  await Promise.all((Object.keys(ports) as Name[]).map((name) => waitReady(url(name))));
}, 90_000);

const BEHIND = fileURLToPath(new URL('../chaos/clock-ahead.mjs', import.meta.url));

async function status(name: Name): Promise<HierarchyStatus> {
  const text = await get(`${url(name)}/api/v1/status/hierarchy`, {}, 30_000);
  return (JSON.parse(text) as { data: HierarchyStatus }).data;
}

/** The leaf's journal as `name` has it. */
async function leafAt(name: Name, ref: string): Promise<JournalStatus> {
  const { journal, sources } = await status(name);
  const all = [...(journal ? [journal] : []), ...sources.flatMap(({ journals }) => journals)];
  return all.find((one) => one.ref === ref)!;
}

/** By the leaf's clock. Unix seconds. */
const leafTime = (): number => Date.now() / 1000 - BEHIND_S;

it('a diamond: each scrape once at the top; a loop: left out, and said so', async () => {
  const { ref } = (await status('leaf')).journal!;
  await completeUpTo(url('top'), leafTime() + 2, ['leaf', 'middle'], ref, PATIENCE_MS);
  const until = leafTime();
  await completeUpTo(url('top'), until, ['leaf'], ref, PATIENCE_MS);
  const [here, there] = await Promise.all(
    (['leaf', 'top'] as const).map((name) => rawSamples(url(name), 'n', until)),
  );
  expect(here.size).toBe(1);
  expect(there).toEqual(here);
  const values = (JSON.parse([...there.values()][0]) as Array<[number, string]>).map(([, n]) => n);
  expect(values).toEqual(Array.from(values, (_, i) => String(i + Number(values[0]))));
  // Counted once, too: as many frames as the leaf has at the same place.
  await eventually(PATIENCE_MS, 'both are at one place', async () => {
    const [leaf, top] = [await leafAt('leaf', ref), await leafAt('top', ref)];
    expect(top.position).toEqual(leaf.position);
    expect(top.ledger.frames).toBe(leaf.ledger.frames);
  });
  // Middle and top pull each other: neither takes its own journal back.
  const own = (await status('top')).journal!.ref;
  const ours = (await status('middle')).sources.flatMap(({ journals }) => journals);
  expect(ours.map((one) => one.ref)).toContain(own);
  for (const name of ['middle', 'top'] as const) {
    const { journal, sources } = await status(name);
    const pulled = sources.flatMap(({ journals }) => journals.map((one) => one.ref));
    expect(pulled).not.toContain(journal!.ref);
    await eventually(PATIENCE_MS, `${name} says so`, () => {
      expect(programs.get(name)!.output).toContain('the source pulls from this process');
      return Promise.resolve();
    });
  }
});

it('a reader that is newer than the leaf: 406, or the version that both know', async () => {
  const type = 'application/vnd.canopy.frames';
  const ask = (accept: string) => fetch(`${url('leaf')}/federate`, { headers: { accept } });
  const newest = await ask(`${type};version=2`);
  expect([newest.status, await newest.text()]).toEqual([
    406,
    expect.stringContaining(`${type};version=1`),
  ]);
  const both = await ask(`${type};version=2,${type};version=1;q=0.9`);
  expect([both.status, both.headers.get('content-type')]).toEqual([200, `${type};version=1`]);
  // Its frames are larger than its pages: each comes whole, in a page of its own.
  const body = new Uint8Array(await both.arrayBuffer());
  const [section] = decodePage(body, { pageBytesMax: 1 << 24, journalsMax: 9 }).journals;
  expect(section.more).toBe(true);
  expect(section.entries.at(-1)!.bytes.length).toBeGreaterThan(PAGE_BYTES);
});

interface Reading {
  readonly watermark: number;
  readonly lag: number;
  readonly hop: number;
  readonly skew: number;
  readonly behind: number;
  readonly away: number;
  readonly up: number;
  /** The reading was made between these. Unix seconds. */
  readonly between: readonly [number, number];
}

async function reading(): Promise<Reading> {
  const begun = Date.now() / 1000;
  const metrics = await ownMetrics(url('middle'), 30_000);
  const of = (name: string): number => metrics.of(`canopy_${name}`, 'source', 'leaf');
  return {
    watermark: of('watermark_timestamp_seconds'),
    lag: of('source_lag_seconds'),
    hop: of('source_hop_lag_seconds'),
    skew: of('source_clock_skew_seconds'),
    behind: of('source_behind_bytes'),
    away: of('source_may_be_away_seconds'),
    up: of('source_up'),
    between: [begun, Date.now() / 1000],
  };
}

it('lag, skew and watermark are what they are while the leaf is frozen and after it', async () => {
  const isCalm = ({ lag, hop, skew, behind, away, up }: Reading): void => {
    expect(up).toBe(1);
    expect(Math.abs(skew + BEHIND_S)).toBeLessThan(BEHIND_S / 2);
    expect(behind).toBe(0);
    expect(hop).toBeLessThan(BEHIND_S);
    // The leaf's clock is behind, and so is what it calls complete.
    expect(lag).toBeGreaterThan(BEHIND_S - 0.1);
    expect(lag).toBeLessThan(2 * BEHIND_S);
    expect(away).toBeGreaterThan(RETENTION_S - 60);
    expect(away).toBeLessThanOrEqual(RETENTION_S);
  };
  await eventually(PATIENCE_MS, 'all is well', async () => isCalm(await reading()));
  const leaf = programs.get('leaf')!;
  process.kill(leaf.pid, 'SIGSTOP');
  try {
    const frozen = Date.now() / 1000;
    await sleep(2500);
    const first = await reading();
    await sleep(2000);
    const second = await reading();
    // An answer may have been on its way, also by the top; of later nobody says anything.
    expect(second.watermark).toBeGreaterThanOrEqual(first.watermark);
    expect(second.watermark).toBeLessThanOrEqual(frozen - BEHIND_S + 0.1);
    for (const { lag, watermark, between } of [first, second]) {
      expect(lag).toBeGreaterThanOrEqual(between[0] - watermark - 0.01);
      expect(lag).toBeLessThanOrEqual(between[1] - watermark + 0.01);
    }
    expect(second.lag).toBeGreaterThan(BEHIND_S + 4);
    const [apart, apartMax] = [
      second.between[0] - first.between[1],
      second.between[1] - first.between[0],
    ];
    expect(second.hop - first.hop).toBeGreaterThanOrEqual(apart - 0.01);
    expect(second.hop - first.hop).toBeLessThanOrEqual(apartMax + 0.01);
    // What is not here yet is kept for so long from when it was written.
    const away = second.between[0] - second.watermark;
    expect(second.away).toBeLessThanOrEqual(RETENTION_S - away + 0.01);
  } finally {
    process.kill(leaf.pid, 'SIGCONT');
  }
  await eventually(PATIENCE_MS, 'all is well again', async () => isCalm(await reading()));
});
