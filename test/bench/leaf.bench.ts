/**
 * `npm run bench -- leaf`: one leaf beside a Prometheus and a VictoriaMetrics that scrape the same
 * farm, bodies as they are and compressed, in one run. CPU seconds for a million samples, memory a series.
 *
 * `--small` is a short run to see that it works; numbers are targets, series, seconds of warm-up and of
 * measurement, and of the scrape interval (1 fills a head with two hours' scrapes in eight minutes).
 * `--bodies=identity` leaves the compressed ones out, `--rival=FILE` adds a leaf of another build
 * (its packages/canopy/dist/main.js), `--node=FLAG,FLAG` one with these flags of Node's.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  MAIN,
  type Program,
  Site,
  eventually,
  freePort,
  query,
  sleep,
  waitReady,
} from '../processes.js';
import { farmConfig } from './farm-config.js';
import { anonymousBytes, cpuSeconds } from './measure.js';

const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'));
const given = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const isSmall = flags.includes('--small');
const usual = isSmall ? [10, 100, 3, 10, 1] : [100, 1000, 120, 120, 5];
const [TARGETS, SERIES, WARM_S, MEASURE_S, INTERVAL_S] = usual.map((number, i) =>
  Number(given[i] ?? number),
);
const FEW = Math.ceil(TARGETS / 10);
const CHANGED = 0.2;

const say = (line: string): void => console.log(line);
const flag = (name: string): string | undefined =>
  flags.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);

interface Scraper {
  readonly name: string;
  readonly bodies: 'identity' | 'gzip';
  readonly program: Program;
  readonly url: string;
}

type Start = (config: string, port: number, folder: string) => readonly string[];

/** Name → command line of what scrapes. */
function scrapers(): Map<string, Start> {
  const leaf =
    (main: string, node: readonly string[]): Start =>
    (file, port, folder) => [
      ...[process.execPath, ...node, main, 'leaf', '--config.file', file],
      ...['--web.listen-address', `127.0.0.1:${port}`, '--storage.path', folder],
    ];
  const all = new Map<string, Start>([
    ['Canopy', leaf(MAIN, [])],
    [
      'Prometheus',
      (file, port, folder) => [
        ...['prometheus', `--config.file=${file}`, '--log.level=warn'],
        ...[`--storage.tsdb.path=${folder}`, `--web.listen-address=127.0.0.1:${port}`],
      ],
    ],
    [
      'VictoriaMetrics',
      (file, port, folder) => [
        ...['victoria-metrics', `-promscrape.config=${file}`, `-storageDataPath=${folder}`],
        ...[`-httpListenAddr=127.0.0.1:${port}`, '-loggerLevel=WARN'],
        ...['-promscrape.fileSDCheckInterval=2s', '-promscrape.config.strictParse=false'],
      ],
    ],
  ]);
  const [rival, node] = [flag('rival'), flag('node')];
  if (rival !== undefined) all.set('Canopy, rival', leaf(rival, []));
  if (node !== undefined) all.set(`Canopy ${node}`, leaf(MAIN, node.split(',')));
  return all;
}

async function start(site: Site, targetsFile: string): Promise<Scraper[]> {
  const farmScript = fileURLToPath(new URL('farm.ts', import.meta.url));
  const running: Scraper[] = [];
  for (const bodies of ['identity', 'gzip'] as const) {
    if (bodies !== (flag('bodies') ?? bodies)) continue;
    const farm = await freePort();
    const farmArgs = [farmScript, String(farm), String(SERIES), String(CHANGED), bodies];
    site.program('farm', process.execPath, '--import', 'tsx', ...farmArgs);
    const file = site.file(`${bodies}.yml`, farmConfig(farm, targetsFile, INTERVAL_S));
    for (const [name, commandLine] of scrapers()) {
      const port = await freePort();
      const [command, ...args] = commandLine(file, port, site.path(`${name} ${bodies}`));
      const program = site.program(name, command, ...args);
      running.push({ name, bodies, program, url: `http://127.0.0.1:${port}` });
    }
  }
  for (const { name, url } of running) {
    if (name !== 'VictoriaMetrics') await waitReady(url, 30_000);
  }
  return running;
}

async function settled(running: readonly Scraper[], targets: number): Promise<void> {
  for (const { name, url } of running) {
    await eventually(90_000, `${targets} targets at ${name}`, async () => {
      const [count] = await query(url, 'count({__name__=~"farm_.*"})');
      if (Number(count?.value?.[1]) !== targets * SERIES)
        throw new Error(String(count?.value?.[1]));
    });
  }
}

async function main(): Promise<void> {
  say(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}`);
  say(`${TARGETS} targets × ${SERIES} series every ${INTERVAL_S} s, Node ${process.version}`);
  await using site = new Site();
  const targetsFile = site.file('targets.json', '[]');
  const setTargets = (count: number): void => {
    const targets = Array.from({ length: count }, (_, i) => `target-${i}`);
    site.file('targets.json', JSON.stringify([{ targets }]));
  };
  const running = await start(site, targetsFile);
  const each = (read: (pid: number) => number): number[] =>
    running.map(({ program }) => read(program.pid));
  setTargets(FEW);
  await settled(running, FEW);
  await sleep(isSmall ? 1000 : 20_000);
  const few = each(anonymousBytes);
  setTargets(TARGETS);
  await settled(running, TARGETS);
  say(`  all series are there; warming up for ${WARM_S} s`);
  for (const { name, bodies, program } of running) say(`  ${name} (${bodies}): ${program.pid}`);
  await sleep(WARM_S * 1000);
  const before = each(cpuSeconds);
  const begun = performance.now();
  for (let left = MEASURE_S; left > 0; left -= 20) {
    await sleep(Math.min(20, left) * 1000);
    if (left > 20) say(`  measuring, ${left - 20} s to go`);
  }
  const cpu = each(cpuSeconds).map((now, i) => now - before[i]);
  const samples = ((performance.now() - begun) / 1000 / INTERVAL_S) * TARGETS * SERIES;
  const many = each(anonymousBytes);

  say('\n| | bodies | CPU s per million samples | to Prometheus | bytes an additional series |');
  say('|---|---|---|---|---|');
  for (const [i, { name, bodies }] of running.entries()) {
    const rival = running.findIndex((r) => r.name === 'Prometheus' && r.bodies === bodies);
    const cost = ((cpu[i] / samples) * 1e6).toFixed(2);
    const bytes = (many[i] - few[i]) / ((TARGETS - FEW) * SERIES);
    say(
      `| ${name} | ${bodies} | ${cost} | 1/${(cpu[rival] / cpu[i]).toFixed(1)} | ${bytes.toFixed(0)} |`,
    );
  }
}

await main();
process.exit(0);
