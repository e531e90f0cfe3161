/**
 * `npm run bench -- query-ingest [seconds targets series]`: a parent scrapes a farm of 100 × 1,000 series every 5 s, first
 * alone, then while the slowest questions of the benchmark of queries are asked of it one after the other. Are
 * scrapes made, at their times, and what holds the event loop? `--small` sees that it works.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Site, eventually, freePort, get, query, sleep, waitReady } from '../processes.js';
import { farmConfig } from './farm-config.js';
import { cpuSeconds } from './measure.js';
import { type Farm, INTERVAL } from './query-data.js';
import { fill } from './query-fill.js';
import { QUESTIONS } from './query-list.js';

const isSmall = process.argv.includes('--small');
const given = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const [SECONDS, TARGETS, SERIES] = (isSmall ? [10, 10, 100] : [60, 100, 1000]).map((usual, i) =>
  Number(given[i] ?? usual),
);
const INTERVAL_S = 5;
const READ_EVERY_S = 5;
/** Those that take longest, or write most. */
const SLOWEST = ['rate', 'histogram_quantile', 'join', 'topk', 'avg_over_time', 'count of all'];
const FARMS: readonly Farm[] = isSmall
  ? [{ prefix: 'wide', targets: 2, hours: 0.5 }]
  : [
      { prefix: 'wide', targets: 50, hours: 1 },
      { prefix: 'long', targets: 5, hours: 6 },
    ];

const say = (line: string): void => console.log(line);

/** Sums of the parent's own metrics by name. */
async function metrics(url: string): Promise<(name: string) => number> {
  const sums = new Map<string, number>();
  for (const line of (await get(`${url}/metrics`, {}, 30_000)).split('\n')) {
    const match = /^([a-z_:0-9]+)(?:\{.*\})? (\S+)$/.exec(line);
    if (match !== null) sums.set(match[1], (sums.get(match[1]) ?? 0) + Number(match[2]));
  }
  return (name) => sums.get(name) ?? 0;
}

interface Phase {
  readonly scrapes: number;
  readonly failed: number;
  readonly due: number;
  /** Highest of the p99s over 5 s each, and their median; longest of all. Seconds. */
  readonly p99: number;
  readonly p99Median: number;
  readonly longest: number;
  readonly cpu: number;
  /** Farthest distance between two samples of a target from 5 s, and distances of more than half of it. Seconds. */
  readonly off: number;
  readonly gaps: number;
}

async function watch(url: string, pid: number): Promise<Phase> {
  const before = await metrics(url);
  const cpuBefore = cpuSeconds(pid);
  const begun = performance.now();
  const p99s: number[] = [];
  let longest = 0;
  while (performance.now() - begun < SECONDS * 1000) {
    await sleep(READ_EVERY_S * 1000);
    const now = await metrics(url);
    p99s.push(now('nodejs_eventloop_lag_p99_seconds'));
    longest = Math.max(longest, now('nodejs_eventloop_lag_max_seconds'));
  }
  const seconds = (performance.now() - begun) / 1000;
  const after = await metrics(url);
  const cpu = (cpuSeconds(pid) - cpuBefore) / seconds;
  p99s.sort((a, b) => a - b);
  const grown = (name: string): number => after(name) - before(name);
  return {
    ...{ scrapes: grown('canopy_scrapes_total'), failed: grown('canopy_scrapes_failed_total') },
    due: (seconds / INTERVAL_S) * TARGETS,
    ...{ p99: p99s.at(-1)!, p99Median: p99s[p99s.length >> 1], longest, cpu },
    ...(await distances(url, Math.floor(seconds))),
  };
}

/** Of the samples of the last so many seconds. */
async function distances(url: string, seconds: number): Promise<{ off: number; gaps: number }> {
  const all = await query(url, `up{job="farm"}[${seconds}s]`, Date.now() / 1000, 60_000);
  let off = 0;
  let gaps = 0;
  for (const { values } of all as unknown as Array<{ values: Array<[number, string]> }>) {
    for (let i = 1; i < values.length; i++) {
      const distance = Math.abs(values[i][0] - values[i - 1][0] - INTERVAL_S);
      off = Math.max(off, distance);
      if (distance > INTERVAL_S / 2) gaps++;
    }
  }
  return { off, gaps };
}

/** Asks until told to stop; returns how often, and the longest that one took. */
async function askInLoop(url: string, end: number, signal: AbortSignal) {
  const questions = FARMS.flatMap(({ prefix, hours }) =>
    QUESTIONS.filter(({ name }) => SLOWEST.includes(name)).map(({ query: text }) => {
      const parameters = { query: text.replaceAll('$', prefix), step: '60' };
      const start = String(end - hours * 3600 + 600);
      return new URLSearchParams({ ...parameters, start, end: String(end) });
    }),
  );
  let asked = 0;
  let longestMs = 0;
  while (!signal.aborted) {
    const begun = performance.now();
    const response = await fetch(
      `${url}/api/v1/query_range?${questions[asked % questions.length]}`,
      {
        headers: { 'accept-encoding': 'identity' },
      },
    );
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    longestMs = Math.max(longestMs, performance.now() - begun);
    asked++;
  }
  return { asked, longestMs };
}

function report(alone: Phase, queried: Phase): void {
  const ms = (seconds: number): string => `${(seconds * 1000).toFixed(1)} ms`;
  const row = (name: string, cell: (phase: Phase) => string): void =>
    say(`| ${name} | ${cell(alone)} | ${cell(queried)} |`);
  say('\n| | alone | while queries run |\n|---|---|---|');
  row('scrapes made, of those due', ({ scrapes, due }) => `${scrapes} of ${due.toFixed(0)}`);
  row('failed', ({ failed }) => String(failed));
  row('distances of a target’s samples over 7.5 s', ({ gaps }) => String(gaps));
  row('farthest distance from 5 s', ({ off }) => ms(off));
  row('event loop delay, p99 over 5 s: median', ({ p99Median }) => ms(p99Median));
  row('the same: highest', ({ p99 }) => ms(p99));
  row('longest', ({ longest }) => ms(longest));
  row('share of a core', ({ cpu }) => `${(100 * cpu).toFixed(0)} %`);
}

async function main(): Promise<void> {
  say(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}`);
  say(`${TARGETS} targets × ${SERIES} series every ${INTERVAL_S} s, Node ${process.version}`);
  await using site = new Site();
  const end = Math.floor(Date.now() / INTERVAL) * INTERVAL;
  await fill(FARMS, end, site.path('parent'), []);
  const [farm, port] = [await freePort(), await freePort()];
  const farmScript = fileURLToPath(new URL('farm.ts', import.meta.url));
  const farmArgs = [String(farm), String(SERIES), '0.2'];
  site.program('farm', process.execPath, '--import', 'tsx', farmScript, ...farmArgs);
  const targets = Array.from({ length: TARGETS }, (_, i) => `target-${i}`);
  const file = site.file('targets.json', JSON.stringify([{ targets }]));
  const node = process.argv.find((arg) => arg.startsWith('--node='))?.slice(7);
  const parent = site.program(
    ...(['parent', process.execPath, ...(node?.split(',') ?? [])] as const),
    fileURLToPath(new URL('../../packages/canopy/dist/main.js', import.meta.url)),
    ...['parent', '--config.file', site.file('parent.yml', farmConfig(farm, file, INTERVAL_S))],
    ...['--retention.raw', '0', '--storage.path', site.path('parent')],
    ...['--web.listen-address', `127.0.0.1:${port}`],
  );
  const url = `http://127.0.0.1:${port}`;
  await waitReady(url, 60_000);
  await eventually(120_000, 'all series', async () => {
    const active = (await metrics(url))('canopy_scrapes_total');
    if (active < 3 * TARGETS) throw new Error(`${active} scrapes`);
  });
  const alone = await watch(url, parent.pid);
  const stop = new AbortController();
  const asking = askInLoop(url, end / 1000, stop.signal);
  // Code is compiled, caches fill.
  await sleep(READ_EVERY_S * 1000);
  await metrics(url);
  const queried = await watch(url, parent.pid);
  stop.abort();
  const { asked, longestMs } = await asking;
  report(alone, queried);
  say(`\n${asked} queries, the longest took ${longestMs.toFixed(0)} ms`);
  if (queried.gaps > 0 || queried.failed > 0) process.exitCode = 1;
  await parent.kill('SIGTERM');
}

await main();
process.exit();
