/**
 * Walks the tree and works out each expression for all steps of a grid. Columns belong to whoever
 * asked for them, so operators work in place.
 */
import type { SelectedSeries } from '@canopy/model';
import { aggregate } from '../aggregate/aggregate.js';
import { scalarScalar, vectorScalar } from '../binary/scalars.js';
import { setOperation } from '../binary/sets.js';
import { vectorVector } from '../binary/vectors.js';
import type { Plan } from '../plan/plan.js';
import {
  type Aggregate,
  type Binary,
  type Call,
  type Expr,
  type MatrixSelector,
  type Subquery,
  type VectorSelector,
  typeOf,
} from '../syntax/ast.js';
import { isSetOperator } from '../syntax/check.js';
import type { Annotations } from './annotations.js';
import type { Budget } from './budget.js';
import { callScalarFunction, callVectorFunction } from './calls.js';
import { type Columns, emptyColumns } from './columns.js';
import { type Grid, positiveDurationMs, shiftGrid, subqueryGrid } from './grid.js';
import { dropNames } from './labels.js';
import { type RangeVector, seriesOfColumns } from './ranges.js';
import { type SampleFact, selectLatest, selectSmoothed } from './select.js';

/** Work units of a row at one step in one operator. */
const STEP_WORK = 2;

export class Evaluator {
  readonly plan: Plan;
  readonly budget: Budget;
  readonly annotations: Annotations;
  readonly #loaded: ReadonlyArray<readonly SelectedSeries[]>;

  /** `loaded`: the series of each of the plan's loads. */
  constructor(
    plan: Plan,
    loaded: ReadonlyArray<readonly SelectedSeries[]>,
    budget: Budget,
    annotations: Annotations,
  ) {
    this.plan = plan;
    this.#loaded = loaded;
    this.budget = budget;
    this.annotations = annotations;
  }

  seriesOf(node: VectorSelector | Call): readonly SelectedSeries[] {
    return this.#loaded[this.plan.loadOf.get(node)!];
  }

  /** An expression of type vector. The result is the caller's. */
  async vector(node: Expr, grid: Grid): Promise<Columns> {
    if (grid.count === 0) return emptyColumns(0);
    if (this.budget.due(1000 + grid.count * STEP_WORK)) await this.budget.pause();
    if (grid.count > 1 && this.plan.invariant.has(node)) {
      const { result, tally } = await this.budget.apart(() =>
        this.#vectorAt(node, { ...grid, count: 1 }),
      );
      // Looked at in each step, read in the first.
      for (let k = 0; k < grid.count; k++) {
        this.budget.tally.add(k, tally.queryable, k === 0 ? tally.read : 0);
      }
      return this.#repeat(result, grid.count);
    }
    return this.#vectorAt(node, grid);
  }

  async #vectorAt(node: Expr, grid: Grid): Promise<Columns> {
    switch (node.kind) {
      case 'paren':
        return this.vector(node.expr, grid);
      case 'selector':
        return this.selector(node, grid, 'value');
      case 'unary':
        return this.#negate(node.op, await this.vector(node.expr, grid));
      case 'binary':
        return this.#binary(node, grid);
      case 'aggregate':
        return this.#aggregate(node, grid);
      case 'call':
        return callVectorFunction(this, node, grid);
      default:
        throw new Error('BUG: not a vector');
    }
  }

  /** An expression of type scalar, by step. The result is the caller's. */
  async scalar(node: Expr, grid: Grid): Promise<Float64Array> {
    if (this.budget.due(grid.count * STEP_WORK)) await this.budget.pause();
    switch (node.kind) {
      case 'number':
        return new Float64Array(grid.count).fill(node.value);
      case 'paren':
        return this.scalar(node.expr, grid);
      case 'unary': {
        const values = await this.scalar(node.expr, grid);
        if (node.op === '-') for (let k = 0; k < values.length; k++) values[k] = -values[k];
        return values;
      }
      case 'binary': {
        const left = await this.scalar(node.lhs, grid);
        return scalarScalar(node, left, await this.scalar(node.rhs, grid));
      }
      case 'call':
        return callScalarFunction(this, node, grid);
      default:
        throw new Error('BUG: not a scalar');
    }
  }

  /** A selector's newest samples, or a time of those in seconds. */
  async selector(node: VectorSelector, grid: Grid, what: SampleFact): Promise<Columns> {
    const { frame } = this.plan;
    const refs = shiftGrid(node, grid, frame);
    const series = this.seriesOf(node);
    return node.extension === 'smoothed' && what === 'value'
      ? selectSmoothed(series, refs, frame.lookback, this.budget)
      : selectLatest(series, refs, frame.lookback, what, this.budget);
  }

  /** A range vector: the series, and the windows in them. */
  async range(node: MatrixSelector | Subquery, grid: Grid): Promise<RangeVector> {
    const { frame } = this.plan;
    if (node.kind === 'matrix') {
      const refs = shiftGrid(node.selector, grid, frame);
      const rangeMs = positiveDurationMs(node.range, frame);
      const series = this.seriesOf(node.selector);
      const { extension } = node.selector;
      return {
        series,
        refs,
        rangeMs,
        extension,
        lookbackMs: frame.lookback,
        columns: null,
        inner: null,
      };
    }
    const { inner, refs, rangeMs } = subqueryGrid(node, grid, frame);
    const { result: columns, tally } = await this.budget.apart(() => this.vector(node.expr, inner));
    // What is looked at is what came out; of what that took only the reading counts.
    this.budget.tally.add(0, 0, tally.read);
    // A subquery may have millions of steps; each operator over them is a turn of its own.
    if (this.budget.due(columns.present.length * STEP_WORK)) await this.budget.pause();
    const series = seriesOfColumns(columns, inner);
    const lookbackMs = frame.lookback;
    return { series, refs, rangeMs, extension: null, lookbackMs, columns, inner: tally };
  }

  #repeat(once: Columns, count: number): Columns {
    const out = this.budget.allocate(once.labels.length, count);
    out.labels = once.labels;
    for (let row = 0; row < once.labels.length; row++) {
      out.values.fill(once.values[row], row * count, (row + 1) * count);
      out.present.fill(once.present[row], row * count, (row + 1) * count);
    }
    this.budget.release(once);
    return this.budget.settle(out);
  }

  async #negate(op: '+' | '-', columns: Columns): Promise<Columns> {
    if (op === '+') return columns;
    const { values } = columns;
    for (let i = 0; i < values.length; i++) values[i] = -values[i];
    return dropNames(columns, this.budget);
  }

  async #binary(node: Binary, grid: Grid): Promise<Columns> {
    const leftIsScalar = typeOf(node.lhs) === 'scalar';
    if (leftIsScalar || typeOf(node.rhs) === 'scalar') {
      const scalar = await this.scalar(leftIsScalar ? node.lhs : node.rhs, grid);
      const vector = await this.vector(leftIsScalar ? node.rhs : node.lhs, grid);
      const out = await vectorScalar(node, vector, scalar, leftIsScalar, this.budget);
      return this.budget.settle(out);
    }
    const left = await this.vector(node.lhs, grid);
    const right = await this.vector(node.rhs, grid);
    const combine = isSetOperator(node.op) ? setOperation : vectorVector;
    const out = await combine(node, left, right, this.budget);
    return this.#replace(out, left, right);
  }

  async #aggregate(node: Aggregate, grid: Grid): Promise<Columns> {
    const hasScalar = node.param !== null && node.op !== 'count_values';
    const params = hasScalar ? await this.scalar(node.param!, grid) : null;
    const input = await this.vector(node.expr, grid);
    if (this.budget.due(input.present.length * 2)) await this.budget.pause();
    const out = await aggregate(node, input, params, this.budget, this.annotations);
    return this.#replace(out, input);
  }

  /** Counts the new columns in place of the old. */
  #replace(out: Columns, ...old: Columns[]): Columns {
    for (const columns of old) if (columns !== out) this.budget.release(columns);
    return this.budget.settle(out);
  }
}
