/**
 * Tokens to tree, by precedence climbing. The grammar is Prometheus's (generated_parser.y); the
 * published lezer grammar is its approximation for editors (it takes `a + b offset 5m` for
 * `(a + b) offset 5m`), so it serves as the fuzz test's oracle for what is accepted.
 */
import { CanopyError, METRIC_NAME, type MatchOp, type Matcher, makeMatcher } from '@canopy/model';
import { FUNCTIONS } from '../functions/signatures.js';
import type { AggregateOp, AtModifier, BinaryOp, Expr, Subquery, VectorMatching } from './ast.js';
import { Cursor } from './cursor.js';
import { literalSeconds, parseDurationExpr, parseOffset } from './durations.js';
import type { Token } from './lexer.js';
import { quote, unquote } from './strings.js';

/** Binding powers; the higher binds tighter. */
const POWERS: Readonly<Record<string, number>> = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '<=': 3,
  '>': 3,
  '>=': 3,
  '</': 3,
  '>/': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  atan2: 5,
  '^': 7,
};
const UNARY_POWER = 5;
const PARAMETERISED = new Set([
  'topk',
  'bottomk',
  'quantile',
  'count_values',
  'limitk',
  'limit_ratio',
]);
/** Keywords that may be metric names where an operand is expected. */
const NAME_KEYWORDS = new Set(
  'by without offset start end step range anchored smoothed fill fill_left fill_right min_of max_of'.split(
    ' ',
  ),
);
const NAME_OPERATORS = new Set(['and', 'or', 'unless']);

/** A selector while modifiers may still be added. */
type Open<T> = { -readonly [K in keyof T]: T[K] };

/** Parses a whole query; types are not checked yet. */
export function parseExpression(text: string): Expr {
  const cursor = new Cursor(text);
  if (cursor.current.kind === 'end') cursor.fail(0, 'no expression found in input');
  const expr = parseBinary(cursor, 0);
  if (cursor.current.kind !== 'end') cursor.unexpected();
  return expr;
}

/** Parses a query that is one instant vector selector without modifiers. */
export function parseSelectorMatchers(text: string): readonly Matcher[] {
  const cursor = new Cursor(text);
  const token = cursor.current;
  if (token.kind === 'end') cursor.unexpected();
  if (!cursor.isMark('{') && !isNameToken(token)) cursor.unexpected();
  const expr = parseVectorSelector(cursor);
  if (cursor.current.kind !== 'end') cursor.unexpected();
  return expr.kind === 'selector' ? expr.matchers : [];
}

function parseBinary(cursor: Cursor, power: number): Expr {
  const depth = cursor.depth;
  let left = cursor.nested(() => parsePrefix(cursor));
  while (cursor.current.kind === 'operator') {
    const op = cursor.current.word;
    const own = POWERS[op];
    if (own <= power) break;
    if (op === '</' || op === '>/') {
      cursor.fail(
        cursor.current.start,
        `operator ${op} needs native histograms, which are not supported yet`,
      );
    }
    cursor.deeper();
    const operator = cursor.advance();
    const modifiers = parseBinaryModifiers(cursor);
    const right = parseBinary(cursor, op === '^' ? own - 1 : own);
    left = {
      kind: 'binary',
      op: op as BinaryOp,
      lhs: left,
      rhs: right,
      returnBool: modifiers.returnBool,
      matching: modifiers.matching,
      operatorStart: operator.start,
      start: left.start,
      end: right.end,
    };
  }
  cursor.depth = depth;
  return left;
}

function parseBinaryModifiers(cursor: Cursor): { returnBool: boolean; matching: VectorMatching } {
  const returnBool = cursor.skipKeyword('bool');
  const matching: Open<VectorMatching> = {
    card: 'one-to-one',
    on: false,
    labels: [],
    include: [],
    explicit: false,
    fillLeft: null,
    fillRight: null,
  };
  if (cursor.isKeyword('on') || cursor.isKeyword('ignoring')) {
    matching.on = cursor.advance().word === 'on';
    matching.explicit = true;
    matching.labels = parseGroupingLabels(cursor);
    if (cursor.isKeyword('group_left') || cursor.isKeyword('group_right')) {
      matching.card = cursor.advance().word === 'group_left' ? 'many-to-one' : 'one-to-many';
      if (cursor.isMark('(')) matching.include = parseGroupingLabels(cursor);
    }
  }
  while (cursor.current.kind === 'keyword' && cursor.current.word.startsWith('fill')) {
    if (cursor.next.word !== '(' || cursor.next.kind !== 'punctuation') break;
    const { word } = cursor.advance();
    cursor.expectMark('(', 'fill modifier');
    const value = parseSignedNumber(cursor, 'fill modifier');
    cursor.expectMark(')', 'fill modifier');
    if (word !== 'fill_right') matching.fillLeft = value;
    if (word !== 'fill_left') matching.fillRight = value;
  }
  return { returnBool, matching };
}

function parseGroupingLabels(cursor: Cursor): string[] {
  const labels: string[] = [];
  cursor.expectMark('(', 'grouping opts');
  while (!cursor.isMark(')')) {
    labels.push(parseGroupingLabel(cursor));
    if (!cursor.skipMark(',') && !cursor.isMark(')')) {
      cursor.unexpected('grouping opts', '"," or ")"');
    }
  }
  cursor.advance();
  return labels;
}

function parseGroupingLabel(cursor: Cursor): string {
  const token = cursor.current;
  if (token.kind === 'string') return parseString(cursor);
  const isWord =
    token.kind === 'identifier' ||
    token.kind === 'aggregator' ||
    token.kind === 'keyword' ||
    (token.kind === 'operator' && /^[a-z]/.test(token.word));
  if (!isWord) cursor.unexpected('grouping opts', 'label');
  cursor.advance();
  // Words of the language are taken as they were written, not in lower case.
  return cursor.text.slice(token.start, token.end);
}

function parsePrefix(cursor: Cursor): Expr {
  const token = cursor.current;
  if (token.kind === 'operator' && (token.word === '-' || token.word === '+')) {
    cursor.advance();
    const expr = parseBinary(cursor, UNARY_POWER);
    const span = { start: token.start, end: expr.end };
    if (expr.kind === 'number') {
      const value = token.word === '-' ? -expr.value : expr.value;
      return { ...expr, ...span, value, text: token.word === '-' ? `-${expr.text}` : expr.text };
    }
    return { kind: 'unary', op: token.word, expr, ...span };
  }
  return parsePostfix(cursor, parsePrimary(cursor));
}

function isNameToken(token: Token): boolean {
  switch (token.kind) {
    case 'identifier':
    case 'metric':
    case 'aggregator':
      return true;
    case 'keyword':
      return NAME_KEYWORDS.has(token.word);
    default:
      return token.kind === 'operator' && NAME_OPERATORS.has(token.word);
  }
}

function parsePrimary(cursor: Cursor): Expr {
  const token = cursor.current;
  const callFollows = cursor.next.kind === 'punctuation' && cursor.next.word === '(';
  switch (token.kind) {
    case 'number':
    case 'duration': {
      cursor.advance();
      const value = literalSeconds(cursor, token.word, token.kind, token.start);
      return { kind: 'number', value, text: token.word, start: token.start, end: token.end };
    }
    case 'string':
      return { kind: 'string', value: parseString(cursor), start: token.start, end: token.end };
    case 'aggregator': {
      const follows = cursor.next.kind === 'keyword' ? cursor.next.word : '';
      if (callFollows || follows === 'by' || follows === 'without') return parseAggregate(cursor);
      return parseVectorSelector(cursor);
    }
    case 'punctuation':
      if (token.word === '(') return parseParen(cursor);
      if (token.word === '{') return parseVectorSelector(cursor);
      return cursor.unexpected();
    case 'identifier':
      return callFollows ? parseCall(cursor) : parseVectorSelector(cursor);
    case 'keyword':
      if (callFollows && FUNCTIONS.has(token.word)) return parseCall(cursor);
      return isNameToken(token) ? parseVectorSelector(cursor) : cursor.unexpected();
    default:
      return isNameToken(token) ? parseVectorSelector(cursor) : cursor.unexpected();
  }
}

function parseParen(cursor: Cursor): Expr {
  const { start } = cursor.advance();
  const expr = parseBinary(cursor, 0);
  const { end } = cursor.expectMark(')', '', '');
  return { kind: 'paren', expr, start, end };
}

function parseArguments(cursor: Cursor, context: string): Expr[] {
  cursor.expectMark('(', context);
  const args: Expr[] = [];
  if (cursor.skipMark(')')) return args;
  while (true) {
    args.push(parseBinary(cursor, 0));
    if (cursor.skipMark(')')) return args;
    if (!cursor.isMark(',')) cursor.unexpected(context, '"," or ")"');
    const comma = cursor.advance();
    if (cursor.isMark(')')) {
      cursor.fail(comma.start, 'trailing commas not allowed in function call args');
    }
  }
}

function parseCall(cursor: Cursor): Expr {
  const name = cursor.advance();
  const func = FUNCTIONS.get(name.word);
  if (func === undefined) {
    cursor.fail(name.start, `unknown function with name ${quote(name.word)}`);
  }
  const args = parseArguments(cursor, 'function call');
  return { kind: 'call', func, args, start: name.start, end: cursor.lastEnd };
}

function parseAggregate(cursor: Cursor): Expr {
  const op = cursor.advance();
  let modifier = parseAggregateModifier(cursor);
  const args = parseArguments(cursor, 'aggregation');
  modifier ??= parseAggregateModifier(cursor);
  const name = op.word as AggregateOp;
  const wanted = PARAMETERISED.has(name) ? 2 : 1;
  if (args.length === 0) {
    cursor.fail(op.start, 'no arguments for aggregate expression provided');
  }
  if (args.length !== wanted) {
    cursor.fail(
      op.start,
      `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
    );
  }
  return {
    kind: 'aggregate',
    op: name,
    expr: args[wanted - 1],
    param: wanted === 2 ? args[0] : null,
    grouping: modifier?.labels ?? [],
    without: modifier?.without ?? false,
    start: op.start,
    end: cursor.lastEnd,
  };
}

function parseAggregateModifier(cursor: Cursor): { labels: string[]; without: boolean } | null {
  if (!cursor.isKeyword('by') && !cursor.isKeyword('without')) return null;
  const without = cursor.advance().word === 'without';
  return { labels: parseGroupingLabels(cursor), without };
}

function parseVectorSelector(cursor: Cursor): Expr {
  const { start } = cursor.current;
  let name = '';
  if (!cursor.isMark('{')) {
    const token = cursor.advance();
    name = cursor.text.slice(token.start, token.end);
  }
  const matchers: Matcher[] = cursor.isMark('{') ? parseMatchers(cursor) : [];
  const nameOutside = name !== '';
  if (nameOutside) {
    const twice = matchers.find((matcher) => matcher.name === METRIC_NAME);
    if (twice !== undefined) {
      cursor.fail(
        start,
        `metric name must not be set twice: ${quote(name)} or ${quote(twice.value)}`,
      );
    }
    matchers.push(makeMatcher(METRIC_NAME, '=', name));
  } else {
    const own = matchers.find((matcher) => matcher.name === METRIC_NAME && matcher.op === '=');
    name = own?.value ?? '';
  }
  return {
    kind: 'selector',
    name,
    matchers,
    offset: null,
    at: null,
    start,
    end: cursor.lastEnd,
  };
}

function parseMatchers(cursor: Cursor): Matcher[] {
  const matchers: Matcher[] = [];
  cursor.advance();
  while (!cursor.isMark('}')) {
    matchers.push(parseMatcher(cursor, matchers));
    if (!cursor.skipMark(',') && !cursor.isMark('}')) {
      cursor.unexpected('label matching', '"," or "}"');
    }
  }
  cursor.advance();
  return matchers;
}

function parseMatcher(cursor: Cursor, before: readonly Matcher[]): Matcher {
  const token = cursor.current;
  let name: string;
  if (token.kind === 'string') {
    name = parseString(cursor);
    if (cursor.isMark(',') || cursor.isMark('}')) {
      const twice = before.find((matcher) => matcher.name === METRIC_NAME);
      if (twice !== undefined) {
        cursor.fail(
          token.start,
          `metric name must not be set twice: ${quote(twice.value)} or ${quote(name)}`,
        );
      }
      return makeMatcher(METRIC_NAME, '=', name);
    }
  } else if (token.kind === 'identifier') {
    name = cursor.advance().word;
  } else {
    return cursor.unexpected('label matching', 'identifier or "}"');
  }
  const op = cursor.current;
  if (op.kind !== 'punctuation' || !/^(?:=|!=|=~|!~)$/.test(op.word)) {
    cursor.unexpected('label matching', 'label matching operator');
  }
  cursor.advance();
  if (cursor.current.kind !== 'string') cursor.unexpected('label matching', 'string');
  const value = parseString(cursor);
  try {
    return makeMatcher(name, op.word as MatchOp, value);
  } catch (error) {
    if (error instanceof CanopyError) cursor.fail(token.start, error.message);
    throw error;
  }
}

function parseString(cursor: Cursor): string {
  const token = cursor.advance();
  const value = unquote(token.word);
  if (value === null) {
    cursor.fail(token.start, `error unquoting string ${quote(token.word)}: invalid syntax`);
  }
  return value;
}

/** `[5m]`, `[5m:1m]`, `offset`, `@`: in any number, each where it may stand. */
function parsePostfix(cursor: Cursor, primary: Expr): Expr {
  let expr = primary;
  while (true) {
    if (cursor.isMark('[')) expr = parseBrackets(cursor, expr);
    else if (cursor.isKeyword('offset')) expr = parseOffsetModifier(cursor, expr);
    else if (cursor.isMark('@')) expr = parseAtModifier(cursor, expr);
    else if (cursor.isKeyword('anchored') || cursor.isKeyword('smoothed')) {
      cursor.fail(expr.start, `${cursor.current.word} modifier is experimental and not enabled`);
    } else return expr;
  }
}

function parseBrackets(cursor: Cursor, expr: Expr): Expr {
  cursor.deeper();
  const open = cursor.advance();
  const range = parseDurationExpr(cursor, 'subquery or range selector');
  if (cursor.skipMark(':')) {
    const step = cursor.isMark(']') ? null : parseDurationExpr(cursor, 'subquery selector');
    const { end } = cursor.expectMark(']', 'subquery selector');
    return { kind: 'subquery', expr, range, step, offset: null, at: null, start: expr.start, end };
  }
  const { end } = cursor.expectMark(']', 'subquery or range', '":" or "]"');
  if (expr.kind !== 'selector') {
    cursor.fail(open.start, 'ranges only allowed for vector selectors');
  }
  if (expr.offset !== null) cursor.fail(open.start, 'no offset modifiers allowed before range');
  if (expr.at !== null) cursor.fail(open.start, 'no @ modifiers allowed before range');
  return { kind: 'matrix', selector: expr, range, start: expr.start, end };
}

function parseOffsetModifier(cursor: Cursor, expr: Expr): Expr {
  cursor.advance();
  const offset = parseOffset(cursor);
  const target = modifierTarget(expr);
  if (target === null) {
    cursor.fail(
      expr.start,
      'offset modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    );
  }
  if (target.offset !== null) cursor.fail(expr.start, 'offset may not be set multiple times');
  return modified(expr, { offset }, cursor.lastEnd);
}

function parseAtModifier(cursor: Cursor, expr: Expr): Expr {
  cursor.advance();
  let at: AtModifier;
  if (cursor.isKeyword('start') || cursor.isKeyword('end')) {
    at = { kind: cursor.advance().word as 'start' | 'end' };
    cursor.expectMark('(', '@');
    cursor.expectMark(')', '@');
  } else {
    const seconds = parseSignedNumber(cursor, '@');
    const time = Math.round(seconds * 1000);
    if (!Number.isSafeInteger(time)) {
      cursor.fail(expr.start, `timestamp out of bounds for @ modifier: ${seconds}`);
    }
    at = { kind: 'time', time };
  }
  const target = modifierTarget(expr);
  if (target === null) {
    cursor.fail(
      expr.start,
      '@ modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    );
  }
  if (target.at !== null) cursor.fail(expr.start, '@ <timestamp> may not be set multiple times');
  return modified(expr, { at }, cursor.lastEnd);
}

function modifierTarget(expr: Expr): Pick<Subquery, 'offset' | 'at'> | null {
  if (expr.kind === 'selector' || expr.kind === 'subquery') return expr;
  return expr.kind === 'matrix' ? expr.selector : null;
}

function modified(expr: Expr, change: Partial<Pick<Subquery, 'offset' | 'at'>>, end: number): Expr {
  if (expr.kind === 'matrix') return { ...expr, selector: { ...expr.selector, ...change }, end };
  return { ...expr, ...change, end } as Expr;
}

function parseSignedNumber(cursor: Cursor, context: string): number {
  const sign = cursor.current;
  const negative = sign.kind === 'operator' && sign.word === '-';
  if (negative || (sign.kind === 'operator' && sign.word === '+')) cursor.advance();
  const token = cursor.current;
  if (token.kind !== 'number' && token.kind !== 'duration') {
    cursor.unexpected(context, context === '@' ? 'timestamp' : 'number');
  }
  cursor.advance();
  const value = literalSeconds(cursor, token.word, token.kind, token.start);
  return negative ? -value : value;
}
