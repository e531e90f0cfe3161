/**
 * The query engine: text to tree to plan to columns to values. One snapshot a query, one budget
 * a query; everything a query may use up has a limit.
 */
import {
  CanopyError,
  type Clock,
  type Completeness,
  type DurationMs,
  type Milliseconds,
  type QueryEngine,
  type QueryOptions,
  type QueryResult,
  type QueryValue,
  type Queryable,
  type SelectedSeries,
  type Snapshot,
  Turns,
  asDuration,
  asTime,
  labelsKey,
} from '@canopy/model';
import { Annotations } from './eval/annotations.js';
import { Budget, type Rules } from './eval/budget.js';
import { Evaluator } from './eval/evaluator.js';
import { type Grid, type QueryFrame, gridEnd } from './eval/grid.js';
import { SAME_LABELSET, losesName, removeNames, withoutName } from './eval/labels.js';
import { SampleTally } from './eval/tally.js';
import { ParsedQueries } from './parsed.js';
import { type Plan, planQuery } from './plan/plan.js';
import { Queue } from './queue.js';
import { rangeMatrix, scalarMatrix, sortSeries, toMatrix, toVector } from './results.js';
import { NO_STATS, Stopwatch, addTotals, newTotals, queryStats } from './stats.js';
import { type Expr, typeOf, unwrapParens } from './syntax/ast.js';
import { type SyntaxFeatures, checkFeatures } from './syntax/check.js';

export interface EngineFeatures extends SyntaxFeatures, Rules {
  /** Queries that ask for it count their samples by step. */
  readonly perStepStats: boolean;
}

/** Port: remembers what is being worked out, for the case that the process does not survive it. */
export interface ActiveQueries {
  /** Returns what `end` is to be given. */
  begin(query: string): number;
  end(entry: number): void;
}

export interface EngineOptions {
  readonly queryable: Queryable;
  readonly clock: Clock;
  /** How far back an instant selector looks for a sample (exclusive). */
  readonly lookback: DurationMs;
  /** A query that takes longer fails with `timeout`; also the cap of a query's own time-out. */
  readonly timeout: DurationMs;
  /** Samples a query may hold at once. */
  readonly maxSamples: number;
  /** Entries of 9 bytes that its selectors may read into memory. */
  readonly maxRead: number;
  /** Queries evaluated at once; others wait. */
  readonly maxConcurrency: number;
  /** By their flags in Prometheus: what may still change. */
  readonly features: EngineFeatures;
  /** The event loop gets its turn at least this often during a query. */
  readonly yieldEveryMs: number;
  /** Step of a subquery that gives none. */
  readonly defaultSubqueryStep: DurationMs;
  readonly activeQueries?: ActiveQueries;
}

/** Texts longer than this are refused: nobody types them, and each costs a tree. UTF-16 units. */
const QUERY_LENGTH_MAX = 1 << 20;
/** Steps of one grid; the HTTP API allows 11,000, subqueries may go beyond that. */
const STEPS_MAX = 10_000_000;

export class Engine implements QueryEngine {
  readonly totals = newTotals();
  readonly #options: EngineOptions;
  readonly #queue: Queue;
  readonly #turns: Turns;
  readonly #parsed = new ParsedQueries();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#queue = new Queue(options.maxConcurrency);
    this.#turns = new Turns((run) => options.clock.after(asDuration(0), run));
  }

  /** Queries being worked out, and queries that wait for their turn. */
  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#queue.running, waiting: this.#queue.waiting };
  }

  async instant(
    query: string,
    time: Milliseconds,
    options: QueryOptions = {},
  ): Promise<QueryResult> {
    checkTime(time);
    return this.#run(query, { start: time, step: 1, count: 1 }, 0, options);
  }

  async range(
    query: string,
    start: Milliseconds,
    end: Milliseconds,
    step: DurationMs,
    options: QueryOptions = {},
  ): Promise<QueryResult> {
    checkTime(start);
    checkTime(end);
    if (!(Number.isSafeInteger(step) && step > 0)) {
      throw new CanopyError(
        'bad_data',
        'zero or negative query resolution step widths are not accepted',
      );
    }
    if (end < start)
      throw new CanopyError('bad_data', 'end timestamp must not be before start time');
    const count = Math.floor((end - start) / step) + 1;
    if (count > STEPS_MAX) throw new CanopyError('bad_data', 'too many steps');
    return this.#run(query, { start, step, count }, step, options, end);
  }

  async #run(
    text: string,
    grid: Grid,
    step: number,
    options: QueryOptions,
    end: number = grid.start,
  ): Promise<QueryResult> {
    this.totals.queries++;
    try {
      const expr = this.#parse(text, step > 0);
      const frame: QueryFrame = {
        start: grid.start,
        end,
        step,
        lookback: options.lookback ?? this.#options.lookback,
        defaultSubqueryStep: this.#options.defaultSubqueryStep,
      };
      const plan = planQuery(expr, grid, frame);
      if (options.complete === undefined) return await this.#execute(text, plan, grid, options);
      const complete = await options.complete(plan.loads);
      return await this.#upTo(complete, text, plan, grid, options);
    } catch (error) {
      const code = error instanceof CanopyError ? error.code : 'internal';
      this.totals.failed[code] = (this.totals.failed[code] ?? 0) + 1;
      throw error;
    }
  }

  /** As if there were nothing later than `complete.upTo`. */
  async #upTo(
    complete: Completeness,
    text: string,
    plan: Plan,
    asked: Grid,
    options: QueryOptions,
  ): Promise<QueryResult> {
    const { frame, expr } = plan;
    const cut = cutGrid(asked, frame.step, complete.upTo);
    const warnings = [...complete.warnings];
    if (cut.count === 0) {
      const value: QueryValue = { type: 'matrix', series: [] };
      return { value, warnings, infos: [], stats: NO_STATS };
    }
    const isInstant = frame.step === 0;
    const asOf = isInstant ? { ...frame, start: cut.start, end: cut.start } : frame;
    const within = planQuery(expr, cut, asOf);
    for (const load of within.loads) load.maxTime = Math.min(load.maxTime, complete.upTo);
    const result = await this.#execute(text, within, cut, options);
    return { ...result, warnings: [...warnings, ...result.warnings] };
  }

  #parse(text: string, isRange: boolean): Expr {
    if (text.length > QUERY_LENGTH_MAX) {
      throw new CanopyError('bad_data', `query is longer than ${QUERY_LENGTH_MAX} characters`);
    }
    const expr = this.#parsed.parse(text);
    checkFeatures(text, expr, this.#options.features);
    const type = typeOf(expr);
    if (isRange && type !== 'scalar' && type !== 'vector') {
      const name = type === 'matrix' ? 'range vector' : type;
      throw new CanopyError(
        'bad_data',
        `invalid expression type "${name}" for range query, must be Scalar or instant Vector`,
      );
    }
    return expr;
  }

  async #execute(
    text: string,
    plan: Plan,
    grid: Grid,
    options: QueryOptions,
  ): Promise<QueryResult> {
    const { clock, activeQueries } = this.#options;
    await using life = new QueryLife(clock, this.#timeout(options), options.signal);
    const watch = new Stopwatch(clock);
    await this.#queue.enter(life.signal);
    watch.lap('queueTime');
    const entry = activeQueries?.begin(text);
    const byStep = options.perStepStats === true && this.#options.features.perStepStats;
    const budget = new Budget({
      clock,
      signal: life.signal,
      maxSamples: this.#options.maxSamples,
      maxRead: this.#options.maxRead,
      yieldEveryMs: this.#options.yieldEveryMs,
      turns: this.#turns,
      rules: this.#options.features,
      tally: new SampleTally(byStep ? grid.count : null),
    });
    let snapshot: Snapshot | undefined;
    try {
      snapshot = this.#options.queryable.snapshot();
      const loaded = await load(plan, snapshot, budget);
      watch.lap('preparationTime');
      const annotations = new Annotations(text);
      const evaluator = new Evaluator(plan, loaded, budget, annotations);
      const unsorted = await evaluate(evaluator, plan.expr, grid);
      watch.lap('innerEvalTime');
      const value = await sortSeries(unsorted, budget);
      life.signal.throwIfAborted();
      watch.lap('resultSortTime');
      const { warnings, infos } = annotations;
      return { value, warnings, infos, stats: queryStats(watch.times, budget, grid) };
    } finally {
      snapshot?.release();
      if (entry !== undefined) activeQueries?.end(entry);
      this.#queue.leave();
      addTotals(this.totals, watch.times, budget);
    }
  }

  #timeout(options: QueryOptions): DurationMs {
    const { timeout } = this.#options;
    return options.timeout !== undefined && options.timeout < timeout ? options.timeout : timeout;
  }
}

/** An instant query (`step` 0) moves back, a range query loses its last steps. */
function cutGrid(grid: Grid, step: number, upTo: number): Grid {
  if (gridEnd(grid) <= upTo) return grid;
  if (step === 0) return { ...grid, start: upTo };
  return { ...grid, count: Math.max(0, Math.floor((upTo - grid.start) / grid.step) + 1) };
}

async function load(
  plan: Plan,
  snapshot: Snapshot,
  budget: Budget,
): Promise<ReadonlyArray<readonly SelectedSeries[]>> {
  return Promise.all(
    plan.loads.map(({ matchers, minTime, maxTime }) => {
      const range = { minTime: asTime(minTime), maxTime: asTime(maxTime) };
      return snapshot.select(matchers, range, budget.signal, (entries) => budget.read(entries));
    }),
  );
}

async function evaluate(evaluator: Evaluator, expr: Expr, grid: Grid): Promise<QueryValue> {
  const { budget, plan } = evaluator;
  const isInstant = plan.frame.step === 0;
  const time = asTime(grid.start);
  switch (typeOf(expr)) {
    case 'string': {
      const literal = unwrapParens(expr);
      return { type: 'string', time, value: literal.kind === 'string' ? literal.value : '' };
    }
    case 'scalar': {
      const values = await evaluator.scalar(expr, grid);
      return isInstant ? { type: 'scalar', time, value: values[0] } : scalarMatrix(values, grid);
    }
    case 'matrix': {
      const node = unwrapParens(expr);
      if (node.kind !== 'matrix' && node.kind !== 'subquery') throw new Error('BUG: not a range');
      return namelessMatrix(await rangeMatrix(await evaluator.range(node, grid), budget));
    }
    case 'vector': {
      const columns = await removeNames(await evaluator.vector(expr, grid), budget);
      return isInstant ? toVector(columns, time) : toMatrix(columns, grid, budget);
    }
  }
}

/** @throws CanopyError `execution` where series become the same without the names they lose. */
function namelessMatrix(value: QueryValue): QueryValue {
  if (value.type !== 'matrix' || !value.series.some(({ labels }) => losesName(labels))) {
    return value;
  }
  const series = value.series.map((one) =>
    losesName(one.labels) ? { ...one, labels: withoutName(one.labels) } : one,
  );
  if (new Set(series.map(({ labels }) => labelsKey(labels))).size < series.length) {
    throw new CanopyError('execution', SAME_LABELSET);
  }
  return { type: 'matrix', series };
}

function checkTime(time: number): void {
  if (!Number.isSafeInteger(time)) throw new CanopyError('bad_data', 'time stamp out of range');
}

/** Ends a query by its time-out or because the caller has gone, whichever is first. */
class QueryLife implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #timer: { cancel(): void };
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort = (): void => {
    this.#controller.abort(
      new CanopyError('canceled', 'query was canceled in expression evaluation'),
    );
  };

  constructor(clock: Clock, timeout: DurationMs, outer: AbortSignal | undefined) {
    const onTimeout = (): void => {
      this.#controller.abort(
        new CanopyError('timeout', 'query timed out in expression evaluation'),
      );
    };
    this.#timer = clock.after(timeout, onTimeout);
    // Even what is done at once has not been in time then.
    if (timeout <= 0) onTimeout();
    this.#outer = outer;
    if (outer?.aborted) this.#onAbort();
    else outer?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.cancel();
    this.#outer?.removeEventListener('abort', this.#onAbort);
  }
}
