/**
 * Body after body of one target, read as differences: series text → slot is remembered.
 */
import { type Family, FormatError, type Labels } from '@canopy/model';

/** Gives series their slots. Implemented by the scrape loop. */
export interface SeriesResolver {
  /**
   * Called once for each series text not known yet. `labels` are pairs as written (not sorted),
   * `__name__` included; `family` is what TYPE and HELP lines said so far of the family it belongs to.
   * Returns the slot, or -1 to drop the series (until the parser forgets its text). May throw
   * CanopyError to refuse the scrape.
   */
  resolve(labels: Labels, family: Family | undefined): number;
  /** A family's TYPE or HELP appeared or changed after `resolve` was called with the earlier one. */
  describe?(family: Family): void;
}

/** One body as columns. Owned by the parser, valid until its next call. */
export interface ScrapeColumns {
  /** One more than the highest slot seen by this parser; length of `states` and `values` in use. */
  readonly slotCount: number;
  /** Per slot, SampleState `none` or `value`. Samples with times of their own are not here. */
  readonly states: Uint8Array;
  readonly values: Float64Array;
  /** Samples with times of their own (`honorTimestamps` only), in the order of the body. */
  readonly looseCount: number;
  readonly looseSlots: Uint32Array;
  /** Milliseconds since the epoch. */
  readonly looseTimes: Float64Array;
  readonly looseValues: Float64Array;
  readonly looseStates: Uint8Array;
  /** Sample lines in the body. */
  readonly samplesScraped: number;
  /** Those whose series was not dropped by the resolver. */
  readonly samplesKept: number;
  /** Slots that have a sample and had none in the body before. */
  readonly seriesAdded: number;
  /** Samples left out because their slot had one already with the same time: the first wins. */
  readonly duplicates: number;
}

export interface ScrapeParserOptions {
  readonly resolver: SeriesResolver;
  /** False: times written in the body are ignored. */
  readonly honorTimestamps: boolean;
  /** Most series texts remembered and sample lines taken in one body; beyond it `limit` is thrown. */
  readonly maxSeries: number;
}

/** Parser of one target. Not for concurrent use. */
export class ScrapeParser {
  constructor(_options: ScrapeParserOptions) {}
  /**
   * Reads one body, which may be reused after the call.
   * @throws FormatError, or what the resolver throws: nothing of the scrape counts.
   */
  parse(_body: Uint8Array): ScrapeColumns {
    throw new FormatError('scrape parser is being written');
  }
  /** The caller has renumbered its slots: new slot = map[old slot], -1 forgets the series. */
  renumber(_map: Int32Array): void {}
  /** Forgets series that the last `unseenParses` bodies did not have. */
  forget(_unseenParses: number): void {}
}
