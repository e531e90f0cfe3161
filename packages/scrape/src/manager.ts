import type {
  Clock,
  DroppedTarget,
  Gate,
  Journal,
  Labels,
  PullFormat,
  TargetStatus,
  TargetsView,
} from '@canopy/model';
import type { ScrapeConfig } from './config.js';
import type { Discovery } from './discovery/discovery.js';
import type { Fetcher } from './fetch.js';

export type ScrapeLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export interface ScrapeLimits {
  /** Most series texts of one target; a body with more is refused. */
  readonly seriesPerTargetMax: number;
  /** Most targets of one job; over it the rest is not scraped, and said. */
  readonly targetsPerJobMax: number;
  /** Dropped targets listed for each job; the rest is only counted. */
  readonly droppedTargetsMax: number;
}

export interface ScrapeManagerOptions {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly fetcher: Fetcher;
  /** Bounds bodies of text being received and parsed. */
  readonly gate: Gate;
  /** The same for answers in `pullFormat`, whose taking waits for the store. */
  readonly pullGate: Gate;
  readonly pullFormat: PullFormat | undefined;
  readonly configs: readonly ScrapeConfig[];
  /** Attached to every series that has no label of that name. */
  readonly externalLabels: Labels;
  /** Further sources of targets for jobs in `configs`. */
  readonly discoveries: ReadonlyArray<{ readonly jobName: string; readonly discovery: Discovery }>;
  /** Spreads the scrapes of processes that scrape the same targets. */
  readonly offsetSeed: string;
  readonly limits: ScrapeLimits;
  readonly log: ScrapeLog;
}

/** Counts since the start. */
export interface ScrapeTotals {
  /** Scrapes begun, pulls included. */
  scrapes: number;
  failed: number;
  /** Failed scrapes by reason. */
  failedByReason: Record<string, number>;
  /** Samples written, synthetic ones and stale marks not counted; pulled ones counted. */
  samples: number;
  /** Samples left out, by reason. */
  refused: Record<string, number>;
  /** Ticks that passed while the scrape before was still running. */
  missed: number;
  /** Scrapes that began later than Prometheus's tolerance after their tick. */
  late: number;
}

/** All targets of a process. */
export class ScrapeManager implements TargetsView {
  constructor(_options: ScrapeManagerOptions) {}
  get totals(): Readonly<ScrapeTotals> {
    throw new Error('BUG: being written');
  }
  start(): void {}
  /** Ends without stale marks: the next start goes on. Resolves when nothing runs any more. */
  async stop(): Promise<void> {}
  /** Takes another configuration; targets that stay the same are not disturbed. */
  reload(_configs: readonly ScrapeConfig[], _externalLabels: Labels): void {}
  active(): readonly TargetStatus[] {
    return [];
  }
  dropped(): readonly DroppedTarget[] {
    return [];
  }
}
