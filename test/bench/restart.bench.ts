/**
 * `npm run bench -- restart [targets series hours]`: a parent killed with so much in its store, on Redis and on
 * the embedded store, and a leaf: how long until it is ready, until its answers are right, until nothing is cold any
 * more, and what that costs. `--small` is a short run to see that it works; `--only redis`
 * (`embedded`, `leaf`) one of them. The last is a leaf, which has its whole journal and its recent tiles.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { startRedis } from '@canopy/store/testing';
import { type Program, Site, freePort, get, query, sleep } from '../processes.js';
import { anonymousBytes, cpuSeconds } from './measure.js';

const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'));
const given = process.argv.slice(2).filter((arg) => /^[\d.]+$/.test(arg));
const size =
  given.length > 0 ? given : flags.includes('--small') ? ['40', '250', '1'] : ['1000', '1000', '2'];
const [TARGETS, SERIES] = size.map(Number);
const HOURS = size[2] ?? '2';
const ANSWER_MS_MAX = 300_000;
const BUDGET_S = 10;

const say = (line: string): void => console.log(line);

/** What the generator says that queries must find. */
interface Filled {
  readonly oldest: number;
  readonly newest: number;
  readonly scrapes: number;
  /** Of the newest values of target 0. */
  readonly sum: number;
  readonly journalBytes: number;
  readonly storeBytes: number;
  readonly tiles: number;
}

async function fill(role: 'leaf' | 'parent', store: string): Promise<Filled> {
  const script = fileURLToPath(new URL('restart-journal.ts', import.meta.url));
  const args = ['--conditions=canopy-source', '--import', 'tsx', script, role, store];
  const child = spawn(process.execPath, [...args, String(TARGETS), String(SERIES), HOURS], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let last = '';
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('{')) say(line);
      last = line;
    }
  });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`the generator ended with ${code}`);
  return JSON.parse(last) as Filled;
}

/** Seconds since `begun` at which `attempt` first said true; it is asked again every 50 ms. */
async function secondsUntil(begun: number, attempt: () => Promise<boolean>): Promise<number> {
  const end = begun + ANSWER_MS_MAX;
  while (performance.now() < end) {
    try {
      if (await attempt()) return (performance.now() - begun) / 1000;
    } catch {
      // Not up yet, or not ready.
    }
    await sleep(50);
  }
  throw new Error(`not within ${ANSWER_MS_MAX / 1000} s`);
}

/** How long `/-/healthy` takes: no shorter than the step that holds the event loop. 0 while nobody listens. */
async function healthySeconds(base: string): Promise<number> {
  const begun = performance.now();
  try {
    await get(`${base}/-/healthy`);
  } catch {
    return 0;
  }
  return (performance.now() - begun) / 1000;
}

async function value(base: string, expr: string, time: number): Promise<number> {
  return Number((await query(base, expr, time / 1000))[0]?.value?.[1]);
}

async function measure(
  name: string,
  role: 'leaf' | 'parent',
  store: string,
  storageArgs: readonly string[],
): Promise<void> {
  say(`${name}: filling ${TARGETS} targets × ${SERIES} series × ${HOURS} h of 15 s`);
  const begunFill = performance.now();
  const filled = await fill(role, store);
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const samples = TARGETS * SERIES * filled.scrapes;
  say(
    `  filled in ${((performance.now() - begunFill) / 1000).toFixed(0)} s: ${(samples / 1e6).toFixed(0)} M samples, ` +
      `${filled.tiles} tiles, journal ${mb(filled.journalBytes)}, store ${mb(filled.storeBytes)}`,
  );
  await using site = new Site();
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const start = (): Program =>
    site.canopy(
      role,
      ...[
        role,
        '--config.file',
        site.file('empty.yml', ''),
        '--web.listen-address',
        `127.0.0.1:${port}`,
        ...storageArgs,
      ],
    );
  let program = start();
  // The first start only makes what a parent has of its own; the second is measured after a kill.
  await secondsUntil(performance.now(), async () => (await get(`${base}/-/ready`)) !== '');
  await sleep(1000);
  await program.kill('SIGKILL');
  const begun = performance.now();
  program = start();
  let longest = 0;
  const watch = { on: true };
  const watching = (async () => {
    while (watch.on) {
      await sleep(20);
      longest = Math.max(longest, await healthySeconds(base));
    }
  })();
  const ready = await secondsUntil(begun, async () => (await get(`${base}/-/ready`)) !== '');
  const cpuReady = cpuSeconds(program.pid);
  const sum = await secondsUntil(
    begun,
    async () => (await value(base, 'sum({instance="target-0"})', filled.newest)) === filled.sum,
  );
  // Times right of the range's left end: one scrape less than there are.
  const span = Math.round((filled.newest - filled.oldest) / 1000) + 15;
  const all = `sum(count_over_time(farm_metric_0_total{path="/api/v1/resource/0"}[${span}s]))`;
  let found = 0;
  const whole = await secondsUntil(begun, async () => {
    found = await value(base, all, filled.newest);
    return found >= TARGETS * (filled.scrapes - 1);
  });
  let note = '';
  const warm = await secondsUntil(begun, async () => {
    note = await get(`${base}/-/ready`);
    return !note.includes('warming');
  });
  watch.on = false;
  await watching;
  say('');
  say(`| ${name} | |`);
  say('|---|---|');
  say(`| ready | ${ready.toFixed(1)} s |`);
  say(`| CPU until ready, start of Node included | ${cpuReady.toFixed(1)} s |`);
  say(`| newest values right | ${sum.toFixed(1)} s (budget ${BUDGET_S} s) |`);
  say(`| one series of each target over all of the time right | ${whole.toFixed(1)} s |`);
  say(`| nothing cold any more | ${warm.toFixed(1)} s |`);
  say(
    `| CPU until then, the queries of this benchmark included | ${cpuSeconds(program.pid).toFixed(1)} s |`,
  );
  say(`| anonymous memory | ${mb(anonymousBytes(program.pid))} |`);
  say(`| slowest answer of /-/healthy meanwhile | ${(longest * 1000).toFixed(0)} ms |`);
  say('');
  await program.kill('SIGKILL');
}

say(
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`,
);
const only = process.argv[process.argv.indexOf('--only') + 1];
const isWanted = (kind: string): boolean => !flags.includes('--only') || only === kind;
if (isWanted('redis')) {
  const redis = await startRedis(['--maxmemory', '8gb', '--maxmemory-policy', 'noeviction']);
  try {
    await using site = new Site();
    await measure('parent on Redis', 'parent', redis.url, [
      '--store',
      redis.url,
      '--storage.path',
      site.path('parent'),
    ]);
  } finally {
    await redis.stop();
  }
}
if (isWanted('embedded')) {
  await using site = new Site();
  await measure('parent, embedded', 'parent', site.path('parent'), [
    '--storage.path',
    site.path('parent'),
  ]);
}
if (isWanted('leaf')) {
  await using site = new Site();
  await measure('leaf', 'leaf', site.path('leaf'), ['--storage.path', site.path('leaf')]);
}
process.exit(0);
