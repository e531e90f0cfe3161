/** One series out of the columns that several origins have of it. */
import { SampleState } from '@canopy/model';

/** What one origin has; times ascend strictly. */
export interface OriginColumn {
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** Null: all are values. */
  readonly states: Uint8Array | null;
  /** A silence longer than this ends a run of samples. Milliseconds. */
  readonly runBreak: number;
  /** More may come: its newest sample stands until `runBreak` has passed. */
  readonly open: boolean;
}

export interface MergedColumn {
  times: Float64Array;
  readonly values: Float64Array;
  readonly states: Uint8Array | null;
  /** Samples that an earlier origin covered. */
  readonly hidden: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

/** Where the merge stands in one origin. */
class Walk {
  readonly column: OriginColumn;
  /** Next entry that is a sample. */
  at = 0;
  /** Time of the newest value passed; -Infinity after a stale mark. */
  value = NEVER;

  constructor(column: OriginColumn) {
    this.column = column;
    this.#skipNone();
  }

  get time(): number {
    const { times } = this.column;
    return this.at < times.length ? times[this.at] : Number.POSITIVE_INFINITY;
  }

  get isValue(): boolean {
    const { states } = this.column;
    return states === null || states[this.at] === SampleState.value;
  }

  pass(): void {
    this.value = this.isValue ? this.time : NEVER;
    this.at++;
    this.#skipNone();
  }

  /** Whether this origin has the series at `time`, which is not after its next entry. */
  covers(time: number, newestTime: number): boolean {
    const { time: next } = this;
    if (next === time) return this.isValue;
    if (this.value === NEVER) return false;
    const { runBreak, open } = this.column;
    if (next === Number.POSITIVE_INFINITY) return open && newestTime <= this.value + runBreak;
    // What ends in a stale mark or a silence has ended with its last value.
    return this.isValue && next - this.value <= runBreak;
  }

  #skipNone(): void {
    const { states, times } = this.column;
    if (states === null) return;
    while (this.at < times.length && states[this.at] === SampleState.none) this.at++;
  }
}

/**
 * Merges origins, the earlier first. While an origin has the series (from a value to its next one,
 * no longer than its `runBreak` apart; from its last one on while it may go on), what later origins
 * have is hidden. A stale mark is shown where no other origin has the series. `newestTime`: of all
 * the groups concerned. Columns must reach `runBreak` beyond the range that is looked at, on both
 * sides; then the answer does not depend on the range.
 */
export function mergeOrigins(columns: readonly OriginColumn[], newestTime: number): MergedColumn {
  const lengthMax = columns.reduce((total, column) => total + column.times.length, 0);
  const times = new Float64Array(lengthMax);
  const values = new Float64Array(lengthMax);
  const states = new Uint8Array(lengthMax);
  const walks = columns.map((column) => new Walk(column));
  let count = 0;
  let hidden = 0;
  let allValues = true;
  for (;;) {
    const time = walks.reduce(
      (least, walk) => Math.min(least, walk.time),
      Number.POSITIVE_INFINITY,
    );
    if (time === Number.POSITIVE_INFINITY) break;
    let shown = walks.find((walk) => walk.covers(time, newestTime));
    // Nobody has it: what stands here are stale marks, of which one will do.
    shown ??= walks.find((walk) => walk.time === time)!;
    if (shown.time === time) {
      times[count] = time;
      values[count] = shown.column.values[shown.at];
      states[count] = shown.isValue ? SampleState.value : SampleState.stale;
      if (!shown.isValue) allValues = false;
      count++;
    }
    for (const walk of walks) {
      if (walk.time !== time) continue;
      if (walk !== shown && walk.isValue) hidden++;
      walk.pass();
    }
  }
  return {
    times: times.subarray(0, count),
    values: values.subarray(0, count),
    states: allValues ? null : states.subarray(0, count),
    hidden,
  };
}
