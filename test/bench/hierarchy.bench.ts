/**
 * `npm run bench`: a leaf and the hop to a parent on Redis, beside a Prometheus that scrapes the same farm and one that
 * federates from it, in one run. Prints CPU seconds for a million samples, bytes a sample, memory a series.
 * `npm run bench -- --small` is a short run to see that it works.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Program, Site, eventually, freePort, query, sleep, waitReady } from '../processes.js';
import { farmConfig, federateConfig } from './farm-config.js';
import { type CountingProxy, anonymousBytes, countingProxy, cpuSeconds } from './measure.js';

const isSmall = process.argv.includes('--small');
const SERIES = 1000;
const FEW_TARGETS = isSmall ? 2 : 10;
const MANY_TARGETS = isSmall ? 10 : 100;
const CHANGED = 0.2;
const INTERVAL_S = isSmall ? 1 : 5;
const MEASURE_S = isSmall ? 10 : 90;

const say = (line: string): void => console.log(line);

interface Setup {
  readonly site: Site;
  readonly programs: Record<'promLeaf' | 'promParent' | 'leaf' | 'parent' | 'redis', Program>;
  readonly urls: Record<'promLeaf' | 'promParent' | 'leaf' | 'parent', string>;
  readonly redisPort: number;
  readonly wire: Record<'canopy' | 'prometheus', CountingProxy>;
  setTargets(count: number): void;
}

async function setUp(): Promise<Setup> {
  const site = new Site();
  const ports: number[] = [];
  for (let i = 0; i < 6; i++) ports.push(await freePort());
  const [farm, promLeaf, promParent, leaf, parent, redisPort] = ports;
  const targets = site.file('targets.json', '[]');
  const setTargets = (count: number): void => {
    const names = Array.from({ length: count }, (_, i) => `target-${i}`);
    site.file('targets.json', JSON.stringify([{ targets: names }]));
  };
  const wire = { canopy: await countingProxy(leaf), prometheus: await countingProxy(promLeaf) };
  const script = fileURLToPath(new URL('farm.ts', import.meta.url));
  site.program(
    'farm',
    process.execPath,
    '--import',
    'tsx',
    script,
    String(farm),
    String(SERIES),
    String(CHANGED),
  );
  const prometheus = (name: string, config: string, port: number): Program =>
    site.program(
      name,
      'prometheus',
      ...[`--config.file=${site.file(`${name}.yml`, config)}`, '--log.level=warn'],
      ...[`--storage.tsdb.path=${site.path(name)}`, `--web.listen-address=127.0.0.1:${port}`],
    );
  const redis = site.program(
    'redis',
    'redis-server',
    ...['--bind', '127.0.0.1', '--port', String(redisPort), '--dir', site.folder, '--save', ''],
    ...['--appendonly', 'yes', '--maxmemory', '4gb', '--maxmemory-policy', 'noeviction'],
  );
  const address = (port: number): string => `127.0.0.1:${port}`;
  const config = farmConfig(farm, targets, INTERVAL_S);
  const programs = {
    redis,
    promLeaf: prometheus('prom-leaf', config, promLeaf),
    promParent: prometheus(
      'prom-parent',
      federateConfig(wire.prometheus.port, INTERVAL_S),
      promParent,
    ),
    leaf: site.canopy(
      'leaf',
      ...['leaf', '--config.file', site.file('leaf.yml', config)],
      ...['--web.listen-address', address(leaf), '--storage.path', site.path('leaf')],
    ),
    parent: site.canopy(
      'parent',
      ...[
        'parent',
        '--config.file',
        site.file('parent.yml', federateConfig(wire.canopy.port, INTERVAL_S)),
      ],
      ...['--web.listen-address', address(parent), '--storage.path', site.path('parent')],
      ...['--store', `redis://${address(redisPort)}`],
    ),
  };
  const base = (port: number): string => `http://${address(port)}`;
  const urls = {
    ...{ promLeaf: base(promLeaf), promParent: base(promParent) },
    ...{ leaf: base(leaf), parent: base(parent) },
  };
  for (const url of Object.values(urls)) await waitReady(url, 30_000);
  return { site, programs, urls, redisPort, wire, setTargets };
}

/** Waits until each server has `targets` times SERIES series. */
async function settled(setup: Setup, targets: number): Promise<void> {
  for (const url of Object.values(setup.urls)) {
    await eventually(60_000, `${targets} targets at ${url}`, async () => {
      const [count] = await query(url, 'count({__name__=~"farm_.*"})');
      if (Number(count?.value?.[1]) !== targets * SERIES)
        throw new Error(String(count?.value?.[1]));
    });
  }
  await sleep(isSmall ? 3000 : 15_000);
}

interface Usage {
  readonly cpu: Record<keyof Setup['programs'], number>;
  readonly at: number;
}

function usage(setup: Setup): Usage {
  const entries = Object.entries(setup.programs).map(([name, program]) => [
    name,
    cpuSeconds(program.pid),
  ]);
  return { cpu: Object.fromEntries(entries) as Usage['cpu'], at: performance.now() };
}

function memory(setup: Setup): Record<string, number> {
  return Object.fromEntries(
    Object.entries(setup.programs).map(([name, program]) => [name, anonymousBytes(program.pid)]),
  );
}

function redisMemory(port: number): number {
  const text = execFileSync('redis-cli', ['-p', String(port), 'info', 'memory']).toString();
  return Number(/used_memory:(\d+)/.exec(text)?.[1] ?? 0);
}

async function measure(
  setup: Setup,
  seconds: number,
): Promise<{ cpu: Usage['cpu']; samples: number }> {
  const before = usage(setup);
  for (let left = seconds; left > 0; left -= 10) {
    await sleep(Math.min(10, left) * 1000);
    if (left > 10) say(`  measuring, ${left - 10} s to go`);
  }
  const after = usage(setup);
  const names = Object.keys(before.cpu) as Array<keyof Usage['cpu']>;
  const cpu = Object.fromEntries(names.map((name) => [name, after.cpu[name] - before.cpu[name]]));
  const scrapes = (after.at - before.at) / 1000 / INTERVAL_S;
  return { cpu: cpu as Usage['cpu'], samples: scrapes * MANY_TARGETS * SERIES };
}

const row = (name: string, canopy: string, prometheus: string, ratio: string): void =>
  say(
    `| ${name.padEnd(46)} | ${canopy.padStart(10)} | ${prometheus.padStart(10)} | ${ratio.padStart(8)} |`,
  );

async function main(): Promise<void> {
  const machine = /model name\s*:\s*(.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '?';
  say(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${machine}, Node ${process.version}`,
  );
  say(
    `${MANY_TARGETS} targets × ${SERIES} series every ${INTERVAL_S} s, ${CHANGED * 100} % changing`,
  );
  const setup = await setUp();
  await using _site = setup.site;
  const { programs, wire } = setup;

  setup.setTargets(FEW_TARGETS);
  await settled(setup, FEW_TARGETS);
  const few = memory(setup);
  say(`  ${MANY_TARGETS} targets from here on`);
  setup.setTargets(MANY_TARGETS);
  await settled(setup, MANY_TARGETS);

  // The leaves alone first: what scraping costs without anybody above.
  await programs.parent.kill('SIGTERM');
  await programs.promParent.kill('SIGTERM');
  say('  leaves without a parent');
  const alone = await measure(
    { ...setup, programs: { ...programs, parent: programs.leaf, promParent: programs.promLeaf } },
    MEASURE_S / 2,
  );
  programs.parent.start();
  programs.promParent.start();
  await settled(setup, MANY_TARGETS);
  wire.canopy.takeBytes();
  wire.prometheus.takeBytes();
  const redisBefore = redisMemory(setup.redisPort);
  say('  leaves with their parents');
  const both = await measure(setup, MEASURE_S);
  const wireBytes = { canopy: wire.canopy.takeBytes(), prometheus: wire.prometheus.takeBytes() };
  const redisBytes = redisMemory(setup.redisPort) - redisBefore;
  const many = memory(setup);

  const million = (cpu: number, samples: number): number => (cpu / samples) * 1e6;
  const leafCost = {
    canopy: million(alone.cpu.leaf, alone.samples),
    prometheus: million(alone.cpu.promLeaf, alone.samples),
  };
  const hopCost = {
    canopy:
      million(both.cpu.leaf + both.cpu.parent + both.cpu.redis, both.samples) - leafCost.canopy,
    prometheus:
      million(both.cpu.promLeaf + both.cpu.promParent, both.samples) - leafCost.prometheus,
  };
  const extra = (MANY_TARGETS - FEW_TARGETS) * SERIES;
  const perSeries = (name: string): number => (many[name] - few[name]) / extra;
  say('');
  row('', 'Canopy', 'Prometheus', 'ratio');
  say(`|${'-'.repeat(48)}|${'-'.repeat(12)}|${'-'.repeat(12)}|${'-'.repeat(10)}|`);
  const compare = (name: string, canopy: number, prometheus: number, digits: number): void =>
    row(
      name,
      canopy.toFixed(digits),
      prometheus.toFixed(digits),
      `1/${(prometheus / canopy).toFixed(1)}`,
    );
  compare('leaf, CPU s per million samples', leafCost.canopy, leafCost.prometheus, 2);
  compare('hop, CPU s per million samples', hopCost.canopy, hopCost.prometheus, 2);
  compare(
    'wire, bytes a sample',
    wireBytes.canopy / both.samples,
    wireBytes.prometheus / both.samples,
    2,
  );
  row(
    'Redis, bytes a sample (journal and tiles)',
    (redisBytes / both.samples).toFixed(2),
    '-',
    '-',
  );
  compare(
    'leaf, anonymous bytes an additional series',
    perSeries('leaf'),
    perSeries('promLeaf'),
    0,
  );
  compare(
    'parent, anonymous bytes an additional series',
    perSeries('parent'),
    perSeries('promParent'),
    0,
  );
  const share = (name: keyof Usage['cpu']): string =>
    million(both.cpu[name], both.samples).toFixed(2);
  say(
    `\nCPU s per million samples while federated: leaf ${share('leaf')}, parent ${share('parent')}, Redis ${share('redis')}; Prometheus leaf ${share('promLeaf')}, parent ${share('promParent')}`,
  );
  wire.canopy.close();
  wire.prometheus.close();
}

await main();
process.exit(0);
