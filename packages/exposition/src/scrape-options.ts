/**
 * What a parser of bodies is given.
 */
import type { Family, Labels } from '@canopy/model';
import type { Walker } from './walk-state.js';

/** Gives series their slots. Implemented by the scrape loop. */
export interface SeriesResolver {
  /**
   * Called once for each series text that the parser does not know (again after the scrape that
   * brought it was refused, or it was forgotten). `labels` are pairs as written (not sorted),
   * `__name__` included, no name twice, empty values as written; `le` and `quantile` of histograms and summaries are spelt as in
   * OpenMetrics (`1.0`). `family` is what TYPE and HELP lines said so far of the family it belongs to.
   * Two texts of one label set must get the same slot. Slots are small integers; -1 drops the series
   * until the parser forgets its text. May throw CanopyError to refuse the scrape. Must not call the parser.
   */
  resolve(labels: Labels, family: Family | undefined): number;
  /** A family's TYPE or HELP appeared or changed after `resolve` was told otherwise. */
  describe?(family: Family): void;
}

export interface ScrapeParserOptions {
  readonly resolver: SeriesResolver;
  /** False: times written in the body are ignored. */
  readonly honorTimestamps: boolean;
  /**
   * Most sample lines of one body, and most families; beyond it `limit` is thrown. At most twice as
   * many series texts are remembered.
   */
  readonly maxSeries: number;
  /** False: nothing of a body is kept, so each one is read as if it were the first, every series resolved again. */
  readonly keepBody?: boolean;
  /** Instead of the process's own; for tests. */
  readonly walker?: Walker;
}
