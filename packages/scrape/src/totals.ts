/** Counts since the start; plain numbers, `canopy` makes metrics of them. */
export interface ScrapeTotals {
  /** Scrapes begun, pulls included. */
  scrapes: number;
  failed: number;
  /** Failed scrapes, by the limit exceeded or the error code. */
  failedByReason: Record<string, number>;
  /** Samples taken in: written here, or by the pull format. Synthetic ones and stale marks do not count. */
  samples: number;
  /**
   * Left out, by reason: `duplicate` (the series twice in a body), `out_of_bounds` (over 10 min ahead of the
   * clock, or before 1970), `conflict` (series that the scrape itself makes), `clock_back` (frames).
   */
  refused: Record<string, number>;
  /** Exemplars beside samples; they are read and left out. */
  exemplars: number;
  /** Ticks without a scrape: a second one passed while the scrape before was still running. */
  missed: number;
  /** Scrapes that began too late, or too early, to get their tick's time. */
  late: number;
  /** Addresses that cannot be scraped as they are, found while making targets. */
  invalidTargets: number;
  /** Times that a discovery's source could not be read. */
  discoveryErrors: number;
}

export function emptyTotals(): ScrapeTotals {
  return {
    scrapes: 0,
    failed: 0,
    failedByReason: {},
    samples: 0,
    refused: {},
    exemplars: 0,
    missed: 0,
    late: 0,
    invalidTargets: 0,
    discoveryErrors: 0,
  };
}

export function countUp(counts: Record<string, number>, reason: string, by = 1): void {
  if (by > 0) counts[reason] = (counts[reason] ?? 0) + by;
}
