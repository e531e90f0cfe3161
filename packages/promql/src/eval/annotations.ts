/** Warnings and infos of one query, each once, in Prometheus's words and with the place. */
import { describePosition } from '../syntax/position.js';
import { formatFloatG } from '../float.js';
import { quote } from '../syntax/strings.js';

/**
 * More distinct annotations than this are dropped: texts hold label values, and those have no
 * bound.
 */
const ANNOTATIONS_MAX = 1000;

export class Annotations {
  readonly #text: string;
  readonly #warnings = new Set<string>();
  readonly #infos = new Set<string>();

  constructor(queryText: string) {
    this.#text = queryText;
  }

  get warnings(): string[] {
    return [...this.#warnings];
  }

  get infos(): string[] {
    return [...this.#infos];
  }

  #add(to: Set<string>, kind: string, message: string, at: number): void {
    if (to.size >= ANNOTATIONS_MAX) return;
    to.add(`PromQL ${kind}: ${message} (${describePosition(this.#text, at)})`);
  }

  #warn(message: string, at: number): void {
    this.#add(this.#warnings, 'warning', message, at);
  }

  #info(message: string, at: number): void {
    this.#add(this.#infos, 'info', message, at);
  }

  invalidQuantile(q: number, at: number): void {
    this.#warn(`quantile value should be between 0 and 1, got ${formatFloatG(q)}`, at);
  }

  invalidRatio(ratio: number, cap: number, at: number): void {
    const got = formatFloatG(ratio);
    this.#warn(`ratio value should be between -1 and 1, got ${got}, capping to ${cap}`, at);
  }

  badBucketLabel(metric: string, label: string, at: number): void {
    this.#warn(
      `bucket label "le" is missing or has a malformed value of ${quote(label)}${forMetric(metric)}`,
      at,
    );
  }

  sortInRangeQuery(at: number): void {
    this.#warn(
      'sort is ineffective for range queries since results are always ordered by labels',
      at,
    );
  }

  possibleNonCounter(metric: string, at: number): void {
    this.#info(
      `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quote(metric)}`,
      at,
    );
  }

  possibleNonCounterType(metric: string, type: string, at: number): void {
    this.#info(
      `metric might not be a counter, __type__ label is not set to "counter" or "histogram", got ${quote(type)}: ${quote(metric)}`,
      at,
    );
  }

  overlappingStarts(metric: string, at: number): void {
    this.#warn(
      `sample has start time that overlaps with previous sample timestamp for metric ${quote(metric)}`,
      at,
    );
  }

  forcedMonotonicity(metric: string, change: MonotonicityFix, at: number): void {
    const day = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
    const difference = Number(change.maxDifference.toPrecision(2));
    this.#info(
      `input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)${forMetric(metric)}, ` +
        `from buckets ${formatFloatG(change.minBucket)} to ${formatFloatG(change.maxBucket)}, with a max diff of ${formatFloatG(difference)}, ` +
        `over ${change.samples} samples from ${day(change.minTime)} to ${day(change.maxTime)}`,
      at,
    );
  }
}

/** Where the counts of a classic histogram's buckets went down, and by how much at most. */
export interface MonotonicityFix {
  samples: number;
  minTime: number;
  maxTime: number;
  minBucket: number;
  maxBucket: number;
  maxDifference: number;
}

const forMetric = (metric: string): string =>
  metric === '' ? '' : ` for metric name ${quote(metric)}`;
