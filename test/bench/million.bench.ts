/**
 * `npm run bench -- million`: one leaf, 1,000 targets with 1,000 series each, every 5 s. Were all
 * scrapes made and on time, what held the event loop, what did it cost? `--small` is a short run to
 * see that it works; numbers after it are targets, series, seconds of warm-up and of measurement, seconds
 * between scrapes. What 2 h of 15 s samples take is seen after 480 scrapes of a shorter interval:
 * `-- million 100 1000 460 30 1`.
 *
 * With `--hop` a parent on Redis pulls from the leaf every 5 s (as often as is scraped, where that is less): how far it lags behind,
 * what holds its event loop, and what the hop costs beside the scraping.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Program, Site, eventually, freePort, get, sleep, waitReady } from '../processes.js';
import { ownMetrics, quantile } from './canopy-metrics.js';
import { farmConfig } from './farm-config.js';
import { anonymousBytes, cpuSeconds } from './measure.js';

const isSmall = process.argv.includes('--small');
const isHop = process.argv.includes('--hop');
const given = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const [TARGETS, SERIES, WARM_S, MEASURE_S, INTERVAL_S = isSmall ? 1 : 5] = (
  given.length > 0 ? given : isSmall ? [20, 100, 6, 10] : [1000, 1000, 90, 120]
).map(Number);
const CHANGED = 0.2;
const READ_EVERY_S = 5;
const PULL_S = Math.min(5, INTERVAL_S);

const say = (line: string): void => console.log(line);

/** A process that is watched. */
interface Watched {
  readonly name: string;
  readonly program: Program;
  readonly url: string;
  /** Seconds, one every READ_EVERY_S. */
  readonly p99s: number[];
  longest: number;
}

const watched = (name: string, program: Program, url: string): Watched => ({
  ...{ name, program, url },
  ...{ p99s: [], longest: 0 },
});

async function startParent(site: Site, leafPort: number): Promise<[Watched, Program]> {
  const [port, redisPort] = [await freePort(), await freePort()];
  const redis = site.program(
    ...['redis', 'redis-server', '--bind', '127.0.0.1', '--port', String(redisPort)],
    ...['--dir', site.folder, '--save', '', '--appendonly', 'yes'],
    ...['--maxmemory', '8gb', '--maxmemory-policy', 'noeviction'],
  );
  const config = `global: { scrape_interval: ${PULL_S}s, scrape_timeout: ${PULL_S}s }
scrape_configs:
  - job_name: leaves
    metrics_path: /federate
    static_configs: [{ targets: ["127.0.0.1:${leafPort}"] }]
`;
  const parent = site.canopy(
    ...['parent', 'parent', '--config.file', site.file('parent.yml', config)],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--storage.path', site.path('parent')],
    ...['--store', `redis://127.0.0.1:${redisPort}`],
  );
  const url = `http://127.0.0.1:${port}`;
  await waitReady(url, 60_000);
  return [watched('parent', parent, url), redis];
}

/** Reads both every READ_EVERY_S, the lag every second. Returns lags in seconds. */
async function measure(
  processes: readonly Watched[],
  parent: Watched | undefined,
): Promise<number[]> {
  const lags: number[] = [];
  for (let second = 1; second <= MEASURE_S; second++) {
    await sleep(1000);
    if (second % READ_EVERY_S === 0) {
      for (const process of processes) {
        const now = await ownMetrics(process.url, 60_000);
        process.p99s.push(now.sum('nodejs_eventloop_lag_p99_seconds'));
        process.longest = Math.max(process.longest, now.sum('nodejs_eventloop_lag_max_seconds'));
        if (process === parent) lags.push(now.of('canopy_source_lag_seconds', 'source', 'leaf'));
      }
    } else if (parent !== undefined) {
      // Not its metrics: reading those begins the delays anew.
      lags.push(await lagOf(parent.url));
    }
  }
  return lags.filter((lag) => lag >= 0);
}

async function lagOf(url: string): Promise<number> {
  const { data } = JSON.parse(await get(`${url}/api/v1/status/hierarchy`)) as {
    data: { sources: Array<{ journals: Array<{ lagSeconds: number }> }> };
  };
  return data.sources[0]?.journals[0]?.lagSeconds ?? NaN;
}

async function main(): Promise<void> {
  say(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}`);
  say(`${TARGETS} targets × ${SERIES} series every ${INTERVAL_S} s, Node ${process.version}`);
  await using site = new Site();
  const [farm, port] = [await freePort(), await freePort()];
  const farmScript = fileURLToPath(new URL('farm.ts', import.meta.url));
  const farmArgs = [String(farm), String(SERIES), String(CHANGED)];
  site.program('farm', process.execPath, '--import', 'tsx', farmScript, ...farmArgs);
  const targetsFile = site.file('targets.json', '[]');
  const leaf = site.canopy(
    'leaf',
    ...[
      'leaf',
      '--leaf.name',
      'leaf',
      '--config.file',
      site.file('leaf.yml', farmConfig(farm, targetsFile, INTERVAL_S)),
    ],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--storage.path', site.path('leaf')],
  );
  const url = `http://127.0.0.1:${port}`;
  await waitReady(url, 30_000);
  await sleep(isSmall ? 500 : 5000);
  const emptyBytes = anonymousBytes(leaf.pid);
  const targets = Array.from({ length: TARGETS }, (_, i) => `target-${i}`);
  site.file('targets.json', JSON.stringify([{ targets }]));
  const own = watched('leaf', leaf, url);
  const [parent, redis] = isHop ? await startParent(site, port) : [];
  const processes = parent === undefined ? [own] : [own, parent];
  const wanted = TARGETS * SERIES;
  for (const process of processes) {
    await eventually(
      (60 + 6 * INTERVAL_S) * 1000,
      `all series at the ${process.name}`,
      async () => {
        const active = (await ownMetrics(process.url, 60_000)).sum('canopy_active_series');
        if (active < wanted) throw new Error(`${active} of ${wanted}`);
      },
    );
  }
  say(`  all series are there; warming up for ${WARM_S} s`);
  await sleep(WARM_S * 1000);

  const before = await ownMetrics(url, 60_000);
  if (parent !== undefined) await ownMetrics(parent.url, 60_000);
  const pids = [leaf, parent?.program, redis].map((program) => program?.pid);
  const used = (): number[] => pids.map((pid) => (pid === undefined ? 0 : cpuSeconds(pid)));
  const cpuBefore = used();
  const begun = performance.now();
  const lags = await measure(processes, parent);
  const seconds = (performance.now() - begun) / 1000;
  const cpu = used().map((after, i) => after - cpuBefore[i]);
  const after = await ownMetrics(url, 60_000);
  const grown = (name: string): number => after.sum(name) - before.sum(name);
  const samples = grown('canopy_ingested_samples_total');
  const expected = (seconds / INTERVAL_S) * TARGETS;
  const ms = (value: number): string => `${(value * 1000).toFixed(1)} ms`;
  const per = (name: string, spent: number): void => {
    say(`| ${name}, CPU s per million samples | ${((spent / samples) * 1e6).toFixed(3)} |`);
    say(`| ${name}, share of a core | ${((100 * spent) / seconds).toFixed(0)} % |`);
  };
  say('');
  say(
    `| scrapes made, of those due | ${grown('canopy_scrapes_total')} of ${expected.toFixed(0)} |`,
  );
  say(`| failed | ${grown('canopy_scrapes_failed_total')} |`);
  say(`| samples a second | ${(samples / seconds).toFixed(0)} |`);
  per('leaf', cpu[0]);
  if (parent !== undefined) {
    per('parent', cpu[1]);
    per('Redis', cpu[2]);
    const shown = [0.5, 0.99, 1].map((share) => quantile(lags, share).toFixed(1)).join(', ');
    say(`| lag, s: median, p99, most (budget p99 ${PULL_S + 1}) | ${shown} |`);
  }
  for (const { name, p99s, longest } of processes) {
    const of = `${name}, event loop delay, p99 over ${READ_EVERY_S} s`;
    say(`| ${of}: median, highest | ${ms(quantile(p99s, 0.5))}, ${ms(quantile(p99s, 1))} |`);
    say(`| ${name}, longest event loop delay | ${ms(longest)} |`);
  }
  const bytes = (anonymousBytes(leaf.pid) - emptyBytes) / wanted;
  say(`| leaf, anonymous bytes a series | ${bytes.toFixed(0)} |`);
  if (parent !== undefined) {
    const mib = anonymousBytes(parent.program.pid) / 2 ** 20;
    say(`| parent, anonymous MiB, all | ${mib.toFixed(1)} |`);
  }
  // What a start needs for a while is given back later: of two sizes, the difference tells more.
  const whole = anonymousBytes(leaf.pid) / 2 ** 20;
  say(`| leaf, anonymous MiB, all | ${whole.toFixed(1)} |`);
  const each = (name: string): string => (after.sum(name) / wanted).toFixed(0);
  say(`| of them in V8's heap (used) | ${each('nodejs_heap_size_used_bytes')} |`);
  say(`| of them in buffers outside of it | ${each('nodejs_external_memory_bytes')} |`);
}

await main();
process.exit(0);
