/** What a function over range vectors is given: one series and its windows at all steps. */
import type { Labels } from '@canopy/model';
import type { Grid } from '../eval/grid.js';

/** Kernels read the inputs and write `out` and `present` at `base + k`. Reused for each series. */
export class RangeCall {
  times: Float64Array = new Float64Array(0);
  values: Float64Array = new Float64Array(0);
  /** When each sample's count began, ms, 0 where not known; for kernels that heed them. */
  startTimes: Float64Array = new Float64Array(0);
  /** Set by a kernel that saw a start time before the sample in front. */
  startsOverlap = false;
  /** First entry of the series; kernels that prepare something for all windows start here. */
  from = 0;
  to = 0;
  lo: Int32Array = new Int32Array(0);
  hi: Int32Array = new Int32Array(0);
  /** With samples around the window, as an extended selector sees them; empty for others. */
  outerLo: Int32Array = new Int32Array(0);
  outerHi: Int32Array = new Int32Array(0);
  out: Float64Array = new Float64Array(0);
  present: Uint8Array = new Uint8Array(0);
  base = 0;
  readonly steps: number;
  /** Right ends of the windows. */
  readonly refs: Grid;
  /** Times of evaluation; with `@` not those of the windows. */
  readonly evalTimes: Grid;
  readonly rangeMs: number;
  /** The scalar arguments by step, in order. */
  readonly params: readonly Float64Array[];
  readonly report: RangeReport;

  constructor(options: {
    refs: Grid;
    evalTimes: Grid;
    rangeMs: number;
    params: readonly Float64Array[];
    report: RangeReport;
  }) {
    this.steps = options.evalTimes.count;
    this.refs = options.refs;
    this.evalTimes = options.evalTimes;
    this.rangeMs = options.rangeMs;
    this.params = options.params;
    this.report = options.report;
  }

  put(step: number, value: number): void {
    this.out[this.base + step] = value;
    this.present[this.base + step] = 1;
  }
}

export interface RangeReport {
  invalidQuantile(q: number): void;
  overlappingStarts(labels: Labels): void;
}

export type RangeKernel = (call: RangeCall) => void;
