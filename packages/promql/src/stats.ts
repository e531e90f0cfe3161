/** What queries took: times and samples, of one and of all. */
import type { Clock, QueryStats } from '@canopy/model';
import type { Budget } from './eval/budget.js';
import type { Grid } from './eval/grid.js';

/** The parts of a query's life, in order. Seconds. */
export interface QueryTimes {
  queueTime: number;
  preparationTime: number;
  innerEvalTime: number;
  resultSortTime: number;
}

/** Counts since the engine was made; plain numbers. */
export interface EngineTotals extends QueryTimes {
  queries: number;
  /** Queries that ended in an error, by its code. */
  failed: Record<string, number>;
  /** As in `QueryStats`. */
  queryableSamples: number;
  samplesRead: number;
}

const noTimes = (): QueryTimes => ({
  queueTime: 0,
  preparationTime: 0,
  innerEvalTime: 0,
  resultSortTime: 0,
});

export const newTotals = (): EngineTotals => ({
  queries: 0,
  failed: {},
  queryableSamples: 0,
  samplesRead: 0,
  ...noTimes(),
});

export const NO_STATS: QueryStats = {
  ...noTimes(),
  totalQueryableSamples: 0,
  samplesRead: 0,
  peakSamples: 0,
};

export class Stopwatch {
  readonly times = noTimes();
  readonly #clock: Clock;
  #since: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  /** What went on since the last lap was this part. */
  lap(part: keyof QueryTimes): void {
    const now = this.#clock.monotonic();
    this.times[part] += (now - this.#since) / 1000;
    this.#since = now;
  }
}

export function queryStats(times: QueryTimes, budget: Budget, grid: Grid): QueryStats {
  const { queryable, read, perStep } = budget.tally;
  return {
    ...times,
    totalQueryableSamples: queryable,
    samplesRead: read,
    peakSamples: budget.peakSamples,
    ...(perStep !== null && {
      perStep: {
        times: perStep.queryable.map((_count, k) => grid.start + k * grid.step),
        totalQueryableSamples: perStep.queryable,
        samplesRead: perStep.read,
      },
    }),
  };
}

export function addTotals(totals: EngineTotals, times: QueryTimes, budget: Budget): void {
  for (const part of Object.keys(times) as Array<keyof QueryTimes>) totals[part] += times[part];
  totals.queryableSamples += budget.tally.queryable;
  totals.samplesRead += budget.tally.read;
}
