/** Who takes part: the farm, leaves, parents with what they keep their data in. Real processes, each with its own ways to fail. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { completeUpTo, reportOf } from '../hierarchy.js';
import {
  MAIN,
  type Program,
  type Site,
  eventually,
  freePort,
  get,
  waitReady,
} from '../processes.js';
import type { Answered, CommitLine, Kill } from './evidence.js';
import { Oracle } from './oracle.js';
import type { StoreKind } from './plan.js';
import type { Line, Lines } from './network.js';

const FARM = fileURLToPath(new URL('farm.mjs', import.meta.url));
const CLOCK_AHEAD = fileURLToPath(new URL('clock-ahead.mjs', import.meta.url));
export const READY_MS = 60_000;
/** Of a log. UTF-16 units. */
const LOG_SHOWN = 3000;

/** The exporters. */
export class Farm {
  readonly answered: Answered[] = [];
  #port = 0;
  #shape: { readonly drop: readonly string[]; readonly rename: boolean } = {
    drop: [],
    rename: false,
  };

  async open(site: Site): Promise<void> {
    this.#port = await freePort();
    site.program('farm', process.execPath, FARM, String(this.#port));
    await eventually(READY_MS, 'the farm', () => this.readLog());
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Takes in what it has answered since the last call. */
  async readLog(): Promise<void> {
    const url = `http://${this.address}/-/log?from=${this.answered.length}`;
    this.answered.push(...(JSON.parse(await get(url)) as Answered[]));
  }

  /** Changes which families no body has, and whether a label has its other name. */
  async shape(change: {
    readonly drop?: readonly string[];
    readonly rename?: boolean;
  }): Promise<void> {
    this.#shape = { ...this.#shape, ...change };
    const { drop, rename } = this.#shape;
    await get(`http://${this.address}/-/shape?drop=${drop.join(',')}&rename=${rename ? 1 : 0}`);
  }
}

/** A leaf behind a network that can be cut. */
export class Leaf {
  readonly name: string;
  /** By how much its clock is ahead. Milliseconds. */
  readonly clockOffset: number;
  /** From one scrape of a target to the next. Milliseconds. */
  readonly intervalMs: number;
  readonly kills: Kill[] = [];
  readonly oracle: Oracle;
  /** What parents reach it by. */
  readonly line: Line;
  readonly #site: Site;
  readonly #farm: Farm;
  readonly #port: number;
  #program: Program | undefined;
  #started = 0;

  private constructor(
    name: string,
    {
      site,
      farm,
      port,
      line,
      ...rest
    }: {
      readonly site: Site;
      readonly farm: Farm;
      readonly port: number;
      readonly line: Line;
      readonly intervalMs: number;
      readonly clockOffset: number;
    },
  ) {
    this.name = name;
    this.clockOffset = rest.clockOffset;
    this.#site = site;
    this.#farm = farm;
    this.#port = port;
    this.intervalMs = rest.intervalMs;
    this.line = line;
    this.oracle = new Oracle(this.base);
  }

  static async make(
    name: string,
    parts: {
      readonly site: Site;
      readonly farm: Farm;
      readonly intervalMs: number;
      readonly clockOffset: number;
      readonly lines: Lines;
    },
  ): Promise<Leaf> {
    const port = await freePort();
    return new Leaf(name, { ...parts, port, line: await parts.lines.to(port) });
  }

  get base(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get isRunning(): boolean {
    return this.#program?.isRunning === true;
  }

  /** What it scrapes, from its next start or `reload` on. */
  configure(targets: readonly string[]): void {
    const lists = targets.map(
      (n) =>
        `{ targets: ["${this.#farm.address}"], labels: { __metrics_path__: /${n}, n: "${n}" } }`,
    );
    const text = `global: { scrape_interval: ${this.intervalMs}ms }\nscrape_configs: [{ job_name: farm, static_configs: [${lists.join(', ')}] }]`;
    this.#site.file(`${this.name}.yml`, text);
  }

  reload(): void {
    this.signal('SIGHUP');
  }

  async start(): Promise<void> {
    const flags = [
      ...['leaf', '--config.file', this.#site.path(`${this.name}.yml`)],
      ...['--storage.path', this.#site.path(this.name), '--leaf.name', this.name],
      ...['--web.listen-address', `127.0.0.1:${this.#port}`, '--log.level', 'debug'],
    ];
    const ahead = this.clockOffset === 0 ? [] : ['--import', CLOCK_AHEAD];
    process.env.CHAOS_CLOCK_AHEAD_MS = String(this.clockOffset);
    this.#program = this.#site.program(this.name, process.execPath, ...ahead, MAIN, ...flags);
    await waitReady(this.base, READY_MS);
    this.#started = Date.now();
  }

  async kill(): Promise<void> {
    const started = this.#started;
    const sent = Date.now();
    await this.#program?.kill('SIGKILL');
    // It may scrape until the signal is there.
    const at = Date.now();
    await this.#program?.drained();
    this.kills.push({ started, sent, at, commits: commitLines(this.#program?.output ?? '') });
  }

  /** Ends it as an operator does. */
  async stop(): Promise<void> {
    await this.#program?.kill('SIGTERM');
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGHUP'): void {
    if (this.isRunning) process.kill(this.#program!.pid, signal);
  }

  /** Reads its journal until it is complete up to `time` (by the farm's clock). */
  async readUpTo(time: number): Promise<void> {
    const until = time + this.clockOffset;
    await eventually(READY_MS, `the journal of ${this.name} up to ${until}`, async () => {
      await this.oracle.pull();
      const { watermark } = this.oracle;
      if (watermark < until) throw new Error(`complete up to ${watermark}`);
    });
  }
}

/** The newest lines of a log may be all that is kept of it, and the last one cut off. */
function commitLines(output: string): CommitLine[] {
  const line =
    /"ts":"([^"]+)".*"epoch":(\d+),"sequence":(\d+),"msg":"a commit (begins|is synced)"\}$/;
  return output.split('\n').flatMap((text) => {
    const [, ts, epoch, sequence, what] = line.exec(text) ?? [];
    if (ts === undefined) return [];
    const position = { epoch: Number(epoch), sequence: Number(sequence) };
    return { at: Date.parse(ts), isEnd: what !== 'begins', position };
  });
}

export interface ParentCounts {
  parentKills: number;
  redisKills: number;
  redisFlushes: number;
  tilesStored: number;
  bytesDropped: number;
  blocksSealed: number;
  blocksMerged: number;
  retentionRuns: number;
}

/** One parent and what it keeps its data in. */
export class Parent {
  readonly kind: StoreKind;
  readonly counts: ParentCounts = {
    parentKills: 0,
    redisKills: 0,
    redisFlushes: 0,
    tilesStored: 0,
    bytesDropped: 0,
    blocksSealed: 0,
    blocksMerged: 0,
    retentionRuns: 0,
  };
  readonly #site: Site;
  readonly #flags: readonly string[];
  #port = 0;
  #redisPort = 0;
  #parent: Program | undefined;
  #redis: Program | undefined;

  /** What it is called by those above it. */
  readonly leafName: string;
  /** The parent it pulls; undefined: leaves. */
  readonly below: Parent | undefined;

  /** `flags`: those that all parents have. */
  constructor(kind: StoreKind, site: Site, flags: readonly string[], below?: Parent) {
    this.kind = kind;
    this.leafName = below === undefined ? kind : 'top';
    this.below = below;
    this.#site = site;
    this.#flags = flags;
  }

  get name(): string {
    return `parent ${this.below === undefined ? '' : 'of a parent '}on ${this.kind}`;
  }

  get base(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** What it says of its pulls, and the end of its log: for a fault. */
  async lastWords(): Promise<string> {
    const pulls = await get(`${this.base}/api/v1/targets?state=active`)
      .then((text) => {
        const { data } = JSON.parse(text) as { data: { activeTargets: object[] } };
        return data.activeTargets.map((target) => JSON.stringify(target)).join('\n');
      })
      .catch(String);
    return `${this.name}: ${pulls}\n${this.#parent?.output.slice(-LOG_SHOWN) ?? ''}`;
  }

  async open(): Promise<void> {
    this.#port = await freePort();
    this.#redisPort = await freePort();
    if (this.kind === 'redis') this.startRedis();
    this.start();
    await this.ready();
  }

  ready(): Promise<string> {
    return waitReady(this.base, READY_MS);
  }

  start(): void {
    const store = this.kind === 'redis' ? ['--store', `redis://127.0.0.1:${this.#redisPort}`] : [];
    this.#parent = this.#site.canopy(
      this.name,
      ...['parent', '--storage.path', this.#site.path(this.leafName), '--leaf.name', this.leafName],
      ...['--web.listen-address', `127.0.0.1:${this.#port}`, ...this.#flags, ...store],
    );
  }

  startRedis(): void {
    this.#redis = this.#site.program(
      'redis',
      'redis-server',
      ...['--bind', '127.0.0.1', '--port', String(this.#redisPort), '--dir', this.#site.folder],
      ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
      ...['--maxmemory', '256mb', '--maxmemory-policy', 'noeviction'],
    );
  }

  async kill(): Promise<void> {
    await this.readCounters();
    await this.#parent?.kill('SIGKILL');
    this.counts.parentKills++;
  }

  reload(): void {
    process.kill(this.#parent!.pid, 'SIGHUP');
  }

  async killRedis(): Promise<void> {
    await this.#redis?.kill('SIGKILL');
    this.counts.redisKills++;
  }

  signalRedis(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.#redis!.pid, signal);
  }

  flushRedis(): void {
    execFileSync('redis-cli', ['-p', String(this.#redisPort), 'flushall']);
    this.counts.redisFlushes++;
  }

  /** Waits until it has each leaf's journal up to `time` (by the farm's clock). */
  async completeUpTo(time: number, leaves: readonly Leaf[]): Promise<void> {
    for (const leaf of leaves) {
      const source = this.sourceOf(leaf);
      const seconds = (time + leaf.clockOffset) / 1000;
      await completeUpTo(this.base, seconds, [source], leaf.oracle.ref, READY_MS);
    }
  }

  /** Waits until it was told what each leaf counts: levels say so now and then, and what a store lost is told again. */
  async isTold(leaves: readonly Leaf[]): Promise<void> {
    for (const { name, oracle } of leaves) {
      await eventually(READY_MS, `${this.name} is told by ${name}`, async () => {
        const { path, jobs } = await reportOf(this.base, oracle.ref);
        const isKnown = jobs.length > 0 && jobs.every(({ verdict }) => verdict !== 'unknown');
        if (path[0] !== name || !isKnown) throw new Error(JSON.stringify({ path, jobs }));
      });
    }
  }

  /** Name of what it has a leaf's journal from. */
  sourceOf({ name }: Leaf): string {
    return this.below?.leafName ?? name;
  }

  /** Adds what the process has counted since its start. */
  async readCounters(): Promise<void> {
    const text = await get(`${this.base}/metrics`, {}, 1000).catch(() => '');
    const value = (name: string): number =>
      Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
    const { counts } = this;
    counts.tilesStored += value('canopy_tiles_stored_total');
    counts.blocksSealed += value('canopy_blocks_sealed_total');
    counts.blocksMerged += value('canopy_blocks_merged_total');
    counts.bytesDropped += value('canopy_retention_dropped_bytes_total');
    counts.retentionRuns +=
      (this.#parent?.output ?? '').split('"retention dropped samples"').length - 1;
  }
}
