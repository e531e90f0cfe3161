/**
 * A real hierarchy that is killed with -9 at random moments, over and over: farm → leaf → a parent on real Redis and
 * one on the embedded store, tiles, trimming and retention at work. After each kill and start
 * each parent is compared with the leaf's own journal.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Gap, completeUpTo, gapsOf } from '../hierarchy.js';
import {
  type ApiSeries,
  type Program,
  Site,
  eventually,
  freePort,
  get,
  query,
  sleep,
  waitReady,
} from '../processes.js';
import { type Window, differences, gapFaults, lawFaults, samplesOf } from './checker.js';
import { Oracle } from './oracle.js';
import { type ParentStep, type StoreKind, planOf } from './plan.js';

const FARM = fileURLToPath(new URL('farm.mjs', import.meta.url));
const TARGETS = 3;
const SELECTOR = '{job="farm"}';
/** Raw retention of the parents; tiles close each 12 s, what is older goes within seconds. */
const RETENTION_S = 45;
/** Windows are sealed, and 4 and 12 of them merged, while the parents are killed. */
const WINDOW_S = 5;
/** Most that is asked for: what is older than the retention may be there, but must have been journalled. */
const RANGE_S = 120;
const READY_MS = 60_000;

export interface ChaosOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly stores: readonly StoreKind[];
  /** No round begins after so many minutes. */
  readonly minutes: number;
  readonly say: (line: string) => void;
}

export interface ChaosResult {
  readonly rounds: number;
  readonly parentKills: number;
  readonly leafKills: number;
  readonly redisKills: number;
  readonly redisFlushes: number;
  readonly checks: number;
  /** Samples compared, over all checks. */
  readonly samples: number;
  /** Gaps that the leaf's journal names. */
  readonly gaps: number;
  /** By the parents' own counters, read before each kill: that there was something to disturb. */
  readonly tilesStored: number;
  /** Of journals behind tiles, and of tiles past their retention. */
  readonly bytesDropped: number;
  /** Blocks made of tiles, and of other blocks. */
  readonly blocksSealed: number;
  readonly blocksMerged: number;
  /** Times that samples past their retention were dropped. */
  readonly retentionRuns: number;
  readonly seconds: number;
  readonly faults: readonly string[];
  /** The last answer that was checked, with what it was compared with: for those who check the checker. */
  readonly last: {
    readonly answer: readonly ApiSeries[];
    readonly gaps: readonly Gap[];
    readonly window: Window;
  };
  readonly oracle: Oracle;
}

/** One parent and what it keeps its data in. */
class Lane {
  readonly kind: StoreKind;
  readonly #site: Site;
  readonly #config: string;
  #port = 0;
  #redisPort = 0;
  #parent: Program | undefined;
  #redis: Program | undefined;

  constructor(kind: StoreKind, site: Site, config: string) {
    this.kind = kind;
    this.#site = site;
    this.#config = config;
  }

  get base(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get output(): string {
    return this.#parent?.output ?? '';
  }

  async open(): Promise<void> {
    this.#port = await freePort();
    this.#redisPort = await freePort();
    if (this.kind === 'redis') this.startRedis();
    this.start();
    await waitReady(this.base, READY_MS);
  }

  start(): void {
    const store = this.kind === 'redis' ? ['--store', `redis://127.0.0.1:${this.#redisPort}`] : [];
    this.#parent = this.#site.canopy(
      `parent on ${this.kind}`,
      ...['parent', '--config.file', this.#config, '--storage.path', this.#site.path(this.kind)],
      ...['--web.listen-address', `127.0.0.1:${this.#port}`, '--leaf.name', this.kind],
      ...['--retention.raw', `${RETENTION_S}s`, '--blocks.window', `${WINDOW_S}s`, ...store],
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

  kill(): Promise<number | string> | undefined {
    return this.#parent?.kill('SIGKILL');
  }

  async killRedis(): Promise<void> {
    await this.#redis?.kill('SIGKILL');
  }

  flushRedis(): void {
    execFileSync('redis-cli', ['-p', String(this.#redisPort), 'flushall']);
  }
}

class Chaos {
  readonly #options: ChaosOptions;
  readonly #site: Site;
  readonly #lanes: Lane[] = [];
  readonly #faults: string[] = [];
  readonly #counts = {
    parentKills: 0,
    leafKills: 0,
    redisKills: 0,
    redisFlushes: 0,
    checks: 0,
    samples: 0,
    tilesStored: 0,
    bytesDropped: 0,
    blocksSealed: 0,
    blocksMerged: 0,
    retentionRuns: 0,
  };
  #leafPort = 0;
  #leaf: Program | undefined;
  #oracle!: Oracle;
  #last: ChaosResult['last'] = { answer: [], gaps: [], window: { from: 0, to: 0 } };

  constructor(options: ChaosOptions, site: Site) {
    this.#options = options;
    this.#site = site;
  }

  async run(): Promise<ChaosResult> {
    const begun = performance.now();
    const { rounds, seed, say } = this.#options;
    await this.#open();
    let round = 0;
    for (const { parents, leaf } of planOf(seed, rounds)) {
      if (performance.now() - begun > this.#options.minutes * 60_000) break;
      round++;
      await Promise.all([
        this.#leafStep(leaf),
        ...this.#lanes.map((lane) => this.#parentStep(lane, parents[lane.kind])),
      ]);
      const before = this.#faults.length;
      await this.#check(round);
      const { checks, samples } = this.#counts;
      const seconds = ((performance.now() - begun) / 1000).toFixed(0);
      say(
        `round ${round} of ${rounds}: ${checks} checks, ${samples} samples compared, ${this.#faults.length} faults, ${seconds} s`,
      );
      for (const fault of this.#faults.slice(before)) say(`  ${fault}`);
      // The first faults tell most; what follows is the same again.
      if (this.#faults.length > 0) break;
    }
    return {
      ...{ rounds: round, ...this.#counts, gaps: this.#oracle.gaps.length },
      ...{ seconds: (performance.now() - begun) / 1000, faults: this.#faults },
      ...{ last: this.#last, oracle: this.#oracle },
    };
  }

  async #open(): Promise<void> {
    const site = this.#site;
    const farmPort = await freePort();
    this.#leafPort = await freePort();
    site.program('farm', process.execPath, FARM, String(farmPort));
    const targets = Array.from(
      { length: TARGETS },
      (_, i) =>
        `{ targets: ["127.0.0.1:${farmPort}"], labels: { __metrics_path__: /${i}, n: "${i}" } }`,
    );
    site.file(
      'leaf.yml',
      `global: { scrape_interval: 100ms }\nscrape_configs: [{ job_name: farm, static_configs: [${targets.join(', ')}] }]`,
    );
    const parentConfig = site.file(
      'parent.yml',
      `global: { scrape_interval: 500ms }\nscrape_configs: [{ job_name: below, metrics_path: /federate, static_configs: [{ targets: ["127.0.0.1:${this.#leafPort}"] }] }]`,
    );
    this.#startLeaf();
    this.#oracle = new Oracle(`http://127.0.0.1:${this.#leafPort}`);
    await waitReady(`http://127.0.0.1:${this.#leafPort}`, READY_MS);
    for (const kind of this.#options.stores) {
      const lane = new Lane(kind, site, parentConfig);
      this.#lanes.push(lane);
      await lane.open();
    }
  }

  #startLeaf(): void {
    const site = this.#site;
    this.#leaf = site.canopy(
      'leaf',
      ...['leaf', '--config.file', site.path('leaf.yml'), '--storage.path', site.path('leaf')],
      ...['--web.listen-address', `127.0.0.1:${this.#leafPort}`, '--leaf.name', 'leaf'],
    );
  }

  async #leafStep(after: number | undefined): Promise<void> {
    if (after === undefined) return;
    await sleep(after);
    await this.#leaf?.kill('SIGKILL');
    this.#counts.leafKills++;
    this.#startLeaf();
    await waitReady(`http://127.0.0.1:${this.#leafPort}`, READY_MS);
  }

  async #parentStep(lane: Lane, step: ParentStep): Promise<void> {
    await sleep(step.after);
    await this.#kill(lane);
    const redis = lane.kind === 'redis' ? step.redis : 'lives';
    if (redis === 'killed') {
      await lane.killRedis();
      this.#counts.redisKills++;
    } else if (redis === 'flushed') {
      lane.flushRedis();
      this.#counts.redisFlushes++;
    }
    await sleep(step.away);
    lane.start();
    if (redis === 'killed') lane.startRedis();
    if (step.again !== undefined) {
      await sleep(step.again);
      await this.#kill(lane);
      lane.start();
    }
    await waitReady(lane.base, READY_MS);
  }

  async #kill(lane: Lane): Promise<void> {
    await this.#readCounters(lane);
    await lane.kill();
    this.#counts.parentKills++;
  }

  async #readCounters(lane: Lane): Promise<void> {
    const text = await get(`${lane.base}/metrics`, {}, 1000).catch(() => '');
    const value = (name: string): number =>
      Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
    this.#counts.tilesStored += value('canopy_tiles_stored_total');
    this.#counts.blocksSealed += value('canopy_blocks_sealed_total');
    this.#counts.blocksMerged += value('canopy_blocks_merged_total');
    this.#counts.bytesDropped += value('canopy_retention_dropped_bytes_total');
    this.#counts.retentionRuns += lane.output.split('"retention dropped samples"').length - 1;
  }

  /** Everything up to now, at each parent. */
  async #check(round: number): Promise<void> {
    const to = Date.now();
    await eventually(READY_MS, 'the journal up to now', async () => {
      await this.#oracle.pull();
      if (this.#oracle.watermark < to) throw new Error(`complete up to ${this.#oracle.watermark}`);
    });
    const journalled = [...this.#oracle.gaps];
    const checks = this.#lanes.map(async (lane) => {
      try {
        await completeUpTo(lane.base, to / 1000, ['leaf']);
        return await this.#compare(lane, to, round);
      } catch (error) {
        const said = lane.output.slice(-2000);
        this.#faults.push(`round ${round}, ${lane.kind}: ${String(error)}\n${said}`);
        return undefined;
      }
    });
    const listed = await Promise.all(checks);
    // A parent may have seen more than the oracle had by then.
    await eventually(READY_MS, 'the journal once more', () => this.#oracle.pull());
    for (const gaps of listed) {
      if (gaps === undefined) continue;
      for (const fault of gapFaults(gaps, journalled, this.#oracle.gaps)) {
        this.#faults.push(`round ${round}: ${fault}`);
      }
    }
  }

  /** Pushes faults; what gaps the parent lists. */
  async #compare(lane: Lane, to: number, round: number): Promise<readonly Gap[]> {
    const answer = await query(lane.base, `${SELECTOR}[${RANGE_S}s]`, to / 1000, READY_MS);
    const gaps = await gapsOf(lane.base, 'leaf');
    // Retention may have run until now.
    const from = Math.max(Date.now() - RETENTION_S * 1000, to - RANGE_S * 1000) + 1000;
    const window = { from, to };
    const actual = samplesOf(answer);
    const faults = [
      ...differences(this.#oracle.samples, actual, window),
      ...lawFaults(actual, gaps, window),
    ];
    for (const fault of faults) this.#faults.push(`round ${round}, ${lane.kind}: ${fault}`);
    this.#last = { answer, gaps, window };
    this.#counts.checks++;
    for (const { times } of actual.values()) this.#counts.samples += times.length;
    return gaps;
  }
}

/** Runs the plan; ends at the first round with faults. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  await using site = new Site();
  return await new Chaos(options, site).run();
}

/** A result as it is kept beside the code. */
export function resultText(options: ChaosOptions, result: ChaosResult): string {
  const { faults, last: _last, oracle: _oracle, seconds, ...counts } = result;
  const lines = Object.entries(counts).map(
    ([name, count]) =>
      `| ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} | ${count} |`,
  );
  return [
    '# Last full run of `npm run chaos`',
    '',
    `\`npm run chaos -- --rounds ${result.rounds} --seed ${options.seed}\`, stores ${options.stores.join(' and ')}, ${seconds.toFixed(0)} s: ${faults.length === 0 ? 'no fault' : 'FAULTS'}.`,
    '',
    '| what | count |',
    '|---|---|',
    ...lines,
    '',
    ...faults.map((fault) => `- ${fault.split('\n')[0]}`),
  ].join('\n');
}
