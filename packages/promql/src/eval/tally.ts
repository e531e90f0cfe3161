/** Samples of a query as Prometheus counts them. */
import type { Columns } from './columns.js';
import type { Windows } from './windows.js';

/** By step; only where somebody asked. */
interface StepCounts {
  readonly queryable: Float64Array;
  readonly read: Float64Array;
}

export class SampleTally {
  /** Samples looked at in all steps: one that lies in two windows counts twice. */
  queryable = 0;
  /** The same, but a window counts only what the one before had not. */
  read = 0;
  readonly perStep: StepCounts | null;

  /** `steps`: of the query, where counts by step are wanted; else null. */
  constructor(steps: number | null) {
    this.perStep =
      steps === null ? null : { queryable: new Float64Array(steps), read: new Float64Array(steps) };
  }

  add(step: number, queryable: number, read: number): void {
    this.queryable += queryable;
    this.read += read;
    if (this.perStep === null) return;
    this.perStep.queryable[step] += queryable;
    this.perStep.read[step] += read;
  }

  /** A row of a selector: one sample at each step that has one, `found` of them. */
  addRow({ present, steps }: Columns, row: number, found: number): void {
    this.queryable += found;
    this.read += found;
    if (this.perStep === null) return;
    for (let k = 0; k < steps; k++) {
      this.perStep.queryable[k] += present[row * steps + k];
      this.perStep.read[k] += present[row * steps + k];
    }
  }

  addWindows({ lo, hi, total, distinct }: Windows): void {
    this.queryable += total;
    this.read += distinct;
    if (this.perStep === null) return;
    for (let k = 0, seen = 0; k < lo.length; k++) {
      this.perStep.queryable[k] += hi[k] - lo[k];
      this.perStep.read[k] += Math.max(0, hi[k] - Math.max(lo[k], seen));
      seen = hi[k];
    }
  }
}
