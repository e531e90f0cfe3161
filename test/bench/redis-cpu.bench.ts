/**
 * `npm run bench -- redis-cpu [warm-up s] [measured s]`: what Redis itself spends on what a parent writes, for one source of
 * 100,000 series every 5 s and for twenty of 1,000 every 5 and every 15 s: real leaves, a real parent, an append-only file.
 * CPU above what the same Redis takes when nobody is there; what each script and command takes of it from Redis's
 * slowlog, set to hear of all. `--only=large` (`small-5s`, `small-15s`) is one of them, `--small` a short run to see that it works.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type RedisServer, startRedis } from '@canopy/store/testing';
import { Site, eventually, freePort, get, query, sleep, waitReady } from '../processes.js';
import { farmConfig } from './farm-config.js';
import { cpuNanoseconds } from './measure.js';

const isSmall = process.argv.includes('--small');
const given = process.argv.slice(2).filter((arg) => /^\d+$/.test(arg));
const [WARM_S, MEASURE_S] = (given.length > 0 ? given : isSmall ? [3, 5] : [40, 120]).map(Number);
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
const CHANGED = 0.2;
const BUDGET = 0.05;

interface Shape {
  readonly name: string;
  readonly sources: number;
  /** Of each source. */
  readonly targets: number;
  readonly series: number;
  readonly intervalS: number;
}

const SHAPES: readonly Shape[] = isSmall
  ? [
      { name: 'large', sources: 1, targets: 4, series: 500, intervalS: 1 },
      { name: 'small', sources: 3, targets: 1, series: 200, intervalS: 1 },
    ]
  : [
      { name: 'large', sources: 1, targets: 100, series: 1000, intervalS: 5 },
      { name: 'small-5s', sources: 20, targets: 1, series: 1000, intervalS: 5 },
      { name: 'small-15s', sources: 20, targets: 1, series: 1000, intervalS: 15 },
    ];

const say = (line: string): void => console.log(line);

/** Script by the hash that Redis knows it by. */
function scriptNames(): Map<string, string> {
  const folder = fileURLToPath(new URL('../../packages/store/src/redis/scripts/', import.meta.url));
  return new Map(
    readdirSync(folder).map((file) => {
      const sha = createHash('sha1')
        .update(readFileSync(folder + file))
        .digest('hex');
      return [sha, file];
    }),
  );
}

interface Calls {
  calls: number;
  microseconds: number;
}

/** What the slowlog has of every command since it was emptied, scripts by name. */
async function takeCalls(redis: RedisServer, into: Map<string, Calls>): Promise<void> {
  const names = scriptNames();
  const entries = (await redis.command('slowlog', 'get', '-1')) as Array<
    [id: number, at: number, microseconds: number, args: string[], from: string]
  >;
  await redis.command('slowlog', 'reset');
  for (const [, , microseconds, args, from] of entries) {
    // Inside of a script, which has its time.
    if (from === '?:0') continue;
    const word = args[0].toLowerCase();
    // The questions of this program.
    if (['slowlog', 'config', 'command'].includes(word)) continue;
    const name = word === 'evalsha' ? (names.get(args[1]) ?? 'a script') : word;
    const known = into.get(name) ?? { calls: 0, microseconds: 0 };
    known.calls++;
    known.microseconds += microseconds;
    into.set(name, known);
  }
}

async function measure(shape: Shape): Promise<void> {
  const { sources, targets, series, intervalS } = shape;
  await using site = new Site();
  const redis = await startRedis([
    ...['--appendonly', 'yes', '--maxmemory', '4gb', '--slowlog-max-len', '200000'],
  ]);
  try {
    await sleep(2000);
    const idleFrom = cpuNanoseconds(redis.pid);
    await sleep(isSmall ? 1000 : 10_000);
    const idlePerS = (cpuNanoseconds(redis.pid) - idleFrom) / (isSmall ? 1 : 10);
    const [farm, parentPort] = [await freePort(), await freePort()];
    const farmScript = fileURLToPath(new URL('farm.ts', import.meta.url));
    const farmArgs = [String(farm), String(series), String(CHANGED)];
    site.program('farm', process.execPath, '--import', 'tsx', farmScript, ...farmArgs);
    const parent = `http://127.0.0.1:${parentPort}`;
    const config = site.file('parent.yml', `global: { scrape_interval: 5s }`);
    site.canopy(
      'parent',
      ...['parent', '--config.file', config, '--storage.path', site.path('parent')],
      ...['--web.listen-address', `127.0.0.1:${parentPort}`, '--store', redis.url],
    );
    await waitReady(parent, 60_000);
    for (let source = 0; source < sources; source++) {
      const list = Array.from({ length: targets }, (_, i) => `target-${source}-${i}`);
      const file = site.file(`targets-${source}.json`, JSON.stringify([{ targets: list }]));
      const port = await freePort();
      site.canopy(
        `leaf ${source}`,
        ...[
          'leaf',
          '--config.file',
          site.file(`leaf-${source}.yml`, farmConfig(farm, file, intervalS)),
        ],
        ...[
          '--web.listen-address',
          `127.0.0.1:${port}`,
          '--storage.path',
          site.path(`leaf-${source}`),
        ],
        ...['--parent', parent, '--leaf.name', `leaf-${source}`],
      );
    }
    await eventually(180_000, 'all series', async () => {
      const [count] = await query(parent, 'count({__name__=~"farm_.*"})');
      const found = Number(count?.value?.[1] ?? 0);
      if (found !== sources * targets * series) throw new Error(String(found));
    });
    await sleep(WARM_S * 1000);
    const samplesFrom = await samplesOf(parent);
    await redis.command('config', 'set', 'slowlog-log-slower-than', '0');
    await redis.command('slowlog', 'reset');
    const calls = new Map<string, Calls>();
    const [begun, before] = [performance.now(), cpuNanoseconds(redis.pid)];
    await sleep(MEASURE_S * 1000);
    const used = cpuNanoseconds(redis.pid) - before;
    const seconds = (performance.now() - begun) / 1000;
    await takeCalls(redis, calls);
    const millions = ((await samplesOf(parent)) - samplesFrom) / 1e6;
    report(shape, (used - idlePerS * seconds) / 1e9, idlePerS / 1e6, millions, seconds, calls);
  } finally {
    await redis.stop();
  }
}

/** Samples of frames that were pulled so far. */
async function samplesOf(parent: string): Promise<number> {
  const body = JSON.parse(await get(`${parent}/api/v1/status/hierarchy`)) as {
    data: { sources: Array<{ journals: Array<{ ledger: { samples: number } }> }> };
  };
  const journals = body.data.sources.flatMap((source) => source.journals);
  return journals.reduce((sum, { ledger }) => sum + ledger.samples, 0);
}

function report(
  { name, sources, targets, series, intervalS }: Shape,
  cpuSeconds: number,
  idleMs: number,
  millions: number,
  seconds: number,
  calls: ReadonlyMap<string, Calls>,
): void {
  const perMillion = cpuSeconds / millions;
  const flushes = (calls.get('commit.lua')?.calls ?? 0) / seconds / (sources + 1);
  say(
    `${name}: ${sources} × ${targets * series} series every ${intervalS} s: ${perMillion.toFixed(4)} s a million samples ` +
      `(budget ${BUDGET}), ${((millions / seconds) * 1e6).toFixed(0)} samples a second, ${((1000 * cpuSeconds) / seconds).toFixed(2)} ms a second ` +
      `above ${idleMs.toFixed(2)} idle, ${flushes.toFixed(2)} flushes a second and journal`,
  );
  say('| step | calls a second | µs a call | share of the CPU |');
  say('|---|---|---|---|');
  let inside = 0;
  for (const [step, { calls: count, microseconds }] of [...calls].sort(
    (a, b) => b[1].microseconds - a[1].microseconds,
  )) {
    inside += microseconds / 1e6;
    const share = ((microseconds / 1e6 / cpuSeconds) * 100).toFixed(0);
    say(
      `| ${step} | ${(count / seconds).toFixed(2)} | ${(microseconds / count).toFixed(0)} | ${share} % |`,
    );
  }
  const rest = ((1 - inside / cpuSeconds) * 100).toFixed(0);
  say(`| receiving, answering, append-only file | | | ${rest} % |`);
}

say(
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`,
);
for (const shape of SHAPES) {
  if (only === undefined || shape.name === only) await measure(shape);
}
process.exit(0);
