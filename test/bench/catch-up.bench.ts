/**
 * `npm run bench -- catch-up`: a parent on Redis that was away comes back. How fast is what the leaf's journal has
 * pulled, with live lag falling; are the leaf's scrapes on time, are another leaf's pulls and are queries answered
 * meanwhile; what does it cost?
 *
 * Numbers are targets, series, seconds between scrapes, seconds that the parent is away; the default is a
 * million series every 15 s, away for ten minutes. `--small` is a short run to see that it works. `--freeze 10`: Redis is
 * frozen for so many seconds in the middle, to see what piles up.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Program, Site, eventually, freePort, query, sleep, waitReady } from '../processes.js';
import { type OwnMetrics, ownMetrics, quantile } from './canopy-metrics.js';
import { farmConfig } from './farm-config.js';
import { anonymousBytes, cpuSeconds } from './measure.js';

const flags = process.argv.slice(2);
const isSmall = flags.includes('--small');
const FREEZE_S = flags.includes('--freeze') ? Number(flags[flags.indexOf('--freeze') + 1]) : 0;
const given = flags.filter((arg, i) => /^\d+$/.test(arg) && flags[i - 1] !== '--freeze');
const usual = isSmall ? [20, 100, 1, 15] : [1000, 1000, 15, 600];
const [TARGETS, SERIES, INTERVAL_S, AWAY_S] = usual.map((value, i) => Number(given[i] ?? value));
/** The other leaf, which is never behind when the parent comes back but for its own few samples. */
const FEW_TARGETS = 5;
const FEW_INTERVAL_S = 1;
/** Of both leaves. */
const SAMPLES_A_SECOND = SERIES * (TARGETS / INTERVAL_S + FEW_TARGETS / FEW_INTERVAL_S);
const PULL_INTERVAL_S = isSmall ? 1 : 5;
const CHANGED = 0.2;
const NORMAL_S = isSmall ? 5 : 30;
const LOOK_EVERY_MS = 500;
const CATCH_UP_S_MAX = Math.max(120, 2 * AWAY_S);

const say = (line: string): void => console.log(line);

interface Setup {
  readonly programs: Record<'leaf' | 'small' | 'parent' | 'redis', Program>;
  readonly urls: Record<'leaf' | 'small' | 'parent', string>;
}

async function setUp(site: Site): Promise<Setup> {
  const [farm, leaf, small, parent, redis] = await Promise.all(Array.from('12345', freePort));
  const script = fileURLToPath(new URL('farm.ts', import.meta.url));
  const farmArgs = [script, String(farm), String(SERIES), String(CHANGED)];
  site.program('farm', process.execPath, '--import', 'tsx', ...farmArgs);
  const leafOf = (name: string, port: number, targets: number, intervalS: number): Program => {
    const names = Array.from({ length: targets }, (_, i) => `target-${i}`);
    const file = site.file(`${name}.json`, JSON.stringify([{ targets: names }]));
    const config = site.file(`${name}.yml`, farmConfig(farm, file, intervalS));
    return site.canopy(
      name,
      ...['leaf', '--config.file', config, '--storage.path', site.path(name), '--cluster', name],
      ...['--leaf.name', name, '--web.listen-address', `127.0.0.1:${port}`],
    );
  };
  const pulls = `global: { scrape_interval: ${PULL_INTERVAL_S}s, scrape_timeout: ${PULL_INTERVAL_S}s }
scrape_configs:
  - job_name: leaves
    metrics_path: /federate
    static_configs: [{ targets: ["127.0.0.1:${leaf}", "127.0.0.1:${small}"] }]
`;
  const redisProgram = site.program(
    ...['redis', 'redis-server', '--bind', '127.0.0.1', '--port', String(redis)],
    ...['--dir', site.folder, '--save', '', '--appendonly', 'yes'],
    ...['--maxmemory', '8gb', '--maxmemory-policy', 'noeviction'],
  );
  const programs = {
    redis: redisProgram,
    leaf: leafOf('big', leaf, TARGETS, INTERVAL_S),
    small: leafOf('small', small, FEW_TARGETS, FEW_INTERVAL_S),
    parent: site.canopy(
      ...['parent', 'parent', '--config.file', site.file('parent.yml', pulls)],
      ...['--web.listen-address', `127.0.0.1:${parent}`, '--storage.path', site.path('parent')],
      ...['--store', `redis://127.0.0.1:${redis}`],
    ),
  };
  const base = (port: number): string => `http://127.0.0.1:${port}`;
  const urls = { leaf: base(leaf), small: base(small), parent: base(parent) };
  for (const url of Object.values(urls)) await waitReady(url, 60_000);
  return { programs, urls };
}

/** What one look at the parent gave; lags in seconds. */
interface Look {
  readonly atS: number;
  readonly lag: number;
  readonly smallLag: number;
  readonly queryMs: number;
  readonly samples: number;
  readonly parentBytes: number;
  readonly parentHeldMs: number;
  readonly leafHeldMs: number;
}

const lagOf = (metrics: OwnMetrics, source: string): number =>
  metrics.of('canopy_source_lag_seconds', 'source', source);

/** Every half second until `isOver`; a look that fails is left out. */
async function watch(
  { programs, urls }: Setup,
  secondsMax: number,
  isOver: (look: Look) => boolean,
  onLook: (look: Look) => Promise<void> = async () => {},
): Promise<Look[]> {
  const begun = performance.now();
  const looks: Look[] = [];
  for (;;) {
    const atS = (performance.now() - begun) / 1000;
    if (atS > secondsMax) return looks;
    try {
      const asked = performance.now();
      await query(urls.parent, 'sum(rate(farm_metric_0_total{cluster="small"}[1m]))');
      const queryMs = performance.now() - asked;
      const parent = await ownMetrics(urls.parent);
      const leaf = await ownMetrics(urls.leaf);
      const held = (metrics: OwnMetrics) => metrics.sum('nodejs_eventloop_lag_max_seconds') * 1000;
      const look = {
        ...{ atS, queryMs, lag: lagOf(parent, 'big'), smallLag: lagOf(parent, 'small') },
        samples: parent.sum('canopy_ingested_samples_total'),
        ...{ parentBytes: anonymousBytes(programs.parent.pid), parentHeldMs: held(parent) },
        leafHeldMs: held(leaf),
      };
      // Nothing is known of a source before its first page.
      if (look.lag >= 0 && look.smallLag >= 0) {
        looks.push(look);
        await onLook(look);
        if (isOver(look)) return looks;
      }
    } catch (error) {
      if (atS > secondsMax / 2) say(`  no look: ${(error as Error).message}`);
    }
    await sleep(LOOK_EVERY_MS);
  }
}

interface Scrapes {
  readonly made: number;
  readonly late: number;
  readonly missed: number;
  readonly failed: number;
}

async function scrapes(url: string): Promise<Scrapes> {
  const metrics = await ownMetrics(url);
  const of = (name: string): number => metrics.sum(`canopy_scrapes_${name}total`);
  return { made: of(''), late: of('late_'), missed: of('missed_'), failed: of('failed_') };
}

function cpuOf({ programs }: Setup): Record<'leaf' | 'parent' | 'redis', number> {
  const { leaf, parent, redis } = programs;
  return {
    leaf: cpuSeconds(leaf.pid),
    parent: cpuSeconds(parent.pid),
    redis: cpuSeconds(redis.pid),
  };
}

/** Freezes Redis once, when the catch-up is under way. */
function freezer({ redis }: Setup['programs']): (look: Look) => Promise<void> {
  let isDue = FREEZE_S > 0;
  return async (look) => {
    if (!isDue || look.samples === 0) return;
    isDue = false;
    say(`  Redis is frozen for ${FREEZE_S} s at ${look.lag.toFixed(0)} s of lag`);
    process.kill(redis.pid, 'SIGSTOP');
    await sleep(FREEZE_S * 1000);
    process.kill(redis.pid, 'SIGCONT');
  };
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const range = (values: readonly number[], digits: number): string =>
  `${quantile(values, 0.5).toFixed(digits)}, ${quantile(values, 0.99).toFixed(digits)}`;

function tell(when: string, looks: readonly Look[]): void {
  const lines: Array<[string, (look: Look) => number]> = [
    ['queries, ms', (look) => look.queryMs],
    ['lag of the other leaf, s', (look) => look.smallLag],
    ['event loop delay of the parent, longest of half a second, ms', (look) => look.parentHeldMs],
    ['the same of the leaf', (look) => look.leafHeldMs],
  ];
  for (const [what, read] of lines) {
    say(`| ${when}: ${what}, median, p99 | ${range(looks.map(read), 1)} |`);
  }
}

interface Run {
  readonly usually: readonly Look[];
  readonly looks: readonly Look[];
  readonly after: readonly Look[];
  readonly seconds: number;
  /** CPU seconds while catching up. */
  readonly cpu: ReturnType<typeof cpuOf>;
  readonly cpuUntilReady: number;
}

function report({ usually, looks, after, seconds, cpu, cpuUntilReady }: Run): void {
  const { samples } = looks[looks.length - 1];
  const journalS = samples / SAMPLES_A_SECOND;
  const millions = (count: number): string => `${(count / 1e6).toFixed(2)} M`;
  const each = [cpu.parent, cpu.leaf, cpu.redis].map((part) => ((part / samples) * 1e6).toFixed(3));
  const quarters = [0, 0.25, 0.5, 0.75, 1].map(
    (share) => looks[Math.round(share * (looks.length - 1))].lag,
  );
  const smallBack = looks.findIndex(({ smallLag }) => smallLag <= PULL_INTERVAL_S + 2);
  const caughtUp = [
    ['caught up after, s', seconds.toFixed(1)],
    [
      'of the journal, s; times real time',
      `${journalS.toFixed(0)}; ${(journalS / seconds).toFixed(1)}`,
    ],
    ['samples; a second', `${millions(samples)}; ${millions(samples / seconds)}`],
    ['lag meanwhile, by quarters, s', quarters.map((lag) => lag.toFixed(0)).join(', ')],
    ['CPU s per million: parent, leaf with its scrapes, Redis', each.join(', ')],
    ['so a parent with a core of its own, samples a second', millions(samples / cpu.parent)],
    ['CPU of the parent until ready, s', cpuUntilReady.toFixed(1)],
    ['other leaf, back as usual after, s', looks[smallBack]?.atS.toFixed(1) ?? 'never'],
    ['parent, anonymous memory, most', mb(Math.max(...looks.map((look) => look.parentBytes)))],
    ['the same, afterwards', mb(after[after.length - 1]?.parentBytes ?? NaN)],
  ];
  for (const [what, value] of caughtUp) say(`| ${what} | ${value} |`);
  tell('as usual', usually);
  tell('catching up', looks.slice(Math.max(0, smallBack)));
  const lags = [usually, after].map((all) =>
    range(
      all.map(({ lag }) => lag),
      1,
    ),
  );
  say(`| lag, s, median, p99: as usual; afterwards | ${lags.join('; ')} |`);
}

async function main(): Promise<void> {
  const machine = `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`;
  say(`${new Date().toISOString().slice(0, 10)}, ${machine}`);
  say(`${TARGETS} targets × ${SERIES} series every ${INTERVAL_S} s, a parent away for ${AWAY_S} s`);
  await using site = new Site();
  const setup = await setUp(site);
  const { programs, urls } = setup;
  await eventually((60 + 6 * INTERVAL_S) * 1000, 'all series at the parent', async () => {
    const active = (await ownMetrics(urls.parent)).sum('canopy_active_series');
    if (active < TARGETS * SERIES) throw new Error(`${active} of ${TARGETS * SERIES}`);
  });
  await sleep(3 * PULL_INTERVAL_S * 1000);
  say(`  all series are there; as usual for ${NORMAL_S} s`);
  // The first reading tells of the start, too.
  await watch(setup, 1, () => true);
  const usually = await watch(setup, NORMAL_S, () => false);
  const normal = Math.max(...usually.map(({ lag }) => lag)) + 1;

  await programs.parent.kill('SIGKILL');
  const before = await scrapes(urls.leaf);
  const goneAt = performance.now();
  say(`  the parent is away (its lag was at most ${(normal - 1).toFixed(1)} s)`);
  await sleep(AWAY_S * 1000);
  programs.parent.start();
  await waitReady(urls.parent, 60_000);
  const ready = cpuOf(setup);
  const begun = performance.now();
  const looks = await watch(setup, CATCH_UP_S_MAX, ({ lag }) => lag <= normal, freezer(programs));
  const seconds = (performance.now() - begun) / 1000;
  const used = cpuOf(setup);
  const lag = looks[looks.length - 1]?.lag ?? NaN;
  if (!(lag <= normal)) throw new Error(`still behind by ${lag} s`);
  const after = await watch(setup, NORMAL_S, () => false);
  const now = await scrapes(urls.leaf);
  const due = ((performance.now() - goneAt) / 1000 / INTERVAL_S) * TARGETS;
  const cpu = {
    parent: used.parent - ready.parent,
    leaf: used.leaf - ready.leaf,
    redis: used.redis - ready.redis,
  };
  say('');
  report({ usually, looks, after, seconds, cpu, cpuUntilReady: ready.parent });
  const made = `${now.made - before.made} of ${due.toFixed(0)}`;
  say(`| leaf, scrapes made since the parent went, of those due | ${made} |`);
  const ill = [now.late - before.late, now.missed - before.missed, now.failed - before.failed];
  say(`| of them late by over 2 ms, missed, failed | ${ill.join(', ')} |`);
}

await main();
process.exit(0);
