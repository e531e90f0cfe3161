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

function tell(title: string, looks: readonly Look[]): void {
  say(
    `| ${title}: queries, ms, median, p99 | ${range(
      looks.map((l) => l.queryMs),
      1,
    )} |`,
  );
  say(
    `| ${title}: lag of the other leaf, s | ${range(
      looks.map((l) => l.smallLag),
      1,
    )} |`,
  );
  say(
    `| ${title}: longest event loop delay, parent, ms | ${range(
      looks.map((l) => l.parentHeldMs),
      1,
    )} |`,
  );
  say(
    `| ${title}: the same, leaf | ${range(
      looks.map((l) => l.leafHeldMs),
      1,
    )} |`,
  );
}

async function main(): Promise<void> {
  say(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`,
  );
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
  const usually = await watch(setup, NORMAL_S, () => false);
  const normal = Math.max(...usually.map(({ lag }) => lag)) + 1;

  await programs.parent.kill('SIGKILL');
  const made = await scrapes(urls.leaf);
  const leafAt = performance.now();
  say(`  the parent is away (its lag was at most ${(normal - 1).toFixed(1)} s)`);
  await sleep(AWAY_S * 1000);
  programs.parent.start();
  const cpuStart = { ...cpuOf(setup), parent: 0 };
  await waitReady(urls.parent, 60_000);
  const ready = cpuOf(setup);
  const begun = performance.now();
  const looks = await watch(setup, CATCH_UP_S_MAX, ({ lag }) => lag <= normal, freezer(programs));
  const seconds = (performance.now() - begun) / 1000;
  const cpu = cpuOf(setup);
  const last = looks[looks.length - 1];
  if (last === undefined || last.lag > normal) throw new Error(`still behind by ${last?.lag} s`);
  const after = await watch(setup, NORMAL_S, () => false);
  const now = await scrapes(urls.leaf);
  const due = ((performance.now() - leafAt) / 1000 / INTERVAL_S) * TARGETS;

  const first = looks.find(({ lag }) => lag > 0) ?? last;
  const { samples } = last;
  const pulled = first.lag + seconds - last.lag;
  const million = (part: number): string => ((part / samples) * 1e6).toFixed(3);
  const rises = looks.slice(1).map(({ lag }, i) => lag - looks[i].lag);
  say('');
  say(`| caught up, s, of which the journal spans | ${seconds.toFixed(1)}, ${pulled.toFixed(0)} |`);
  say(
    `| samples, and a second | ${(samples / 1e6).toFixed(1)} M, ${(samples / seconds / 1e6).toFixed(2)} M |`,
  );
  say(`| times real time | ${(pulled / seconds).toFixed(1)} |`);
  say(
    `| CPU s per million: parent, leaf (its scrapes included), Redis | ${million(cpu.parent - ready.parent)}, ${million(cpu.leaf - cpuStart.leaf)}, ${million(cpu.redis - cpuStart.redis)} |`,
  );
  say(
    `| so the parent with a core of its own, samples a second | ${(samples / (cpu.parent - ready.parent) / 1e6).toFixed(2)} M |`,
  );
  say(`| CPU of the parent until ready, s | ${ready.parent.toFixed(1)} |`);
  say(
    `| live lag: looks at which it had risen, most by | ${rises.filter((rise) => rise > 0).length} of ${looks.length}, ${Math.max(0, ...rises).toFixed(1)} s |`,
  );
  say(
    `| parent, anonymous memory before the end, most | ${mb(Math.max(...looks.map((look) => look.parentBytes)))} |`,
  );
  say(`| the same, afterwards | ${mb(after[after.length - 1]?.parentBytes ?? NaN)} |`);
  say(
    `| leaf, scrapes made since the parent went, of those due | ${now.made - made.made} of ${due.toFixed(0)} |`,
  );
  say(
    `| late by over 2 ms, missed, failed | ${now.late - made.late}, ${now.missed - made.missed}, ${now.failed - made.failed} |`,
  );
  tell('as usual', usually);
  tell('catching up', looks);
  say(
    `| lag: as usual, afterwards, s | ${range(
      usually.map(({ lag }) => lag),
      1,
    )}; ${range(
      after.map(({ lag }) => lag),
      1,
    )} |`,
  );
}

await main();
process.exit(0);
