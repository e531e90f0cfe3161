/**
 * The typed syntax tree of a query. Positions are offsets into the query text in UTF-16 units,
 * `end` exclusive. Trees are never changed once made.
 */
import type { Matcher } from '@canopy/model';
import type { FunctionSignature } from '../functions/signatures.js';

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string';

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** `5m`, `step() * 2`: worked out once step and range of the query are known. */
export type DurationExpr =
  | ({ readonly kind: 'literal'; readonly seconds: number; readonly text: string } & Span)
  | ({ readonly kind: 'step' | 'range' } & Span)
  | ({ readonly kind: 'negate'; readonly operand: DurationExpr } & Span)
  | ({ readonly kind: 'paren'; readonly operand: DurationExpr } & Span)
  | ({
      readonly kind: 'binary';
      readonly op: '+' | '-' | '*' | '/' | '%' | '^' | 'min_of' | 'max_of';
      readonly lhs: DurationExpr;
      readonly rhs: DurationExpr;
    } & Span);

/** `@ 1609746000`, `@ start()`. `time` in ms since epoch. */
export type AtModifier =
  | { readonly kind: 'time'; readonly time: number }
  | { readonly kind: 'start' | 'end' };

/** `offset` and `@` of a selector or subquery; null where not given. */
export interface Shift {
  readonly offset: DurationExpr | null;
  readonly at: AtModifier | null;
}

export interface NumberLiteral extends Span {
  readonly kind: 'number';
  readonly value: number;
  /** As it was written, where that says more than the value (`5m`). */
  readonly text: string;
}

export interface StringLiteral extends Span {
  readonly kind: 'string';
  readonly value: string;
}

/** What a selector looks at besides the samples within its range. */
export type RangeExtension = 'anchored' | 'smoothed';

export interface VectorSelector extends Span, Shift {
  readonly kind: 'selector';
  /** The metric name before or within the braces; '' where none was given. */
  readonly name: string;
  /** All matchers; the one on the name, where given, comes last. */
  readonly matchers: readonly Matcher[];
  readonly extension: RangeExtension | null;
}

export interface MatrixSelector extends Span {
  readonly kind: 'matrix';
  readonly selector: VectorSelector;
  readonly range: DurationExpr;
}

export interface Subquery extends Span, Shift {
  readonly kind: 'subquery';
  readonly expr: Expr;
  readonly range: DurationExpr;
  /** Null: the engine's default. */
  readonly step: DurationExpr | null;
}

export interface Call extends Span {
  readonly kind: 'call';
  readonly func: FunctionSignature;
  readonly args: readonly Expr[];
}

export type AggregateOp =
  | 'sum'
  | 'avg'
  | 'count'
  | 'min'
  | 'max'
  | 'group'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'quantile'
  | 'count_values'
  | 'limitk'
  | 'limit_ratio';

export interface Aggregate extends Span {
  readonly kind: 'aggregate';
  readonly op: AggregateOp;
  readonly expr: Expr;
  /** The first argument of topk, quantile and the like. */
  readonly param: Expr | null;
  readonly grouping: readonly string[];
  readonly without: boolean;
}

export type ArithmeticOp = '+' | '-' | '*' | '/' | '%' | '^' | 'atan2';
export type ComparisonOp = '==' | '!=' | '<' | '<=' | '>' | '>=';
export type SetOp = 'and' | 'or' | 'unless';
export type BinaryOp = ArithmeticOp | ComparisonOp | SetOp;

/** How the two sides of a vector operation find each other. */
export interface VectorMatching {
  /** Set operators match many to many, whatever stands here. */
  readonly card: 'one-to-one' | 'many-to-one' | 'one-to-many';
  /** `on` where true, `ignoring` otherwise. */
  readonly on: boolean;
  /** Whether `on` or `ignoring` was written at all. */
  readonly explicit: boolean;
  readonly labels: readonly string[];
  /** Labels of `group_left(…)`, `group_right(…)`. */
  readonly include: readonly string[];
  /** `fill(…)`: the value of a side that is not there; null where not given. */
  readonly fillLeft: number | null;
  readonly fillRight: number | null;
}

export interface Binary extends Span {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly lhs: Expr;
  readonly rhs: Expr;
  readonly returnBool: boolean;
  /** Matters only where both sides are vectors. */
  readonly matching: VectorMatching;
  readonly operatorStart: number;
}

export interface Unary extends Span {
  readonly kind: 'unary';
  readonly op: '+' | '-';
  readonly expr: Expr;
}

export interface Paren extends Span {
  readonly kind: 'paren';
  readonly expr: Expr;
}

export type Expr =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | Subquery
  | Call
  | Aggregate
  | Binary
  | Unary
  | Paren;

/** The type of what an expression gives. */
export function typeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar';
    case 'string':
      return 'string';
    case 'selector':
    case 'aggregate':
      return 'vector';
    case 'matrix':
    case 'subquery':
      return 'matrix';
    case 'call':
      return expr.func.returns;
    case 'unary':
    case 'paren':
      return typeOf(expr.expr);
    case 'binary':
      return typeOf(expr.lhs) === 'scalar' && typeOf(expr.rhs) === 'scalar' ? 'scalar' : 'vector';
  }
}

/** The expression within any parentheses around it. */
export function unwrapParens(expr: Expr): Expr {
  let inner = expr;
  while (inner.kind === 'paren') inner = inner.expr;
  return inner;
}
