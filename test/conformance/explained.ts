/** Differences from Prometheus 2.42 that are right, because Prometheus 3 is different: query, difference, reason. */
export const EXPLAINED: ReadonlyArray<
  readonly [query: RegExp, difference: RegExp, reason: string]
> = [
  [
    /label_replace\(.*"~invalid"/,
    /^success, not error/,
    'Prometheus 3 takes any UTF-8 text as the name of a label; 2.42 knew the old alphabet only',
  ],
  [
    /[<>=]/,
    /^error, not success: multiple matches for labels/,
    'Prometheus 3 looks for multiple matches before a comparison leaves some out, 2.42 afterwards',
  ],
  [
    /count_values by \(/, // As the generator writes it, over computed values.
    /is (?:missing|too much)/,
    'averages and deviations are computed in another order since 2.42; a last digit becomes a label',
  ],
  [
    /(?:topk|bottomk) by \(/, // As the generator writes it, over computed values.
    /is (?:missing|too much)/,
    'of equal values, which ones are shown is a matter of the order in which a store gives its series',
  ],
  [
    /atan2/,
    /"__name__".* is missing/,
    'Prometheus 3 drops the name of the metric here as for every arithmetic operator',
  ],
  [
    /minute\(/,
    /: NaN at .*, not /,
    'NaN is no time: Go makes another number of it on each kind of processor, Canopy leaves it NaN',
  ],
];
