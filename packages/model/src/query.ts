/**
 * Ports between what holds samples and what asks for them.
 */
import type { Epoch, GroupId, JournalRef } from './journal.js';
import type { Labels } from './labels.js';
import type { Matcher } from './matcher.js';
import type { Family } from './metric.js';
import type { DurationMs, Milliseconds } from './units.js';

/** A stretch of time, both ends inclusive. */
export interface TimeRange {
  readonly minTime: Milliseconds;
  readonly maxTime: Milliseconds;
}

/**
 * One series with its samples in a time range, as columns. Entries `[from, to)` of the columns
 * count; times ascend strictly among them. The arrays are shared (all series of one group have the
 * same `times` object, so that windows can be found once for all of them), must not be written to,
 * and are valid until the snapshot is released.
 */
export interface SelectedSeries {
  readonly labels: Labels;
  /** What the exporter said of the series' family; undefined where nothing is known. */
  readonly family: Family | undefined;
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** A SampleState for each entry; null where every entry is a value. `none` entries are no samples. */
  readonly states: Uint8Array | null;
  /** When what each sample counts began; ms, 0 where that is not known. Undefined: of none it is. */
  readonly startTimes?: Float64Array;
  readonly from: number;
  readonly to: number;
}

/**
 * A pinned view: whatever is taken in after it was made is not in it, however long it is used.
 * Every method may yield. Each label set comes once (origins are merged), in no order.
 */
export interface Snapshot {
  /** `onRead` is told of entries as they are read into memory; what it throws ends the select. */
  select(
    matchers: readonly Matcher[],
    range: TimeRange,
    signal?: AbortSignal,
    onRead?: (entries: number) => void,
  ): Promise<SelectedSeries[]>;
  /** Label sets of series with a sample in the range (approximately) that match any of the sets. */
  series(matcherSets: ReadonlyArray<readonly Matcher[]>, range: TimeRange): Promise<Labels[]>;
  /** Sorted. No matcher sets: of all series. */
  labelNames(matcherSets: ReadonlyArray<readonly Matcher[]>, range: TimeRange): Promise<string[]>;
  labelValues(
    name: string,
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<string[]>;
  /** Must be called; more than once is harmless. */
  release(): void;
}

export interface Queryable {
  snapshot(): Snapshot;
  /** Distinct descriptions by family name, for `/api/v1/metadata`. */
  metadata(): ReadonlyMap<string, readonly Family[]>;
}

/** A group that has samples of a series. */
export interface SeriesOrigin {
  readonly journal: JournalRef;
  readonly epoch: Epoch;
  readonly group: GroupId;
  /** '' where nothing is scraped. */
  readonly scrapeUrl: string;
  /** From when on the group has the series, and the group's newest sample. */
  readonly from: Milliseconds;
  readonly to: Milliseconds;
  /** More may come. */
  readonly open: boolean;
}

export interface SeriesOrigins {
  readonly labels: Labels;
  /** The earliest first. */
  readonly origins: readonly SeriesOrigin[];
}

/** What a query reads: series and times, inclusive. */
export interface QueryRead {
  readonly matchers: readonly Matcher[];
  readonly minTime: number;
  readonly maxTime: number;
}

/** Up to when all that a query reads is complete. */
export interface Completeness {
  readonly upTo: Milliseconds;
  /** What is left out of that, for people. */
  readonly warnings: readonly string[];
}

/** The answer to a query. Series and samples are the caller's. */
export type QueryValue =
  | { readonly type: 'scalar'; readonly time: Milliseconds; readonly value: number }
  | { readonly type: 'string'; readonly time: Milliseconds; readonly value: string }
  | { readonly type: 'vector'; readonly samples: readonly VectorSample[] }
  | { readonly type: 'matrix'; readonly series: readonly MatrixSeries[] };

export interface VectorSample {
  readonly labels: Labels;
  readonly time: Milliseconds;
  readonly value: number;
}

/** Samples only, no gaps: both columns have `times.length` entries. */
export interface MatrixSeries {
  readonly labels: Labels;
  readonly times: Float64Array;
  readonly values: Float64Array;
}

export interface QueryResult {
  readonly value: QueryValue;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly stats: QueryStats;
}

/** Where a query's time went (seconds), and its samples as Prometheus counts them. */
export interface QueryStats {
  /** Waiting for a turn. */
  readonly queueTime: number;
  /** Selecting, evaluating, sorting. */
  readonly preparationTime: number;
  readonly innerEvalTime: number;
  readonly resultSortTime: number;
  /** Looked at in all steps: one that lies in two windows counts twice. */
  readonly totalQueryableSamples: number;
  /** The same, but a window counts only what the one before had not. */
  readonly samplesRead: number;
  /** The most held at once. */
  readonly peakSamples: number;
  /** Both by step; undefined unless asked for and switched on. */
  readonly perStep?: {
    readonly times: Float64Array;
    readonly totalQueryableSamples: Float64Array;
    readonly samplesRead: Float64Array;
  };
}

export interface QueryOptions {
  /** Default of the engine where undefined. */
  readonly lookback?: DurationMs;
  readonly timeout?: DurationMs;
  readonly signal?: AbortSignal;
  /** Counts samples by step, where the engine has that switched on. */
  readonly perStepStats?: boolean;
  /**
   * Nothing is evaluated, and no sample read, beyond what this says; asked before the query's snapshot is made. An
   * instant query is evaluated there instead, a range query ends there.
   */
  readonly complete?: (reads: readonly QueryRead[]) => Promise<Completeness>;
}

/**
 * Port: answers PromQL. Implemented by `promql`.
 * Errors: `bad_data` (text, types, with `line:col: parse error: …`), `execution`, `timeout`, `canceled`.
 */
export interface QueryEngine {
  instant(query: string, time: Milliseconds, options?: QueryOptions): Promise<QueryResult>;
  /** Points at start, start + step, … up to end inclusive. */
  range(
    query: string,
    start: Milliseconds,
    end: Milliseconds,
    step: DurationMs,
    options?: QueryOptions,
  ): Promise<QueryResult>;
}
