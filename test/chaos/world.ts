/**
 * A real hierarchy and what is known of it: farm → leaf (two more for targets that move) → a parent on real Redis and one on the
 * embedded store → a parent of the latter; tiles, blocks and trimming at work. `play` disturbs it and then compares everybody
 * with everybody.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, get, type Site } from '../processes.js';
import { faultsOf } from './checker.js';
import { type Evidence, answersOf, copiesOf, journalOf, stepTimesOf } from './evidence.js';
import { CLOCK_MS } from './frame-facts.js';
import { tailMs } from './loss.js';
import { Farm, Leaf, Parent, READY_MS } from './members.js';
import { Lines } from './network.js';
import { type StoreKind, makeRandom } from './plan.js';
import { Watch } from './watch.js';

const TARGETS = ['0', '1', 'om'];
/** What takes long says so this often, and is given up after so long. Milliseconds. */
const SAID_EVERY_MS = 60_000;
const JUDGED_MS_MAX = 600_000;
/** What retention may drop while everybody is asked. Milliseconds. */
const RETENTION_SLACK_MS = 1000;

export interface WorldOptions {
  readonly stores: readonly StoreKind[];
  readonly seed: number;
  readonly scrapeMs: number;
  readonly pullMs: number;
  /** Whether there is a third level: a parent that pulls the first parent. */
  readonly hasTop: boolean;
  /** Of the parents; 0: none. Seconds. */
  readonly retentionS: number;
  /** Of blocks, so short that kills meet seals and merges. Seconds. */
  readonly windowS: number;
  readonly say: (line: string) => void;
}

/** What was compared, and what there was to disturb it. */
export interface Tally {
  checks: number;
  /** Compared, over all checks. */
  scrapes: number;
  samples: number;
  /** Of series, in journals: those that are to be seen in the steps of everybody's answers. */
  ends: number;
  /** Gaps that leaves' journals name, and the longest time that a kill cost. Milliseconds. */
  gaps: number;
  lostBeforeKillMs: number;
}

export class World {
  readonly farm = new Farm();
  /** Running; the first scrapes most. */
  readonly leaves: Leaf[] = [];
  readonly parents: Parent[] = [];
  readonly random: () => number;
  readonly say: (line: string) => void;
  readonly faults: string[] = [];
  readonly tally: Tally = {
    ...{ checks: 0, scrapes: 0, samples: 0, ends: 0 },
    ...{ gaps: 0, lostBeforeKillMs: 0 },
  };
  /** What was judged last: for those who judge the judge. */
  evidence: Evidence | undefined;
  readonly #options: WorldOptions;
  readonly #site: Site;
  /** Behind the addresses that the parents pull, whether they run or not. */
  readonly #known = new Map<string, Leaf>();
  /** From here on all is compared. */
  #start = 0;
  #watch: Watch | undefined;
  /** What it is at: for who waits. */
  #now = '';

  private constructor(options: WorldOptions, site: Site) {
    this.#options = options;
    this.#site = site;
    this.random = makeRandom(options.seed);
    this.say = options.say;
  }

  /** `site` ends what it starts; `close` what goes on in this process. */
  static async open(options: WorldOptions, site: Site): Promise<World> {
    const world = new World(options, site);
    await world.#open();
    return world;
  }

  async #open(): Promise<void> {
    const { scrapeMs, stores, retentionS, windowS, hasTop } = this.#options;
    const lines = new Lines();
    await Promise.all([this.farm.open(this.#site), lines.open(this.#site, this.#options.seed)]);
    for (const [name, clockOffset] of [
      ['leaf', 0],
      ['near', 0],
      ['ahead', 1000],
    ] as const) {
      const { farm } = this;
      const parts = { farm, lines, site: this.#site, intervalMs: scrapeMs, clockOffset };
      this.#known.set(name, await Leaf.make(name, parts));
    }
    const flags = ['--blocks.window', `${windowS}s`, '--retention.raw', `${retentionS}s`];
    const config = ['--config.file', this.#pullLeavesEvery(1)];
    for (const kind of stores) {
      this.parents.push(new Parent(kind, this.#site, [...flags, ...config]));
    }
    await Promise.all(this.parents.map((parent) => parent.open()));
    if (hasTop) await this.#openTop(flags);
    // Last: what was trimmed before a parent's first page never was that parent's.
    const { oracle } = await this.startLeaf('leaf');
    // Before its first commit a journal has no last frame, so a kill leaves no gap.
    await eventually(READY_MS, 'the first commit', async () => {
      await oracle.pull();
      if (oracle.frames.length === 0) throw new Error('nothing journalled');
    });
    this.#watch = new Watch([...this.leaves, ...this.parents]);
    this.#watch.start();
  }

  async #openTop(flags: readonly string[]): Promise<void> {
    const [below] = this.parents;
    const address = new URL(below.base).host;
    const topConfig = this.#writeConfig('top.yml', this.#options.pullMs, [address]);
    const top = new Parent('embedded', this.#site, [...flags, '--config.file', topConfig], below);
    this.parents.push(top);
    await top.open();
  }

  async close(): Promise<void> {
    await this.#watch?.stop();
  }

  get redis(): Parent {
    return this.parents.find(({ kind }) => kind === 'redis')!;
  }

  /** Starts a leaf, unless it runs. */
  async startLeaf(name: string): Promise<Leaf> {
    const leaf = this.#known.get(name)!;
    if (this.leaves.includes(leaf)) return leaf;
    this.scrape(leaf, []);
    await leaf.start();
    this.leaves.push(leaf);
    return leaf;
  }

  /** Changes what a leaf scrapes beside its own. */
  scrape(leaf: Leaf, targets: readonly string[]): void {
    leaf.configure([...(leaf.name === 'leaf' ? TARGETS : []), ...targets]);
    leaf.reload();
  }

  #pullLeavesEvery(factor: number): string {
    const addresses = [...this.#known.values()].map(({ line }) => `127.0.0.1:${line.port}`);
    return this.#writeConfig('parent.yml', this.#options.pullMs * factor, addresses);
  }

  #writeConfig(name: string, intervalMs: number, addresses: readonly string[]): string {
    return this.#site.file(
      name,
      `global: { scrape_interval: ${intervalMs}ms }\nscrape_configs: [{ job_name: below, metrics_path: /federate, static_configs: [{ targets: ${JSON.stringify(addresses)} }] }]`,
    );
  }

  /** Parents pull at so many times their usual interval from now on. */
  async pullEvery(factor: number): Promise<void> {
    this.#pullLeavesEvery(factor);
    const wanted = this.#options.pullMs * factor;
    for (const parent of this.parents) {
      if (parent.below !== undefined) continue;
      parent.reload();
      await eventually(READY_MS, `${parent.name} pulls every ${wanted} ms`, async () => {
        const text = await get(`${parent.base}/api/v1/targets?state=active`);
        const { data } = JSON.parse(text) as {
          data: { activeTargets: Array<{ scrapePool: string; scrapeInterval: string }> };
        };
        const pulled = data.activeTargets.filter(({ scrapePool }) => scrapePool === 'below');
        const isDone = pulled.every(({ scrapeInterval }) => msOf(scrapeInterval) === wanted);
        if (!isDone) throw new Error(JSON.stringify(pulled.map((target) => target.scrapeInterval)));
      });
    }
  }

  /** What comes is compared from now on, or from where the last comparison ended: nothing lies between two of them. */
  begin(): void {
    const last = this.evidence?.window.to;
    // The newest answers are left to the next comparison (loss.ts).
    this.#start = last === undefined ? Date.now() : last - CLOCK_MS;
  }

  /** Plays, then compares everything up to now, from everybody. False where something is wrong, or takes without end. */
  async judge(what: string, play: () => Promise<void>): Promise<boolean> {
    const before = this.faults.length;
    this.#now = what;
    const begun = performance.now();
    const said = (): string => `${what}: ${this.#now} after ${seconds(performance.now() - begun)}`;
    const saying = setInterval(() => this.say(`  … ${said()}`), SAID_EVERY_MS);
    const over = new AbortController();
    try {
      const judging = play().then(() => this.#gather());
      const limit = sleep(JUDGED_MS_MAX, undefined, { signal: over.signal }).then(() =>
        Promise.reject(new Error(said())),
      );
      this.evidence = await Promise.race([judging, limit]);
      this.#count(this.evidence);
      for (const fault of faultsOf(this.evidence)) this.faults.push(`${what}: ${fault}`);
    } catch (error) {
      const words = await Promise.all(this.parents.map((parent) => parent.lastWords()));
      this.faults.push([`${what}: ${String(error)}`, ...words].join('\n'));
    } finally {
      clearInterval(saying);
      over.abort();
    }
    for (const fault of this.faults.slice(before)) this.say(`  ${fault}`);
    return this.faults.length === before;
  }

  async #gather(): Promise<Evidence> {
    const { farm, leaves, parents } = this;
    const to = Date.now();
    this.#now = 'reads the journals of leaves';
    for (const leaf of leaves) await leaf.readUpTo(to);
    const gapsBefore = leaves.map(({ oracle }) => [...oracle.gaps]);
    this.#now = 'waits for parents';
    await Promise.all(parents.map((parent) => parent.completeUpTo(to, leaves)));
    await Promise.all(parents.map((parent) => parent.isTold(leaves)));
    const window = { from: Math.max(this.#start, this.#keptFrom() + RETENTION_SLACK_MS), to };
    const stepTimes = stepTimesOf(window);
    this.#now = 'asks everybody';
    const answered = await Promise.all(
      parents.map(async (parent) => ({
        ...(await answersOf(parent.name, parent.base, window, stepTimes)),
        copies: await copiesOf(
          parent.base,
          leaves.map((leaf) => ({ source: parent.sourceOf(leaf), ref: leaf.oracle.ref })),
        ),
      })),
    );
    const ofLeaves = await Promise.all(
      leaves.map(({ name, base }) => answersOf(name, base, window, stepTimes)),
    );
    // Parents may have seen more than the oracles had by then.
    for (const { oracle } of leaves) await oracle.pull();
    await farm.readLog();
    const keptFrom = this.#keptFrom();
    const from = Math.max(window.from, keptFrom + RETENTION_SLACK_MS);
    return {
      window: { from, to },
      keptFrom,
      stepTimes: stepTimes.filter((time) => time > from),
      answered: farm.answered.filter(({ at }) => at > window.from - 60_000),
      journals: leaves.map((leaf, i) => journalOf(leaf.oracle, leaf, window, gapsBefore[i])),
      leaves: ofLeaves,
      parents: answered,
      views: this.#watch!.take(window),
    };
  }

  /** Nothing from then on is past its retention. */
  #keptFrom(): number {
    const { retentionS } = this.#options;
    return retentionS === 0 ? 0 : Date.now() - retentionS * 1000;
  }

  #count({ journals, parents, window }: Evidence): void {
    const { tally } = this;
    tally.checks++;
    tally.gaps = journals.reduce((sum, { gaps }) => sum + gaps.length, 0);
    for (const { frames, gaps, kills, clockOffset } of journals) {
      const inWindow = frames.filter(({ time }) => time > window.from);
      tally.scrapes += inWindow.length;
      tally.ends += inWindow.reduce((sum, { stale }) => sum + stale.length, 0);
      for (const gap of gaps) {
        const lost = tailMs(gap, kills, clockOffset) ?? 0;
        tally.lostBeforeKillMs = Math.max(tally.lostBeforeKillMs, lost);
      }
    }
    for (const { samples } of parents) {
      for (const { times } of samples.values()) tally.samples += times.length;
    }
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;

/** A duration as Prometheus writes it, of seconds and milliseconds. */
function msOf(text: string): number {
  const [, seconds = '0', ms = '0'] = /^(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text) ?? [];
  return Number(seconds) * 1000 + Number(ms);
}
