/**
 * The query engine: text to tree to plan to columns to values.
 */
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type Milliseconds,
  type QueryEngine,
  type QueryOptions,
  type QueryResult,
  type Queryable,
} from '@canopy/model';

export interface EngineOptions {
  readonly queryable: Queryable;
  readonly clock: Clock;
  /** How far back an instant selector looks for a sample (exclusive). */
  readonly lookback: DurationMs;
  /** A query that takes longer fails with `timeout`; also the cap of a query's own time-out. */
  readonly timeout: DurationMs;
  /** Samples a query may hold at once. */
  readonly maxSamples: number;
  /** Queries evaluated at once; others wait. */
  readonly maxConcurrency: number;
  readonly experimentalFunctions: boolean;
  /** The event loop gets its turn at least this often during a query. */
  readonly yieldEveryMs: number;
  /** Step of a subquery that gives none. */
  readonly defaultSubqueryStep: DurationMs;
}

export class Engine implements QueryEngine {
  readonly #options: EngineOptions;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  async instant(_query: string, _time: Milliseconds, _options?: QueryOptions): Promise<QueryResult> {
    throw new CanopyError('unavailable', `not there yet (${this.#options.maxSamples})`);
  }

  async range(
    _query: string,
    _start: Milliseconds,
    _end: Milliseconds,
    _step: DurationMs,
    _options?: QueryOptions,
  ): Promise<QueryResult> {
    throw new CanopyError('unavailable', 'not there yet');
  }
}
