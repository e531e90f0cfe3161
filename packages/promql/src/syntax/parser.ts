/**
 * lezer's tree to the typed one. Its nodes are taken in the order of the text; what an operator or
 * a modifier binds is decided here, by the precedence of Prometheus's grammar
 * (generated_parser.y): lezer takes `a + b offset 5m` for `(a + b) offset 5m` and `-1 ^ 2` for
 * `(-1) ^ 2`.
 */
import { type Matcher, invariant } from '@canopy/model';
import { FUNCTIONS } from '../functions/signatures.js';
import type { AggregateOp, AtModifier, Expr, Shift } from './ast.js';
import { withoutDoubled } from './doubled.js';
import { readDuration } from './durations.js';
import { isMetricWord, unexpectedPlainly } from './explain.js';
import { readGroupingLabels, readVectorSelector } from './matchers.js';
import { type Operator, combine, readOperator, signOperator } from './operators.js';
import { Precedence } from './precedence.js';
import { Reading } from './reading.js';
import { quote } from './strings.js';
import { Walk } from './walk.js';

const PARAMETERISED = new Set([
  'topk',
  'bottomk',
  'quantile',
  'count_values',
  'limitk',
  'limit_ratio',
]);

/** A tree and its height; one without operands has none. */
interface Tall {
  readonly value: Expr;
  readonly height: number;
}

/**
 * Parses a whole query; types are not checked yet.
 * @throws CanopyError `bad_data`
 */
export function parseExpression(text: string): Expr {
  return readExpr(new Reading(withoutDoubled(text))).value;
}

/**
 * Parses a query that is one instant vector selector without modifiers.
 * @throws CanopyError `bad_data`
 */
export function parseSelectorMatchers(text: string): readonly Matcher[] {
  const walk = new Walk(text);
  const { tokens } = walk;
  walk.read();
  const isName = tokens.kind === 'word' && isMetricWord(tokens.word.toLowerCase());
  if (!isName && !tokens.is('{')) unexpectedPlainly(text, tokens.start);
  if (isName) walk.read();
  if (tokens.is('{')) {
    while (!tokens.is('}')) walk.read();
    walk.read();
  }
  if (tokens.kind !== 'end') unexpectedPlainly(text, tokens.start);
  const expr = parseExpression(text);
  invariant(expr.kind === 'selector', 'BUG: a name and matchers are no selector');
  return expr.matchers;
}

type Operands = Precedence<Expr, Operator>;

/** The expression whose node this is; leaves all of it. */
function readExpr(reading: Reading): Tall {
  const { to } = reading;
  const operands: Operands = new Precedence(combine, () => reading.tooDeep(reading.from));
  while (reading.from < to) readPiece(reading, operands);
  return operands.finish();
}

/** An operand, an operator or a modifier; nodes around several of them are only entered. */
function readPiece(reading: Reading, operands: Operands): void {
  const { name, from: start, to: end } = reading;
  switch (name) {
    case 'BinaryExpr':
    case 'UnaryExpr':
    case 'OffsetExpr':
    case 'StepInvariantExpr':
    case 'MatrixSelector':
    case 'SubqueryExpr':
    case 'AnchoredExpr':
    case 'SmoothedExpr':
      return reading.next();
    case 'NumberDurationLiteral':
      return readNumber(reading, operands);
    case 'StringLiteral':
      return operands.operand({ kind: 'string', value: reading.string(), start, end }, 0);
    case 'VectorSelector':
      return operands.operand(readVectorSelector(reading), 0);
    case 'ParenExpr': {
      reading.next();
      const { value, height } = readExpr(reading);
      return operands.operand({ kind: 'paren', expr: value, start, end }, height + 1);
    }
    case 'FunctionCall':
      return readCall(reading, operands);
    case 'AggregateExpr':
      return readAggregate(reading, operands);
    case 'DurationExpr':
      return readBrackets(reading, operands);
    case 'Offset':
      return readOffset(reading, operands);
    case 'At':
      return readAt(reading, operands);
    case 'Anchored':
    case 'Smoothed':
      return readExtension(reading, operands);
    default:
      operands.operator(readOperator(reading));
  }
}

/** lezer takes a sign before a number for a part of it, where an operator may bind tighter. */
function readNumber(reading: Reading, operands: Operands): void {
  const { from } = reading;
  const sign = reading.charAt(from);
  const isSigned = sign === '-' || sign === '+';
  if (isSigned) operands.operator(signOperator(sign, from));
  const literal = reading.literalAt(isSigned ? reading.pastBlanks(from + 1) : from);
  reading.skip();
  operands.operand({ kind: 'number', ...literal }, 0);
}

/** Arguments of a call or an aggregation; the height is that of the tallest. */
function readArguments(reading: Reading): { args: Expr[]; height: number } {
  const { to } = reading;
  const args: Expr[] = [];
  let tallest = 0;
  reading.next();
  while (reading.from < to) {
    const { value, height } = readExpr(reading);
    args.push(value);
    tallest = Math.max(tallest, height);
  }
  return { args, height: tallest };
}

function readCall(reading: Reading, operands: Operands): void {
  const { from: start, to: end } = reading;
  reading.next();
  const name = reading.written;
  // Keywords that are functions too are read in any case, other functions are not.
  const func = FUNCTIONS.get(name) ?? FUNCTIONS.get(name.toLowerCase());
  if (func === undefined) reading.fail(start, `unknown function with name ${quote(name)}`);
  reading.skip();
  const { args, height } = readArguments(reading);
  operands.operand({ kind: 'call', func, args, start, end }, height + 1);
}

function readAggregate(reading: Reading, operands: Operands): void {
  const { from: start, to: end } = reading;
  reading.next();
  const op = reading.operator as AggregateOp;
  reading.skip();
  let grouping: string[] = [];
  let without = false;
  let args: Expr[] = [];
  let height = 0;
  while (reading.from < end) {
    if (reading.is('AggregateModifier')) {
      reading.next();
      without = reading.is('Without');
      reading.skip();
      grouping = readGroupingLabels(reading);
    } else ({ args, height } = readArguments(reading));
  }
  const wanted = PARAMETERISED.has(op) ? 2 : 1;
  if (args.length === 0) reading.fail(start, 'no arguments for aggregate expression provided');
  if (args.length !== wanted) {
    reading.fail(
      start,
      `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
    );
  }
  const param = wanted === 2 ? args[0] : null;
  operands.operand(
    { kind: 'aggregate', op, expr: args[wanted - 1], param, grouping, without, start, end },
    height + 1,
  );
}

/** `[5m]`, `[5m:]`, `[5m:1m]`. */
function readBrackets(reading: Reading, operands: Operands): void {
  const open = reading.bracketBefore(reading.from);
  let { to } = reading;
  const range = readDuration(reading);
  to = reading.pastBlanks(Math.max(to, range.end));
  if (reading.charAt(to) === ':') {
    const stepStart = reading.pastBlanks(to + 1);
    const step = reading.charAt(stepStart) === ']' ? null : readDuration(reading);
    const end = reading.closingEnd(step?.end ?? stepStart, ']');
    return operands.postfix(
      (expr) => ({
        kind: 'subquery',
        expr,
        range,
        step,
        offset: null,
        at: null,
        start: expr.start,
        end,
      }),
      1,
    );
  }
  operands.postfix((expr) => {
    if (expr.kind !== 'selector') {
      reading.fail(open, 'ranges only allowed for vector selectors');
    }
    if (expr.offset !== null) reading.fail(open, 'no offset modifiers allowed before range');
    if (expr.at !== null) reading.fail(open, 'no @ modifiers allowed before range');
    return { kind: 'matrix', selector: expr, range, start: expr.start, end: to + 1 };
  }, 1);
}

function readOffset(reading: Reading, operands: Operands): void {
  reading.skip();
  const offset = readDuration(reading);
  operands.postfix((expr) => {
    const target = modifierTarget(expr);
    if (target === null) {
      reading.fail(
        expr.start,
        'offset modifier must be preceded by an instant vector selector or range vector selector or a subquery',
      );
    }
    if (target.offset !== null) reading.fail(expr.start, 'offset may not be set multiple times');
    return modified(expr, { offset }, offset.end);
  }, 0);
}

function readAt(reading: Reading, operands: Operands): void {
  reading.skip();
  const { to } = reading;
  let at: AtModifier | null = null;
  let seconds = 0;
  let end = 0;
  if (reading.name === 'AtModifierPreprocessors') {
    at = { kind: reading.operator as 'start' | 'end' };
    reading.skip();
    end = reading.closingEnd(to, ')');
  } else {
    ({ value: seconds, end } = reading.signedNumber());
  }
  operands.postfix((expr) => {
    if (at === null) {
      const time = Math.round(seconds * 1000);
      if (!Number.isSafeInteger(time)) {
        reading.fail(expr.start, `timestamp out of bounds for @ modifier: ${seconds}`);
      }
      at = { kind: 'time', time };
    }
    const target = modifierTarget(expr);
    if (target === null) {
      reading.fail(
        expr.start,
        '@ modifier must be preceded by an instant vector selector or range vector selector or a subquery',
      );
    }
    if (target.at !== null) reading.fail(expr.start, '@ <timestamp> may not be set multiple times');
    return modified(expr, { at }, end);
  }, 0);
}

function readExtension(reading: Reading, operands: Operands): void {
  const { to } = reading;
  const extension = reading.name === 'Anchored' ? 'anchored' : 'smoothed';
  reading.skip();
  operands.postfix((expr) => {
    if (expr.kind === 'subquery') {
      reading.fail(expr.start, `${extension} modifier is not supported for subqueries`);
    }
    const selector = expr.kind === 'matrix' ? expr.selector : expr;
    if (selector.kind !== 'selector') {
      reading.fail(expr.start, `${extension} modifier not implemented`);
    }
    if (selector.extension !== null && selector.extension !== extension) {
      reading.fail(expr.start, 'anchored and smoothed modifiers cannot be used together');
    }
    const extended = { ...selector, extension } as const;
    return expr.kind === 'matrix'
      ? { ...expr, selector: extended, end: to }
      : { ...extended, end: to };
  }, 0);
}

function modifierTarget(expr: Expr): Shift | null {
  if (expr.kind === 'selector' || expr.kind === 'subquery') return expr;
  return expr.kind === 'matrix' ? expr.selector : null;
}

function modified(expr: Expr, change: Partial<Shift>, end: number): Expr {
  if (expr.kind === 'matrix') return { ...expr, selector: { ...expr.selector, ...change }, end };
  return { ...expr, ...change, end } as Expr;
}
