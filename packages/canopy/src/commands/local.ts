/**
 * `canopy local` (`npm start`): a hierarchy of real processes on this machine: leaves of the clusters
 * east and west, and a parent. Shows a status line; ends them all with itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CanopyError, type HierarchyStatus } from '@canopy/model';
import type { LocalOptions } from '../cli/program.js';
import { authority, parseListenAddress } from '../cli/settings.js';
import { fetchHierarchy } from './hierarchy-client.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/** Ctrl-C ends everything within 3 s; what is left after this long is killed. */
const STOP_MS = 2500;
const STATUS_MS = 1000;
const PLAIN_STATUS_MS = 10_000;
const PROBE_MS = 15_000;

interface Member {
  readonly name: string;
  readonly flag: string;
  readonly address: string;
  readonly folder: string;
  readonly args: readonly string[];
  child: ChildProcess | undefined;
}

/** Runs until a signal comes or a member ends. @returns the exit code. */
export async function runLocal(options: LocalOptions): Promise<number> {
  const data = resolve(options.data);
  const parentUrl = `http://${options.listen}`;
  const interval = options.scrapeInterval;
  const members = [
    member('parent', '--web.listen-address', options.listen, data, [
      ...['--config.file', join(data, 'parent', 'prometheus.yml')],
      ...(options.store === undefined ? [] : ['--store', options.store]),
    ]),
    member('east', '--east.listen-address', options.east, data, leafArgs('east', data, parentUrl)),
    member('west', '--west.listen-address', options.west, data, leafArgs('west', data, parentUrl)),
  ];
  for (const one of members) await requireFreePort(one);
  for (const one of members) mkdirSync(one.folder, { recursive: true });
  const targets = members.map((one) => one.address);
  writeConfigs(members, interval);
  let exporter = await answers(options.nodeExporter);
  writeTargets(members, targets, exporter ? options.nodeExporter : undefined);

  const stopped = stopSignal();
  for (const one of members) startMember(one);
  process.stderr.write(
    `Starting a parent and two leaves; their logs are in ${data}/*/canopy.log\n`,
  );
  const probe = setInterval(async () => {
    const now = await answers(options.nodeExporter);
    if (now === exporter) return;
    exporter = now;
    writeTargets(members, targets, now ? options.nodeExporter : undefined);
  }, PROBE_MS);
  const status = new StatusLine(parentUrl, exporter ? undefined : options.nodeExporter);
  status.start();
  const ended = Promise.race(members.map(endOf));
  const cause = await Promise.race([stopped, ended]);
  clearInterval(probe);
  status.stop();
  if (typeof cause === 'object') {
    process.stderr.write(
      `\n${cause.member.name} ended with ${cause.how}; the end of ${cause.member.folder}/canopy.log says why. Stopping the others.\n`,
    );
  } else process.stderr.write('\nStopping …\n');
  await stopMembers(members);
  process.stderr.write('Stopped. `npm start` goes on with the same data.\n');
  return typeof cause === 'object' ? 1 : 0;
}

function member(
  name: string,
  flag: string,
  address: string,
  data: string,
  args: readonly string[],
): Member {
  const folder = join(data, name);
  const role = name === 'parent' ? 'parent' : 'leaf';
  const common = ['--web.listen-address', address, '--storage.path', folder, '--leaf.name', name];
  return { name, flag, address, folder, args: [role, ...common, ...args], child: undefined };
}

function leafArgs(cluster: string, data: string, parentUrl: string): string[] {
  const config = join(data, cluster, 'prometheus.yml');
  return ['--config.file', config, '--cluster', cluster, '--parent', parentUrl];
}

/** @throws CanopyError `config_invalid` that names the port and the flag for another one. */
async function requireFreePort(one: Member): Promise<void> {
  let host: string;
  let port: number;
  try {
    ({ host, port } = parseListenAddress(one.address));
  } catch (error) {
    throw new CanopyError('config_invalid', `${one.flag}: ${(error as Error).message}`);
  }
  if (!(await answers(authority(host || '127.0.0.1', port)))) return;
  throw new CanopyError(
    'config_invalid',
    `port ${port} is in use by another process; choose another one for ${one.name}: npm start -- ${one.flag} ${authority(host || '127.0.0.1', port + 100)}`,
  );
}

/** Whether something accepts connections at `host:port`. */
function answers(address: string): Promise<boolean> {
  const { host, port } = parseListenAddress(address);
  return new Promise((done) => {
    const socket = connect({ host: host || '127.0.0.1', port, timeout: 1000 });
    const end = (result: boolean) => {
      socket.destroy();
      done(result);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

function writeConfigs(members: readonly Member[], interval: string): void {
  for (const one of members) {
    const isLeaf = one.name !== 'parent';
    const lines = [
      '# Written by `npm start` each time.',
      'global:',
      `  scrape_interval: ${interval}`,
      ...(isLeaf
        ? [
            'scrape_configs:',
            '  - job_name: canopy-process',
            '    file_sd_configs: [{ files: [canopy.targets.json], refresh_interval: 30s }]',
            '  - job_name: node',
            '    file_sd_configs: [{ files: [node.targets.json], refresh_interval: 30s }]',
          ]
        : []),
    ];
    writeFileSync(join(one.folder, 'prometheus.yml'), `${lines.join('\n')}\n`);
  }
}

/** What the leaves scrape: all three processes, and the node exporter where one answers. */
function writeTargets(
  members: readonly Member[],
  processes: readonly string[],
  exporter: string | undefined,
): void {
  for (const one of members) {
    if (one.name === 'parent') continue;
    replaceFile(join(one.folder, 'canopy.targets.json'), [{ targets: processes }]);
    const groups = exporter === undefined ? [] : [{ targets: [exporter] }];
    replaceFile(join(one.folder, 'node.targets.json'), groups);
  }
}

function replaceFile(path: string, content: unknown): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(content));
  renameSync(`${path}.tmp`, path);
}

function startMember(one: Member): void {
  const log = createWriteStream(join(one.folder, 'canopy.log'), { flags: 'a' });
  // A process group of its own: Ctrl-C comes to this process alone, which ends them in order. The
  // channel closes when this process dies, whatever way: then they end by themselves.
  const child = spawn(process.execPath, [MAIN, ...one.args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  one.child = child;
}

interface Ending {
  readonly member: Member;
  readonly how: string;
}

function endOf(one: Member): Promise<Ending> {
  return new Promise((done) => {
    one.child?.once('exit', (code, signal) =>
      done({ member: one, how: signal === null ? `exit code ${code}` : `signal ${signal}` }),
    );
  });
}

function stopSignal(): Promise<'signal'> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => done('signal'));
    }
    // npm may die without passing its signal on; its shell is then gone too.
    const starter = process.ppid;
    if (process.env.npm_lifecycle_event === undefined) return;
    setInterval(() => {
      if (process.ppid !== starter) done('signal');
    }, STATUS_MS).unref();
  });
}

async function stopMembers(members: readonly Member[]): Promise<void> {
  const running = members.filter(
    (one) => one.child?.exitCode === null && one.child.signalCode === null,
  );
  const ended = Promise.all(running.map(endOf));
  for (const one of running) one.child?.kill('SIGTERM');
  const timer = setTimeout(() => {
    for (const one of running) one.child?.kill('SIGKILL');
  }, STOP_MS);
  await ended;
  clearTimeout(timer);
}

/** One line that stays current on a terminal; a plain line now and then elsewhere. */
class StatusLine {
  readonly #url: string;
  readonly #tty = process.stderr.isTTY === true;
  readonly #missingExporter: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #announced = false;
  #printed = 0;
  #said = '';

  constructor(url: string, missingExporter: string | undefined) {
    this.#url = url;
    this.#missingExporter = missingExporter;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#update(), STATUS_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #update(): Promise<void> {
    const status = await fetchHierarchy(this.#url, 900).catch(() => undefined);
    if (status === undefined) return;
    if (!this.#announced && status.sources.some((source) => source.health === 'up'))
      this.#announce();
    this.#print(summary(status));
  }

  #announce(): void {
    this.#announced = true;
    const lines = [
      '',
      `  Open   ${this.#url}/`,
      `  Try    npx canopy query 'count by (cluster) (up{cluster!=""} == 1)' --url ${this.#url}`,
      `  See    npx canopy tree --url ${this.#url}`,
      '  Stop   Ctrl-C',
    ];
    if (this.#missingExporter !== undefined) {
      lines.push(`  A node exporter started on ${this.#missingExporter} will be scraped too.`);
    }
    process.stderr.write(`${this.#tty ? '\r\u001b[K' : ''}${lines.join('\n')}\n\n`);
  }

  #print(line: string): void {
    if (this.#tty) {
      process.stderr.write(
        `\r\u001b[K${line.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1))}`,
      );
      return;
    }
    // What is up is said at once, the numbers now and then.
    const isNews = line.slice(0, line.indexOf(' · series')) !== this.#said;
    const now = performance.now();
    if (!isNews && now - this.#printed < PLAIN_STATUS_MS) return;
    this.#printed = now;
    this.#said = line.slice(0, line.indexOf(' · series'));
    process.stderr.write(`${line}\n`);
  }
}

/** Names come from others: no escape sequences on the terminal. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, '?');

function summary(status: HierarchyStatus): string {
  const up = status.sources.filter((source) => source.health === 'up').length;
  const lags = status.sources.map((source) => {
    const lag = Math.max(0, ...source.journals.map((journal) => journal.lagSeconds));
    return `${printable(source.name)} ${source.journals.length === 0 ? '?' : `${lag.toFixed(1)} s`}`;
  });
  let targets = 0;
  let targetsUp = 0;
  for (const source of status.sources) {
    const counts = source.report?.targets;
    if (counts === undefined) continue;
    targets += counts.up + counts.down + counts.unknown;
    targetsUp += counts.up;
  }
  return (
    `leaves ${up}/${status.sources.length} up · targets ${targetsUp}/${targets} up · ` +
    `series ${status.activeSeries} · ${status.samplesPerSecond.toFixed(0)} samples/s · lag ${lags.join(', ')}`
  );
}
