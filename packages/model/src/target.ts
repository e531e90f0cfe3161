/**
 * Targets as others see them, and the port by which a target that speaks frames is pulled.
 */
import type { Labels } from './labels.js';
import type { DurationMs, Milliseconds } from './units.js';

export type TargetHealth = 'up' | 'down' | 'unknown';

/** One active target, in the words of `/api/v1/targets`. */
export interface TargetStatus {
  readonly scrapePool: string;
  readonly discoveredLabels: Labels;
  readonly labels: Labels;
  readonly scrapeUrl: string;
  readonly health: TargetHealth;
  readonly lastError: string;
  /** Undefined before the first scrape. */
  readonly lastScrape: Milliseconds | undefined;
  readonly lastScrapeDuration: DurationMs;
  readonly scrapeInterval: DurationMs;
  readonly scrapeTimeout: DurationMs;
  /** Samples of the last scrape that went well. */
  readonly lastSamples: number;
}

export interface DroppedTarget {
  readonly scrapePool: string;
  readonly discoveredLabels: Labels;
}

export interface TargetsView {
  active(): readonly TargetStatus[];
  dropped(): readonly DroppedTarget[];
}

/** What a puller needs to know of a target. */
export interface PullTarget {
  /** Without the cursor; with `match[]` and the other parameters of its configuration. */
  readonly url: string;
  readonly labels: Labels;
  readonly interval: DurationMs;
}

export interface PullOutcome {
  /** Samples taken in. */
  readonly samples: number;
  /** The source has more at once: ask again before the next interval. */
  readonly more: boolean;
}

/**
 * Port: a second way to read a target, offered in `Accept` before the text formats and used
 * when the answer has its media type. Implemented by `federation`, used by `scrape`'s loop, which
 * owns connections, time-outs and limits. Errors thrown make the scrape fail (`up` 0) with their text.
 */
export interface PullFormat {
  /** With parameters, as it stands in `Accept`. */
  readonly mediaType: string;
  /** Request headers of the next pull of this target (its cursor among them). */
  requestHeaders(target: PullTarget): Promise<Record<string, string>>;
  /** Takes one whole body (already decompressed). Resolves when it is stored and applied. */
  take(
    target: PullTarget,
    headers: Readonly<Record<string, string | undefined>>,
    body: Uint8Array,
  ): Promise<PullOutcome>;
}
