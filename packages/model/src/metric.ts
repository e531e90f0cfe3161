/**
 * Metric families and the bits of a sample's value.
 */

/** The types of OpenMetrics; text format 0.0.4 knows the first five (`unknown` is its `untyped`). */
export type MetricType =
  | 'counter'
  | 'gauge'
  | 'histogram'
  | 'summary'
  | 'unknown'
  | 'gaugehistogram'
  | 'info'
  | 'stateset';

/** A metric family as its exporter describes it. `name` has no `_bucket`, `_sum`, `_count` suffix. */
export interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** '' where none was given. */
  readonly unit: string;
}

/** What a slot of a group, or a place in a column, holds at one time. One byte in columns. */
export const SampleState = {
  /** No sample: the series was not there, or said nothing. */
  none: 0,
  /** A value. */
  value: 1,
  /** Prometheus's stale marker: the series ended here. The number beside it means nothing. */
  stale: 2,
} as const;
export type SampleState = (typeof SampleState)[keyof typeof SampleState];

/** Bits of Prometheus's stale marker (model/value/value.go): high and low 32 bits. */
export const STALE_NAN_HIGH = 0x7ff00000;
export const STALE_NAN_LOW = 0x00000002;
/** Bits of the normal NaN, which every other NaN becomes. */
export const NORMAL_NAN_HIGH = 0x7ff80000;
export const NORMAL_NAN_LOW = 0x00000001;
