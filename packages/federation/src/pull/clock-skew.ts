/** How far a source's clock is from ours, from the times of requests and answers. */

/** The newest measurements; the one with the shortest way counts. */
const MEASURED_MAX = 12;

export interface SkewEstimate {
  /** The source's clock less ours. */
  readonly skewMs: number;
  /** It is no further than this from the truth, if neither clock was set meanwhile. */
  readonly errorMs: number;
}

export class ClockSkew {
  #measured: SkewEstimate[] = [];

  /** `said`: the source's clock at some time between `asked` and `answered` of ours. */
  measure(asked: number, answered: number, said: number): void {
    const errorMs = (answered - asked) / 2;
    // The clock was set back in between.
    if (errorMs < 0) return;
    this.#measured.push({ skewMs: said - (asked + errorMs), errorMs });
    if (this.#measured.length > MEASURED_MAX) this.#measured.shift();
  }

  /** Undefined before the first page. */
  get estimate(): SkewEstimate | undefined {
    let best: SkewEstimate | undefined;
    for (const one of this.#measured) {
      if (best === undefined || one.errorMs <= best.errorMs) best = one;
    }
    return best;
  }
}
