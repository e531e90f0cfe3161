import {
  type Clock,
  type DroppedTarget,
  type Journal,
  type Labels,
  type Milliseconds,
  type PullFormat,
  type TargetStatus,
  type TargetsView,
  asTime,
} from '@canopy/model';
import type { ScrapeConfig } from './config.js';
import type { Discovery } from './discovery/discovery.js';
import type { DiscoveryWorld } from './discovery/open.js';
import { FailureLog } from './failure-log.js';
import type { Fetcher } from './fetch.js';
import type { Gates } from './gates.js';
import { type JobWorld, LiveLoops, ScrapeJob } from './job.js';
import type { ScrapeLog } from './log.js';
import { compileRelabel } from './relabel.js';
import { TICK_TOLERANCE } from './schedule.js';
import { StringPool } from './series-table.js';
import { Ticks } from './ticks.js';
import { type ScrapeTotals, emptyTotals } from './totals.js';

export interface ScrapeLimits {
  /** Most series texts of one target; a body with more is refused. */
  readonly seriesPerTargetMax: number;
  /** Most targets of one job; what is beyond is not scraped, and said in the log. */
  readonly targetsPerJobMax: number;
  /** Dropped targets listed for each job. */
  readonly droppedTargetsMax: number;
}

export interface ScrapeManagerOptions extends DiscoveryWorld {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly fetcher: Fetcher;
  /** Bound bodies being received and taken. */
  readonly gates: Gates;
  /** Undefined where nothing is pulled by cursor. */
  readonly pullFormat: PullFormat | undefined;
  readonly configs: readonly ScrapeConfig[];
  /** Attached to every series that has no label of that name. */
  readonly externalLabels: Labels;
  /**
   * Labels of which a target's series may have the value only that the target's labels have, where they have one:
   * a body with another is refused.
   */
  readonly enforcedLabels: readonly string[];
  /** Further sources of targets for jobs of `configs`, now or after a reload. */
  readonly discoveries: ReadonlyArray<{ readonly jobName: string; readonly discovery: Discovery }>;
  /** Spreads the scrapes of processes that scrape the same targets. */
  readonly offsetSeed: string;
  readonly limits: ScrapeLimits;
  readonly log: ScrapeLog;
}

/** All targets of a process. */
export class ScrapeManager implements TargetsView {
  readonly #options: ScrapeManagerOptions;
  readonly #world: JobWorld;
  readonly #jobs = new Map<string, ScrapeJob>();
  /** Jobs that are gone from the configuration, until their series have ended. */
  readonly #leaving = new Set<ScrapeJob>();
  readonly #totals = emptyTotals();
  readonly #failureLog: FailureLog;
  readonly #underWay: JobWorld['underWay'] = new Map();
  #stopped = false;

  constructor(options: ScrapeManagerOptions) {
    this.#options = options;
    this.#failureLog = new FailureLog(options.log);
    this.#world = {
      ...options,
      ...options.limits,
      totals: this.#totals,
      pool: new StringPool(),
      failureLog: this.#failureLog,
      live: new LiveLoops(),
      ticks: new Ticks(options.clock),
      underWay: this.#underWay,
    };
  }

  get totals(): Readonly<ScrapeTotals> {
    return this.#totals;
  }

  /** @throws CanopyError `bad_data` for a rule that does not compile. */
  start(): void {
    this.#apply(this.#options.configs, this.#options.externalLabels);
  }

  /**
   * Every aligned frame of this time or earlier has been written; those to come are later (unless the clock
   * steps back). Samples with times of their own are not meant.
   */
  completeUpTo(): Milliseconds {
    // A scrape that begins a little late still gets its tick's time.
    let time = this.#options.clock.now() - TICK_TOLERANCE - 1;
    // Where a loop goes on for a removed one, that one ends just before its first frame.
    for (const begun of this.#underWay.values()) time = Math.min(time, begun - 2);
    for (const job of this.#jobs.values()) time = Math.min(time, job.earliestEnd() - 1);
    for (const job of this.#leaving) time = Math.min(time, job.earliestEnd() - 1);
    return asTime(time);
  }

  /** Ends without stale marks: the next start goes on. Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const jobs = [...this.#jobs.values(), ...this.#leaving];
    this.#jobs.clear();
    this.#leaving.clear();
    await Promise.all(jobs.map((job) => job.stop()));
    await this.#failureLog.flush();
  }

  /**
   * Takes another configuration. Targets that stay the same are not disturbed; those that are gone
   * get their stale marks when the next scrape would have been.
   * @throws CanopyError `bad_data` for a rule that does not compile; nothing has changed then.
   */
  reload(configs: readonly ScrapeConfig[], externalLabels: Labels): void {
    if (!this.#stopped) this.#apply(configs, externalLabels);
  }

  active(): readonly TargetStatus[] {
    return Array.from(this.#jobs.values()).flatMap((job) => job.active());
  }

  dropped(): readonly DroppedTarget[] {
    return Array.from(this.#jobs.values()).flatMap((job) => job.dropped());
  }

  #apply(configs: readonly ScrapeConfig[], externalLabels: Labels): void {
    // A rule that does not compile is found before anything has changed.
    for (const config of configs) {
      compileRelabel(config.relabelConfigs);
      compileRelabel(config.metricRelabelConfigs);
    }
    const names = new Set(configs.map((config) => config.jobName));
    for (const [name, job] of this.#jobs) {
      if (names.has(name)) continue;
      this.#jobs.delete(name);
      this.#leaving.add(job);
      void job.remove().then(() => this.#leaving.delete(job));
    }
    for (const config of configs) {
      const known = this.#jobs.get(config.jobName);
      if (known !== undefined) {
        known.reload(config, externalLabels);
        continue;
      }
      const extra = this.#options.discoveries
        .filter(({ jobName }) => jobName === config.jobName)
        .map(({ discovery }) => discovery);
      const job = new ScrapeJob(this.#world, config, externalLabels, extra);
      this.#jobs.set(config.jobName, job);
      job.start();
    }
  }
}
