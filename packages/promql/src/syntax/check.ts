/** Types and arguments: what the grammar lets through and must not be evaluated. */
import { CanopyError } from '@canopy/model';
import {
  type Aggregate,
  type Binary,
  type Call,
  type DurationExpr,
  type Expr,
  type Subquery,
  type Unary,
  type ValueType,
  type VectorSelector,
  typeOf,
  unwrapParens,
} from './ast.js';
import { durationMilliseconds, isConstantDuration } from './duration-value.js';
import { parseError } from './position.js';
import { quote } from './strings.js';

const TYPE_NAMES: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  vector: 'instant vector',
  matrix: 'range vector',
  string: 'string',
};
const SET_OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'unless']);
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

export const isSetOperator = (op: string): boolean => SET_OPERATORS.has(op);
export const isComparison = (op: string): boolean => COMPARISONS.has(op);

/**
 * Children before parents, as in Prometheus: the first fault is reported.
 * @throws CanopyError `bad_data`
 */
export function checkTypes(text: string, expr: Expr): void {
  new Checker(text).check(expr);
}

class Checker {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  check(node: Expr): void {
    switch (node.kind) {
      case 'number':
      case 'string':
        return;
      case 'selector':
        return this.#selector(node);
      case 'matrix':
        this.check(node.selector);
        return checkDuration(this.#text, node.range, true);
      case 'subquery':
        return this.#subquery(node);
      case 'paren':
        return this.check(node.expr);
      case 'unary':
        return this.#unary(node);
      case 'aggregate':
        return this.#aggregate(node);
      case 'binary':
        this.check(node.lhs);
        this.check(node.rhs);
        return checkBinary(node, (at, message) => this.#fail(at, message));
      case 'call':
        return this.#call(node);
    }
  }

  #fail(at: number, message: string): never {
    parseError(this.#text, at, message);
  }

  #expect(node: Expr, wanted: ValueType, context: string): void {
    const type = typeOf(node);
    if (type === wanted) return;
    const got = TYPE_NAMES[type];
    this.#fail(node.start, `expected type ${TYPE_NAMES[wanted]} in ${context}, got ${got}`);
  }

  #selector(node: VectorSelector): void {
    checkDuration(this.#text, node.offset, false);
    if (node.matchers.some((matcher) => !matcher.matches(''))) return;
    this.#fail(node.start, 'vector selector must contain at least one non-empty matcher');
  }

  #subquery(node: Subquery): void {
    this.check(node.expr);
    checkDuration(this.#text, node.range, true);
    checkDuration(this.#text, node.step, true);
    checkDuration(this.#text, node.offset, false);
    const type = typeOf(node.expr);
    if (type === 'vector') return;
    this.#fail(node.start, `subquery is only allowed on instant vector, got ${type} instead`);
  }

  #unary(node: Unary): void {
    this.check(node.expr);
    const type = typeOf(node.expr);
    if (type === 'scalar' || type === 'vector') return;
    this.#fail(
      node.start,
      `unary expression only allowed on expressions of type scalar or instant vector, got "${TYPE_NAMES[type]}"`,
    );
  }

  #aggregate(node: Aggregate): void {
    this.check(node.expr);
    this.#expect(node.expr, 'vector', 'aggregation expression');
    if (node.param === null) return;
    this.check(node.param);
    const wanted = node.op === 'count_values' ? 'string' : 'scalar';
    this.#expect(node.param, wanted, 'aggregation parameter');
  }

  #call(node: Call): void {
    const { func, args } = node;
    const call = `argument(s) in call to "${func.name}", got ${args.length}`;
    if (func.minArgs === func.maxArgs && args.length !== func.minArgs) {
      this.#fail(node.start, `expected ${func.minArgs} ${call}`);
    }
    if (args.length < func.minArgs) {
      this.#fail(node.start, `expected at least ${func.minArgs} ${call}`);
    }
    if (func.maxArgs >= 0 && args.length > func.maxArgs) {
      this.#fail(node.start, `expected at most ${func.maxArgs} ${call}`);
    }
    for (let i = 0; i < args.length; i++) {
      if (func.name === 'info' && i === 1) this.#infoSelector(node, args[i]);
      else this.check(args[i]);
      const wanted = func.args[Math.min(i, func.args.length - 1)];
      this.#expect(args[i], wanted, `call to function "${func.name}"`);
      // A parameter that is a text must be one now, not after evaluation.
      if (wanted === 'string' && unwrapParens(args[i]).kind !== 'string') {
        this.#fail(args[i].start, `expected type string in call to function "${func.name}"`);
      }
    }
  }

  /** Matchers alone, which may let anything through. */
  #infoSelector(node: Call, arg: Expr): void {
    if (typeOf(arg) !== 'vector') {
      this.check(arg);
      this.#expect(arg, 'vector', `call to function "${node.func.name}"`);
    }
    if (arg.kind !== 'selector') this.#fail(arg.start, 'expected label selectors only');
    if (this.#text[arg.start] !== '{') {
      this.#fail(arg.start, 'expected label selectors only, got vector selector instead');
    }
    checkDuration(this.#text, arg.offset, false);
  }
}

/** What depends on step and range of the query is checked once those are known. */
function checkDuration(text: string, expr: DurationExpr | null, positive: boolean): void {
  if (expr === null || !isConstantDuration(expr)) return;
  try {
    const ms = durationMilliseconds(expr, { stepSeconds: 0, rangeSeconds: 0 });
    if (positive && ms <= 0) {
      throw new CanopyError('bad_data', 'duration must be greater than 0');
    }
  } catch (error) {
    if (error instanceof CanopyError) parseError(text, expr.start, error.message);
    throw error;
  }
}

function checkBinary(node: Binary, fail: (at: number, message: string) => never): void {
  const { op, matching } = node;
  const left = typeOf(node.lhs);
  const right = typeOf(node.rhs);
  if (node.returnBool && !isComparison(op)) {
    fail(node.operatorStart, 'bool modifier can only be used on comparison operators');
  }
  if (isComparison(op) && !node.returnBool && left === 'scalar' && right === 'scalar') {
    fail(node.operatorStart, 'comparisons between scalars must use BOOL modifier');
  }
  if (matching.on) {
    const both = matching.labels.find((label) => matching.include.includes(label));
    if (both !== undefined) {
      fail(
        node.operatorStart,
        `label ${quote(both)} must not occur in ON and GROUP clause at once`,
      );
    }
  }
  const operandTypes = 'binary expression must contain only scalar and instant vector types';
  if (left !== 'scalar' && left !== 'vector') fail(node.lhs.start, operandTypes);
  if (right !== 'scalar' && right !== 'vector') fail(node.rhs.start, operandTypes);
  const filled = hasFill(node);
  if (left !== 'vector' || right !== 'vector') {
    if (matching.labels.length > 0) {
      fail(node.start, 'vector matching only allowed between instant vectors');
    }
    if (filled) {
      fail(node.start, 'filling in missing series only allowed between instant vectors');
    }
    if (isSetOperator(op)) {
      fail(node.start, `set operator "${op}" not allowed in binary scalar expression`);
    }
  } else if (isSetOperator(op)) {
    if (matching.card !== 'one-to-one') {
      fail(node.start, `no grouping allowed for "${op}" operation`);
    }
    if (filled) fail(node.start, 'filling in missing series not allowed for set operators');
  }
}

/** What of the language may still change and is there only where it is switched on. */
export interface SyntaxFeatures {
  /** Functions and aggregations marked experimental. */
  readonly experimentalFunctions: boolean;
  /** `fill(…)`, `fill_left(…)`, `fill_right(…)`. */
  readonly fillModifiers: boolean;
  /** `anchored`, `smoothed`. */
  readonly extendedRangeSelectors: boolean;
}

/** The first use of something that is not switched on, as an error. */
export function checkFeatures(text: string, expr: Expr, features: SyntaxFeatures): void {
  const selector = ({ extension, start }: VectorSelector): void => {
    if (extension === null || features.extendedRangeSelectors) return;
    parseError(text, start, `${extension} modifier is experimental and not enabled`);
  };
  const visit = (node: Expr): void => {
    switch (node.kind) {
      case 'call':
        if (node.func.experimental && !features.experimentalFunctions) {
          parseError(text, node.start, `function "${node.func.name}" is not enabled`);
        }
        for (const arg of node.args) visit(arg);
        return;
      case 'aggregate':
        if (isExperimental(node.op) && !features.experimentalFunctions) {
          parseError(
            text,
            node.start,
            `${node.op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`,
          );
        }
        if (node.param !== null) visit(node.param);
        return visit(node.expr);
      case 'binary':
        if (hasFill(node) && !features.fillModifiers) {
          parseError(text, node.start, 'binop fill modifiers are experimental and not enabled');
        }
        visit(node.lhs);
        return visit(node.rhs);
      case 'unary':
      case 'paren':
      case 'subquery':
        return visit(node.expr);
      case 'selector':
        return selector(node);
      case 'matrix':
        return selector(node.selector);
      default:
    }
  };
  visit(expr);
}

const isExperimental = (op: string): boolean => op === 'limitk' || op === 'limit_ratio';

const hasFill = ({ matching }: Binary): boolean =>
  matching.fillLeft !== null || matching.fillRight !== null;
