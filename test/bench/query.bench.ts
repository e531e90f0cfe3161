/**
 * `npm run bench -- query [targets hours targets hours rounds]`: a parent beside Debian's Prometheus and
 * VictoriaMetrics with the same samples and questions, asked in turns, in one run. A target has 1,004 series.
 * Each question is asked of each server `rounds` times, all questions one after the other; then small ones more
 * often, which is what the table shows: a server that has run for a day is asked nothing for the first time.
 * `--small` is a short run to see that it works and that the answers agree; `--only=topk` asks the questions whose
 * name has this; `--alone` asks the parent only; `--node=FLAG,FLAG` gives the parent flags of Node's
 * (`--cpu-prof,--cpu-prof-dir=…`).
 */
import { readFileSync, readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, loadavg } from 'node:os';
import { MAIN, type Program, Site, freePort, get, query, sleep, waitReady } from '../processes.js';
import { type Farm, INTERVAL } from './query-data.js';
import { fill } from './query-fill.js';
import { QUESTIONS, type Question } from './query-list.js';

const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'));
const given = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const flag = (name: string): string =>
  flags.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
const ALONE = flags.includes('--alone');
const usual = flags.includes('--small') ? [2, 0.5, 1, 1, 2] : [50, 1, 5, 6, 7];
const [WIDE, WIDE_HOURS, LONG, LONG_HOURS, ROUNDS] = usual.map((number, i) =>
  Number(given[i] ?? number),
);
const FARMS: readonly Farm[] = [
  { prefix: 'wide', targets: WIDE, hours: WIDE_HOURS },
  { prefix: 'long', targets: LONG, hours: LONG_HOURS },
];
const STEP_S = 60;
/** Relative difference up to which sums agree; where VictoriaMetrics's rates differ by design. */
const TOLERANCE = 1e-6;
const TOLERANCE_RATES = 0.3;
/** A question is asked again until it has taken all servers together this long, or each was asked so often. */
const REPEAT_MS = 1500;
const ROUNDS_MAX = flags.includes('--small') ? ROUNDS : Math.max(ROUNDS, 100);
/** Seconds by which the time asked for moves back with each repeat. */
const MOVE_S = 0.5;
/** A query may be slower than Prometheus's by this. Milliseconds. */
const BUDGET_MS = 0.5;

const say = (line: string): void => console.log(line);

type Name = 'Canopy' | 'Prometheus' | 'VictoriaMetrics';

interface Server {
  readonly name: Name;
  readonly url: string;
  readonly program: Program;
}

/** One question in one form about one farm. */
interface Case extends Question {
  readonly title: string;
  readonly path: 'query' | 'query_range';
  /** Parameters of the `round`th repeat. */
  readonly params: (round: number) => URLSearchParams;
}

/** Milliseconds by the clock a round, and CPU of the process in all rounds. */
interface Cost {
  readonly wall: number[];
  cpu: number;
}

function cases(end: number): Case[] {
  const all: Case[] = [];
  for (const { prefix, hours } of FARMS) {
    for (const question of QUESTIONS) {
      if (!question.name.includes(flag('only'))) continue;
      const text = question.query.replaceAll('$', prefix);
      // VictoriaMetrics hides what is younger than 30 s, and samples of the last scrapes end at different times.
      // Beside the whole minutes, where 2 and 3 differ in what a subquery holds.
      const at = (round: number): number => Math.floor(end / 60_000) * 60 - 90 - round * MOVE_S;
      const span = hours * 3600 - 600 - ROUNDS_MAX * MOVE_S;
      all.push({
        ...question,
        ...{ title: `${prefix} ${question.name}`, path: 'query' },
        params: (round) =>
          new URLSearchParams({ query: text, time: String(at(round)), nocache: '1' }),
      });
      all.push({
        ...question,
        ...{ title: `${prefix} ${question.name}, range`, path: 'query_range' },
        params: (round) =>
          new URLSearchParams({
            ...{ query: text, step: String(STEP_S), nocache: '1' },
            ...{ start: String(at(round) - span), end: String(at(round)) },
          }),
      });
    }
  }
  return all;
}

async function startRivals(site: Site): Promise<Server[]> {
  const config = site.file('prometheus.yml', '');
  const [one, other] = [await freePort(), await freePort()];
  const prometheus = site.program(
    ...(['Prometheus', 'prometheus', `--config.file=${config}`, '--log.level=warn'] as const),
    ...['--web.enable-remote-write-receiver', `--storage.tsdb.path=${site.path('tsdb')}`],
    `--web.listen-address=127.0.0.1:${one}`,
  );
  const victoria = site.program(
    ...(['VictoriaMetrics', 'victoria-metrics', '-loggerLevel=WARN'] as const),
    ...[`-storageDataPath=${site.path('vm')}`, `-httpListenAddr=127.0.0.1:${other}`],
    ...['-search.disableCache', '-retentionPeriod=100y'],
  );
  const rivals: Server[] = [
    { name: 'Prometheus', url: `http://127.0.0.1:${one}`, program: prometheus },
    { name: 'VictoriaMetrics', url: `http://127.0.0.1:${other}`, program: victoria },
  ];
  await waitReady(rivals[0].url, 60_000);
  await waitHealthy(rivals[1].url);
  return rivals;
}

async function waitHealthy(url: string): Promise<void> {
  for (let left = 600; ; left--) {
    try {
      await get(`${url}/health`);
      return;
    } catch (error) {
      if (left === 0) throw error;
    }
    await sleep(100);
  }
}

async function startCanopy(site: Site, folder: string): Promise<Server> {
  const port = await freePort();
  const node = flag('node') === '' ? [] : flag('node').split(',');
  const program = site.program(
    ...(['Canopy', process.execPath, ...node, MAIN, 'parent'] as const),
    ...['--config.file', site.file('canopy.yml', ''), '--storage.path', folder],
    ...['--retention.raw', '0', '--web.listen-address', `127.0.0.1:${port}`],
  );
  const url = `http://127.0.0.1:${port}`;
  await waitReady(url, 120_000);
  for (let left = 1200; left > 0; left--) {
    if (!(await get(`${url}/-/ready`)).includes('warming')) break;
    await sleep(100);
  }
  return { name: 'Canopy', url, program };
}

/** CPU of all threads by the scheduler, which counts finer than the ticks of `stat`. Milliseconds. */
function cpuMs(pid: number): number {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8');
      nanoseconds += Number(stat.split(' ')[0]);
    } catch {
      // The thread has ended since.
    }
  }
  return nanoseconds / 1e6;
}

const agent = new Agent({ keepAlive: true });

/** Not by `fetch`, whose streams cost as much as a small answer. */
function ask(server: Server, { path, params, title }: Case, round: number): Promise<Buffer> {
  const url = `${server.url}/api/v1/${path}?${params(round).toString()}`;
  const headers = { 'accept-encoding': 'identity' };
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent, headers, timeout: 120_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks);
        if (response.statusCode === 200) return resolve(body);
        const text = body.toString().slice(0, 300);
        reject(new Error(`${server.name}, ${title}: HTTP ${response.statusCode}: ${text}`));
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`${server.name}, ${title}: no answer`)));
    asked.on('error', reject);
    asked.end();
  });
}

/** What must be the same in all answers. */
interface Digest {
  readonly series: number;
  readonly points: number;
  readonly sum: number;
}

function digest(body: Buffer): Digest {
  interface Series {
    readonly value?: [number, string];
    readonly values?: Array<[number, string]>;
  }
  const { data } = JSON.parse(body.toString()) as { data: { result: Series[] } };
  let points = 0;
  let sum = 0;
  for (const { value, values = [value!] } of data.result) {
    points += values.length;
    for (const [, text] of values) sum += text === 'NaN' ? 0 : Number(text);
  }
  return { series: data.result.length, points, sum };
}

/** '' where the answers agree. */
function disagreement(expected: Digest, got: Digest, tolerance: number): string {
  if (got.series !== expected.series) return `${got.series} series, not ${expected.series}`;
  const near = Math.abs(got.sum - expected.sum) <= tolerance * Math.abs(expected.sum);
  if (!near) return `sum ${got.sum}, not ${expected.sum}`;
  if (tolerance === TOLERANCE && got.points !== expected.points) {
    return `${got.points} points, not ${expected.points}`;
  }
  return '';
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const geometricMean = (numbers: readonly number[]): number =>
  Math.exp(numbers.reduce((sum, number) => sum + Math.log(number), 0) / numbers.length);

/** Compares the answers, so that nothing wrong is timed; and all servers have seen the question before. */
async function check(servers: readonly Server[], asked: Case): Promise<void> {
  const digests = new Map<Name, Digest>();
  for (const server of servers) digests.set(server.name, digest(await ask(server, asked, 0)));
  const expected = digests.get('Prometheus') ?? digests.get('Canopy')!;
  for (const { name } of servers) {
    const isOther = name === 'VictoriaMetrics' && asked.ratesDiffer === true;
    const tolerance = isOther ? TOLERANCE_RATES : TOLERANCE;
    const wrong = disagreement(expected, digests.get(name)!, tolerance);
    if (wrong === '') continue;
    say(`${name}, ${asked.title}: ${wrong}`);
    process.exitCode = 1;
  }
}

async function measure(
  servers: readonly Server[],
  asked: Case,
  roundsMax: number,
): Promise<Map<Name, Cost>> {
  const costs = new Map<Name, Cost>();
  for (const { name } of servers) costs.set(name, { wall: [], cpu: 0 });
  const first = performance.now();
  for (let round = 1; round <= roundsMax; round++) {
    if (round > ROUNDS && performance.now() - first > REPEAT_MS) break;
    for (let turn = 0; turn < servers.length; turn++) {
      const server = servers[(round + turn) % servers.length];
      const cost = costs.get(server.name)!;
      const before = cpuMs(server.program.pid);
      const begun = performance.now();
      await ask(server, asked, round);
      cost.wall.push(performance.now() - begun);
      cost.cpu += cpuMs(server.program.pid) - before;
    }
  }
  return costs;
}

/** With no rival: what the parent takes, the least of all rounds beside the median. */
function reportAlone(all: ReadonlyMap<Case, ReadonlyMap<Name, Cost>>): void {
  say('\n| query | asked | median, ms | least | CPU |\n|---|---|---|---|---|');
  const sums = { median: 0, least: 0, cpu: 0 };
  for (const [{ title }, costs] of all) {
    const { wall, cpu } = costs.get('Canopy')!;
    const cells = [median(wall), Math.min(...wall), cpu / wall.length];
    say(`| ${[title, `${wall.length}×`, ...cells.map((ms) => ms.toFixed(2))].join(' | ')} |`);
    sums.median += Math.log(cells[0]);
    sums.least += Math.log(cells[1]);
    sums.cpu += Math.log(cells[2]);
  }
  const means = Object.values(sums).map((sum) => Math.exp(sum / all.size).toFixed(3));
  say(`| geometric mean | | ${means.join(' | ')} |`);
}

/** Medians by the clock and means of the CPU: Canopy, Prometheus, VictoriaMetrics. Milliseconds. */
function figures(costs: ReadonlyMap<Name, Cost>): { wall: number[]; cpu: number[] } {
  const each = (['Canopy', 'Prometheus', 'VictoriaMetrics'] as const).map((n) => costs.get(n)!);
  return {
    wall: each.map(({ wall }) => median(wall)),
    cpu: each.map(({ wall, cpu }) => cpu / wall.length),
  };
}

function reportMeans(all: ReadonlyMap<Case, ReadonlyMap<Name, Cost>>, when: string): void {
  const costs = [...all.values()].map(figures);
  for (const [kind, name] of [
    ['wall', 'wall'],
    ['cpu', 'CPU'],
  ] as const) {
    const [toPrometheus, toVictoria] = [1, 2].map((i) => {
      const ratios = costs.map((one) => one[kind][i] / one[kind][0]);
      return `× ${geometricMean(ratios).toFixed(2)}`;
    });
    say(`| geometric mean, ${name}${when} | | | | | ${toPrometheus} | ${toVictoria} |`);
  }
}

function report(
  first: ReadonlyMap<Case, ReadonlyMap<Name, Cost>>,
  all: ReadonlyMap<Case, ReadonlyMap<Name, Cost>>,
): void {
  const ms = (number: number): string => number.toFixed(number < 100 ? 1 : 0);
  let worst = { title: '', ms: Number.NEGATIVE_INFINITY };
  say(
    '\n| query | asked | Canopy, ms (CPU) | Prometheus | VictoriaMetrics | to Prometheus | to VM |',
  );
  say('|---|---|---|---|---|---|---|');
  for (const [{ title }, costs] of all) {
    const { wall, cpu } = figures(costs);
    if (wall[0] - wall[1] > worst.ms) worst = { title, ms: wall[0] - wall[1] };
    const cells = wall.map((_, i) => `${ms(wall[i])} (${ms(cpu[i])})`);
    const times = [wall[1] / wall[0], wall[2] / wall[0]].map((ratio) => `× ${ratio.toFixed(2)}`);
    const rounds = `${costs.get('Canopy')!.wall.length}×`;
    say(`| ${[title, rounds, ...cells, ...times].join(' | ')} |`);
  }
  reportMeans(all, '');
  reportMeans(first, `, first ${ROUNDS}`);
  say(
    `\nFarthest behind Prometheus: ${worst.title}, ${worst.ms.toFixed(1)} ms (budget ${BUDGET_MS} ms)`,
  );
}

async function main(): Promise<void> {
  say(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}`);
  say(
    `load ${loadavg()[0].toFixed(1)}, Node ${process.version}, medians of ${ROUNDS} to ${ROUNDS_MAX}`,
  );
  for (const { prefix, targets, hours } of FARMS) {
    say(`${prefix}: ${targets} targets × 1,004 series × ${hours} h of 15 s`);
  }
  await using site = new Site();
  const end = Math.floor(Date.now() / INTERVAL) * INTERVAL;
  const rivals = ALONE ? [] : await startRivals(site);
  const folder = site.path('canopy');
  const begun = performance.now();
  const urls = rivals.map(({ url }) => url);
  const samples = await fill(FARMS, end, folder, urls);
  if (!ALONE) await get(`${urls[1]}/internal/force_flush`, {}, 60_000);
  const took = ((performance.now() - begun) / 1000).toFixed(0);
  say(`${(samples / 1e6).toFixed(1)} M samples given to all in ${took} s: aligned groups in the`);
  say('parent (as frames into its store), remote write in order of time to the others');
  const servers = [await startCanopy(site, folder), ...rivals];
  for (const { name, url, program } of servers) {
    const [count] = await query(url, 'count({__name__!=""})', end / 1000 - 90, 60_000);
    say(`  ${name} (${program.pid}): ${count?.value?.[1]} series`);
  }
  const first = new Map<Case, ReadonlyMap<Name, Cost>>();
  const all = new Map<Case, ReadonlyMap<Name, Cost>>();
  for (const asked of cases(end)) await check(servers, asked);
  for (const asked of cases(end)) first.set(asked, await measure(servers, asked, ROUNDS));
  for (const asked of cases(end)) all.set(asked, await measure(servers, asked, ROUNDS_MAX));
  if (ALONE) reportAlone(all);
  else report(first, all);
  // So that a profile is written.
  await servers[0].program.kill('SIGTERM');
}

await main();
process.exit();
