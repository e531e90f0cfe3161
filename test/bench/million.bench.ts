/**
 * `npm run bench -- million`: one leaf, 1,000 targets with 1,000 series each, every 5 s. Were all
 * scrapes made and on time, what held the event loop, what did it cost? `--small` is a short run to
 * see that it works; numbers after it are targets, series, seconds of warm-up and of measurement, seconds
 * between scrapes. What 2 h of 15 s samples take is seen after 480 scrapes of a shorter interval:
 * `-- million 100 1000 460 30 1`.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Site, eventually, freePort, get, sleep, waitReady } from '../processes.js';
import { farmConfig } from './farm-config.js';
import { anonymousBytes, cpuSeconds } from './measure.js';

const isSmall = process.argv.includes('--small');
const given = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const [TARGETS, SERIES, WARM_S, MEASURE_S, INTERVAL_S = isSmall ? 1 : 5] = (
  given.length > 0 ? given : isSmall ? [20, 100, 6, 10] : [1000, 1000, 90, 120]
).map(Number);
const CHANGED = 0.2;
const READ_EVERY_S = 5;

const say = (line: string): void => console.log(line);

type Metrics = (name: string) => number;

/** Sums of the leaf's own metrics by name. */
async function metrics(url: string): Promise<Metrics> {
  const sums = new Map<string, number>();
  for (const line of (await get(`${url}/metrics`)).split('\n')) {
    const match = /^([a-z_:]+)(?:\{.*\})? (\S+)$/.exec(line);
    if (match !== null) sums.set(match[1], (sums.get(match[1]) ?? 0) + Number(match[2]));
  }
  return (name) => sums.get(name) ?? 0;
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
    ...['leaf', '--config.file', site.file('leaf.yml', farmConfig(farm, targetsFile, INTERVAL_S))],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--storage.path', site.path('leaf')],
  );
  const url = `http://127.0.0.1:${port}`;
  await waitReady(url, 30_000);
  await sleep(isSmall ? 500 : 5000);
  const emptyBytes = anonymousBytes(leaf.pid);
  const targets = Array.from({ length: TARGETS }, (_, i) => `target-${i}`);
  site.file('targets.json', JSON.stringify([{ targets }]));
  const wanted = TARGETS * SERIES;
  await eventually((60 + 6 * INTERVAL_S) * 1000, 'all series', async () => {
    const active = (await metrics(url))('canopy_active_series');
    if (active < wanted) throw new Error(`${active} of ${wanted}`);
  });
  say(`  all series are there; warming up for ${WARM_S} s`);
  await sleep(WARM_S * 1000);

  const before = await metrics(url);
  const cpuBefore = cpuSeconds(leaf.pid);
  const begun = performance.now();
  const p99s: number[] = [];
  let longest = 0;
  for (let left = MEASURE_S; left > 0; left -= READ_EVERY_S) {
    await sleep(Math.min(left, READ_EVERY_S) * 1000);
    const now = await metrics(url);
    p99s.push(now('nodejs_eventloop_lag_p99_seconds'));
    longest = Math.max(longest, now('nodejs_eventloop_lag_max_seconds'));
  }
  const seconds = (performance.now() - begun) / 1000;
  const cpu = cpuSeconds(leaf.pid) - cpuBefore;
  const after = await metrics(url);
  const grown = (name: string): number => after(name) - before(name);
  const samples = grown('canopy_ingested_samples_total');
  const expected = (seconds / INTERVAL_S) * TARGETS;
  p99s.sort((a, b) => a - b);
  const ms = (value: number): string => `${(value * 1000).toFixed(1)} ms`;
  say('');
  say(
    `| scrapes made, of those due | ${grown('canopy_scrapes_total')} of ${expected.toFixed(0)} |`,
  );
  say(`| failed | ${grown('canopy_scrapes_failed_total')} |`);
  say(`| samples a second | ${(samples / seconds).toFixed(0)} |`);
  say(`| leaf, CPU s per million samples | ${((cpu / samples) * 1e6).toFixed(3)} |`);
  say(`| leaf, share of a core | ${((100 * cpu) / seconds).toFixed(0)} % |`);
  say(`| event loop delay, p99 over ${READ_EVERY_S} s: median | ${ms(p99s[p99s.length >> 1])} |`);
  say(`| the same: highest | ${ms(p99s[p99s.length - 1])} |`);
  say(`| longest event loop delay | ${ms(longest)} |`);
  const bytes = (anonymousBytes(leaf.pid) - emptyBytes) / wanted;
  say(`| anonymous bytes a series | ${bytes.toFixed(0)} |`);
  // What a start needs for a while is given back later: of two sizes, the difference tells more.
  const whole = anonymousBytes(leaf.pid) / 2 ** 20;
  say(`| anonymous MiB, all | ${whole.toFixed(1)} |`);
  const each = (name: string): string => (after(name) / wanted).toFixed(0);
  say(`| of them in V8's heap (used) | ${each('nodejs_heap_size_used_bytes')} |`);
  say(`| of them in buffers outside of it | ${each('nodejs_external_memory_bytes')} |`);
}

await main();
process.exit(0);
