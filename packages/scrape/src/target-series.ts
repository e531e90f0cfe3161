/**
 * What is remembered of one target between scrapes: its parser, its series, its groups. Turns a
 * body into frames; knows nothing of time-outs or schedules.
 */
import type {
  BodyReader,
  ScrapeColumns,
  ScrapeParserOptions,
  SeriesResolver,
} from '@canopy/exposition';
import {
  type Family,
  type Journal,
  type Labels,
  METRIC_NAME,
  type Milliseconds,
  labelValue,
} from '@canopy/model';
import type { ScrapeConfig } from './config.js';
import { type ExpositionFormat, readerOf } from './formats.js';
import { LimitError } from './refusal.js';
import type { Relabel } from './relabel.js';
import { SampleLabels, familyAfter } from './sample-labels.js';
import { SeriesTable, type StringPool } from './series-table.js';
import { AlignedGroup, type GroupMetaOfTarget, LooseGroup } from './target-groups.js';
import type { Target } from './target.js';

/** Series that the scrape itself makes, under Prometheus's names, in the order of `ScrapeReport`. */
export const REPORT_NAMES = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
] as const;

/** Further ones under `extra_scrape_metrics`. */
export const EXTRA_REPORT_NAMES = [
  'scrape_timeout_seconds',
  'scrape_sample_limit',
  'scrape_body_size_bytes',
] as const;

/** Values of the series in `REPORT_NAMES`, and what `EXTRA_REPORT_NAMES` need. */
export interface ScrapeReport {
  up: 0 | 1;
  durationSeconds: number;
  samplesScraped: number;
  samplesKept: number;
  seriesAdded: number;
  /** Decompressed; 0 where none came, -1 where it was over its limit. */
  bodyBytes: number;
}

/** Samples written and left out by one frame. */
export interface WriteTotals {
  samples: number;
  duplicates: number;
  outOfBounds: number;
}

export interface TargetSeriesOptions {
  readonly target: Target;
  readonly config: ScrapeConfig;
  readonly journal: Journal;
  readonly externalLabels: Labels;
  /** The job's compiled `metricRelabelConfigs`. */
  readonly metricRelabel: Relabel;
  readonly pool: StringPool;
  /** Most series texts of the target; a body with more is refused. */
  readonly seriesMax: number;
  /** As in `SampleLabelOptions`. */
  readonly enforcedLabels: readonly string[];
}

/** When series with times of their own get a stale mark: as soon as they are missing, where an answer lacks them, never. */
type LooseEnds = 'always' | 'told' | 'never';

/**
 * As Prometheus where the configuration says which. Of a `/federate` an answer tells: it leaves out what has ended, and gives all
 * else its time.
 */
function looseEndsOf(
  { trackTimestampsStaleness: isTracked }: ScrapeConfig,
  url: string,
): LooseEnds {
  if (isTracked !== undefined) return isTracked ? 'always' : 'never';
  return new URL(url).pathname.endsWith('/federate') ? 'told' : 'never';
}

/** Bodies between two rounds of forgetting, and how many bodies a forgotten text was absent from. */
const FORGET_AFTER = 8;
/** Fewer remembered series than this are not worth renumbering. */
const COMPACT_MIN = 64;

export class TargetSeries implements SeriesResolver {
  readonly #options: TargetSeriesOptions;
  readonly #labels: SampleLabels;
  /** The series of the report are the first in it. */
  readonly #table = new SeriesTable();
  readonly #meta: GroupMetaOfTarget;
  readonly #aligned: AlignedGroup;
  #loose: LooseGroup | undefined;
  readonly #looseEnds: LooseEnds;
  readonly #reportCount: number;
  readonly #readerOptions: ScrapeParserOptions;
  #reader: BodyReader;
  #format: ExpositionFormat = 'text';
  /** Families that a new reader names, until it has read a body: of series known before it, maybe otherwise. */
  #toldAnew: Map<string, Family> | undefined;
  /** Bodies since texts were last forgotten. */
  #parses = 0;
  /** Series left out because the scrape itself makes one of that name. */
  conflicts = 0;

  constructor(options: TargetSeriesOptions) {
    const { target, config, externalLabels, pool, journal } = options;
    this.#options = options;
    this.#labels = new SampleLabels({
      config,
      targetLabels: target.labels,
      externalLabels,
      relabel: options.metricRelabel,
      pool,
      enforcedLabels: options.enforcedLabels,
    });
    this.#looseEnds = looseEndsOf(config, target.url);
    this.#meta = {
      target: this.#labels.ofTarget(),
      scrapeUrl: target.url,
      interval: target.interval,
    };
    const extra = config.extraScrapeMetrics ? EXTRA_REPORT_NAMES : [];
    for (const name of [...REPORT_NAMES, ...extra]) {
      this.#table.add(this.#labels.ofReport(name), undefined);
    }
    this.#reportCount = this.#table.count;
    this.#aligned = new AlignedGroup(journal, this.#meta, this.#table);
    this.#readerOptions = {
      resolver: this,
      honorTimestamps: config.honorTimestamps,
      maxSeries: options.seriesMax,
    };
    this.#reader = readerOf(this.#format, this.#readerOptions);
  }

  /** Time of the last frame; 0 before the first. */
  get lastTime(): Milliseconds {
    return this.#aligned.lastTime;
  }

  resolve(pairs: Labels, family: Family | undefined): number {
    const labels = this.#labels.of(pairs);
    if (labels === undefined) return -1;
    const fitting = familyAfter(
      family,
      labelValue(pairs, METRIC_NAME),
      labelValue(labels, METRIC_NAME),
    );
    if (fitting !== undefined) this.#toldAnew?.set(fitting.name, fitting);
    const series = this.#table.add(labels, fitting);
    if (series >= this.#reportCount) return series;
    this.conflicts++;
    return -1;
  }

  describe(family: Family): void {
    this.#aligned.describe(family);
    this.#loose?.describe(family);
  }

  /**
   * Reads a body. The columns are valid until the next call, and say nothing yet: `write` writes them.
   * @throws FormatError, CanopyError `limit` or `bad_data`: the scrape is refused whole.
   */
  parse(body: Uint8Array, format: ExpositionFormat = 'text'): ScrapeColumns {
    if (format !== this.#format) {
      // What the other reader remembers is worth nothing to this one.
      this.#reader = readerOf(format, this.#readerOptions);
      this.#format = format;
      this.#toldAnew = new Map();
    }
    this.#toldAnew?.clear();
    const columns = this.#reader.parse(body);
    for (const family of this.#toldAnew?.values() ?? []) this.describe(family);
    this.#toldAnew = undefined;
    this.#parses++;
    return columns;
  }

  /** In the last body; they are read and left out. */
  get exemplars(): number {
    return this.#reader.exemplars ?? 0;
  }

  /** @throws CanopyError `limit` where `sample_limit` is exceeded. */
  checkSampleLimit(columns: ScrapeColumns): void {
    const { sampleLimit } = this.#options.config;
    if (sampleLimit > 0 && columns.samplesKept > sampleLimit) {
      throw new LimitError(
        'sample_limit',
        `sample limit exceeded (${columns.samplesKept} samples, limit: ${sampleLimit})`,
      );
    }
  }

  /**
   * Writes the frame of one scrape: its samples, stale marks for what vanished, the report. `columns`
   * undefined: nothing was scraped as text, so all has vanished. `refusal`: why what came was refused, '' where it was not.
   */
  write(
    time: Milliseconds,
    now: Milliseconds,
    columns: ScrapeColumns | undefined,
    report: ScrapeReport,
    refusal = '',
  ): WriteTotals {
    const aligned = this.#aligned;
    const totals = { samples: 0, duplicates: 0, outOfBounds: 0 };
    aligned.begin();
    aligned.put(0, report.up);
    aligned.put(1, report.durationSeconds);
    aligned.put(2, report.samplesScraped);
    aligned.put(3, report.samplesKept);
    aligned.put(4, report.seriesAdded);
    if (this.#reportCount > REPORT_NAMES.length) {
      const { config, target } = this.#options;
      aligned.put(5, target.timeout / 1000);
      aligned.put(6, config.sampleLimit);
      aligned.put(7, report.bodyBytes);
    }
    if (columns !== undefined) totals.samples += aligned.putAll(columns);
    aligned.commit(time, refusal);
    if (columns !== undefined && columns.looseCount > 0) {
      this.#loose ??= new LooseGroup(this.#options.journal, this.#meta, this.#table);
    }
    // What did not answer has told of no end.
    const isSilent = columns === undefined && this.#looseEnds !== 'always';
    if (this.#loose !== undefined && !isSilent) {
      const staleAt = this.#looseEnds === 'never' ? undefined : time;
      const loose = this.#loose.write(columns, now, staleAt);
      totals.samples += loose.written;
      totals.outOfBounds = loose.outOfBounds;
    }
    totals.duplicates = columns?.duplicates ?? 0;
    this.#compact(report.up === 1);
    return totals;
  }

  /** Ends every series, the report's own included. */
  writeEnd(time: Milliseconds): void {
    this.#aligned.begin();
    this.#aligned.commit(time, undefined);
    if (this.#looseEnds === 'always') this.#loose?.write(undefined, time, time);
  }

  close(): void {
    this.#aligned.close();
    this.#loose?.close();
  }

  /** Gives back what series that are gone hold: texts, slots, then their numbers. */
  #compact(scraped: boolean): void {
    if (this.#parses >= FORGET_AFTER) {
      this.#parses = 0;
      this.#reader.forget(FORGET_AFTER);
    }
    // After a failure all is absent, and most of it will be back.
    if (scraped) {
      this.#aligned.rebaseIfSparse();
      this.#loose?.rebaseIfSparse();
    }
    const { count } = this.#table;
    if (count < COMPACT_MIN || count < 2 * this.#countLive()) return;
    const keep = new Uint8Array(count);
    for (let series = 0; series < count; series++) keep[series] = this.#isLive(series) ? 1 : 0;
    const map = this.#table.compact(keep);
    this.#aligned.renumber(map);
    this.#loose?.renumber(map);
    this.#reader.renumber(map);
  }

  #countLive(): number {
    return this.#aligned.slotCount + (this.#loose?.slotCount ?? 0);
  }

  #isLive(series: number): boolean {
    return this.#aligned.has(series) || this.#loose?.has(series) === true;
  }
}
