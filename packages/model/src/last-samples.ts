/**
 * Port between what holds samples and a text answer: the newest sample of each series, in columns, and label
 * sets by the numbers of their texts, so that nothing is made of a series but its line.
 */
import type { Matcher } from './matcher.js';
import type { Family } from './metric.js';
import type { TimeRange } from './query.js';

/** Label sets as numbers, and the text of each number. */
export interface LabelNumbers {
  /** Grows whenever a number may have come to stand for another text, between two turns of the event loop. */
  readonly version: number;
  /** What `load` wrote last: name, value, name, …, sorted by name, `__name__` among them. */
  readonly numbers: Uint32Array;
  /** Writes the label set of a series to `numbers`, from the beginning on; returns how many numbers. */
  load(series: number): number;
  text(number: number): string;
  /** -1 where no label set has the text. */
  find(text: string): number;
}

/** Newest samples in columns; as long as what was asked for. */
export interface LastColumns {
  readonly values: Float64Array;
  /** NaN where a series has no sample, or ended with a stale mark. */
  readonly times: Float64Array;
  /** What the exporter said of the series' family. */
  readonly families: Array<Family | undefined>;
}

/** What one question found. Valid until its snapshot is released. */
export interface LastSamples {
  /**
   * Series by metric name: numbers that only this object knows, ascending, each once. Not every one need have a
   * sample. Series without a metric name are left out.
   */
  readonly metrics: ReadonlyMap<string, Uint32Array>;
  readonly seriesCount: number;
  readonly labels: LabelNumbers;
  /** Reads `count` of the series, `from` the given place on, to the beginning of the columns. May yield. */
  read(series: Uint32Array, from: number, count: number, out: LastColumns): Promise<void>;
}

/** A pinned view, as Snapshot is one. */
export interface LastSnapshot {
  /** Series that match any of the sets, each with its newest sample in the range. May yield. */
  last(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    signal?: AbortSignal,
  ): Promise<LastSamples>;
  /** Must be called; more than once is harmless. */
  release(): void;
}

/** Implemented by `head`. */
export interface LastQueryable {
  snapshot(): LastSnapshot;
}
