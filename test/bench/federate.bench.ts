/**
 * `npm run bench -- federate`: plain text `/federate` of a leaf beside a Prometheus that scrape the same
 * farm, in one run: CPU of the server, time to the first byte, growth of its memory.
 *
 * `--small` is a short run to see that it works; numbers are targets, series, and answers of each kind; `--alone` leaves
 * Prometheus out: `-- federate 1000 1000 5 --alone` is what a million series take.
 */
import { get as httpGet } from 'node:http';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { createGunzip } from 'node:zlib';
import {
  type Program,
  Site,
  eventually,
  freePort,
  get,
  query,
  sleep,
  waitReady,
} from '../processes.js';
import { farmConfig } from './farm-config.js';
import { anonymousBytes, cpuSeconds } from './measure.js';

const given = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const usual = process.argv.includes('--small') ? [10, 100, 3] : [100, 1000, 10];
const [TARGETS, SERIES, ANSWERS] = usual.map((number, i) => Number(given[i] ?? number));
/** Long, so that few scrapes fall into an answer; their CPU is not taken off. */
const INTERVAL_S = 60;
const KINDS = {
  'text 0.0.4': { accept: 'text/plain;version=0.0.4' },
  'text, gzip': { accept: 'text/plain;version=0.0.4', 'accept-encoding': 'gzip' },
  OpenMetrics: { accept: 'application/openmetrics-text;version=1.0.0' },
} as const;
type Kind = keyof typeof KINDS;

const say = (line: string): void => console.log(line);

interface Server {
  readonly name: string;
  readonly program: Program;
  readonly url: string;
}

interface Answer {
  readonly samples: number;
  readonly bytes: number;
  readonly contentType: string;
  readonly firstByteMs: number;
  readonly cpuS: number;
  readonly growthBytes: number;
  /** Longest delay of the event loop meanwhile; undefined where there is none. */
  readonly heldMs: number | undefined;
}

async function start(site: Site): Promise<Server[]> {
  const farm = await freePort();
  const farmScript = fileURLToPath(new URL('farm.ts', import.meta.url));
  const farmArgs = [farmScript, String(farm), String(SERIES), '0.2', 'identity'];
  site.program('farm', process.execPath, '--import', 'tsx', ...farmArgs);
  const targets = Array.from({ length: TARGETS }, (_, i) => `target-${i}`);
  const targetsFile = site.file('targets.json', JSON.stringify([{ targets }]));
  const file = site.file('farm.yml', farmConfig(farm, targetsFile, INTERVAL_S));
  const [leaf, rival] = [await freePort(), await freePort()];
  const servers: Server[] = [
    {
      name: 'Canopy',
      url: `http://127.0.0.1:${leaf}`,
      program: site.canopy(
        ...['leaf', 'leaf', '--config.file', file, '--storage.path', site.path('leaf')],
        ...['--web.listen-address', `127.0.0.1:${leaf}`],
      ),
    },
  ];
  if (!process.argv.includes('--alone')) {
    servers.push({
      name: 'Prometheus',
      url: `http://127.0.0.1:${rival}`,
      program: site.program(
        ...['Prometheus', 'prometheus', `--config.file=${file}`, '--log.level=warn'],
        ...[`--storage.tsdb.path=${site.path('tsdb')}`, `--web.listen-address=127.0.0.1:${rival}`],
      ),
    });
  }
  for (const { name, url } of servers) {
    await waitReady(url, 30_000);
    await eventually(150_000, `all series at ${name}`, async () => {
      const [count] = await query(url, 'count({__name__=~"farm_.*"})');
      if (Number(count?.value?.[1]) !== TARGETS * SERIES) throw new Error(JSON.stringify(count));
    });
  }
  return servers;
}

/** Since it was asked for last. */
async function loopDelayMs(url: string): Promise<number | undefined> {
  const found = /^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(await get(`${url}/metrics`));
  return found === null ? undefined : Number(found[1]) * 1000;
}

async function federate(server: Server, kind: Kind): Promise<Answer> {
  await loopDelayMs(server.url);
  const answer = await ask(server, kind);
  return { ...answer, heldMs: await loopDelayMs(server.url) };
}

/** One whole answer; memory is read while it comes in. */
function ask({ url, program }: Server, kind: Kind): Promise<Omit<Answer, 'heldMs'>> {
  const selector = encodeURIComponent('{__name__!=""}');
  const before = anonymousBytes(program.pid);
  const cpuBefore = cpuSeconds(program.pid);
  const begun = performance.now();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, anonymousBytes(program.pid))), 20);
  return new Promise((resolve, reject) => {
    httpGet(`${url}/federate?match[]=${selector}`, { headers: KINDS[kind] }, (res) => {
      let [bytes, samples, firstByteMs, atLineStart] = [0, 0, 0, true];
      const isZipped = res.headers['content-encoding'] === 'gzip';
      res.on('data', (chunk: Buffer) => {
        if (bytes === 0) firstByteMs = performance.now() - begun;
        bytes += chunk.length;
      });
      const body = isZipped ? res.pipe(createGunzip()) : res;
      body.on('data', (chunk: Buffer) => {
        for (let i = 0; i < chunk.length; ) {
          if (atLineStart && chunk[i] !== 0x23) samples++;
          const end = chunk.indexOf(10, i);
          atLineStart = end !== -1;
          i = end === -1 ? chunk.length : end + 1;
        }
      });
      body.on('error', reject);
      body.on('end', () => {
        if (res.statusCode !== 200) return reject(new Error(`HTTP ${res.statusCode}`));
        most = Math.max(most, anonymousBytes(program.pid));
        const cpuS = cpuSeconds(program.pid) - cpuBefore;
        const contentType = String(res.headers['content-type']).split(';')[0];
        resolve({ samples, bytes, contentType, firstByteMs, cpuS, growthBytes: most - before });
      });
    })
      .on('error', reject)
      .on('close', () => clearInterval(watch));
  });
}

function row(name: string, kind: Kind, answers: readonly Answer[]): string {
  const least = (read: (answer: Answer) => number): number => Math.min(...answers.map(read));
  const { samples, bytes, contentType } = answers[answers.length - 1];
  const cpu = answers.reduce((sum, answer) => sum + answer.cpuS, 0) / answers.length / samples;
  const cells = [
    ...[name, kind, contentType, samples, (cpu * 1e6).toFixed(2)],
    ...[
      ((least((a) => a.cpuS) / samples) * 1e6).toFixed(2),
      least((a) => a.firstByteMs).toFixed(0),
    ],
    ...[(Math.max(...answers.map((a) => a.growthBytes)) / 2 ** 20).toFixed(1), bytes / samples],
    Math.max(...answers.map((a) => a.heldMs ?? NaN))
      .toFixed(1)
      .replace('NaN', '-'),
  ];
  return `| ${cells.map((cell) => (typeof cell === 'number' ? Math.round(cell) : cell)).join(' | ')} |`;
}

async function main(): Promise<void> {
  say(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}`);
  say(`${TARGETS} targets × ${SERIES} series, ${ANSWERS} answers each, Node ${process.version}`);
  await using site = new Site();
  const servers = await start(site);
  await sleep(2000);
  const taken = new Map<string, Answer[]>();
  for (let i = 0; i < ANSWERS; i++) {
    for (const server of servers) {
      for (const kind of Object.keys(KINDS) as Kind[]) {
        const key = `${server.name} ${kind}`;
        taken.set(key, [...(taken.get(key) ?? []), await federate(server, kind)]);
      }
    }
  }
  say(
    '\n| | asked for | answered | samples | CPU µs a sample | least | first byte, ms, least | memory growth, most, MiB | bytes a sample | event loop delay, longest, ms |',
  );
  say('|---|---|---|---|---|---|---|---|---|---|');
  for (const { name } of servers) {
    for (const kind of Object.keys(KINDS) as Kind[])
      say(row(name, kind, taken.get(`${name} ${kind}`)!));
  }
}

await main();
process.exit(0);
