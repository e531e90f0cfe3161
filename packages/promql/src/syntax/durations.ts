/** Durations in brackets and after `offset`: literals and expressions of them. */
import { CanopyError, parseDuration } from '@canopy/model';
import type { DurationExpr } from './ast.js';
import type { Cursor } from './cursor.js';
import { isWellFormedNumber, parseNumber } from './numbers.js';

type BinaryDurationOp = '+' | '-' | '*' | '/' | '%' | '^';

const POWERS: Readonly<Record<BinaryDurationOp, number>> = {
  '+': 1,
  '-': 1,
  '*': 2,
  '/': 2,
  '%': 2,
  '^': 4,
};
const UNARY_POWER = 3;

/** `5m`, `300`, `step() + 5s`: all that may stand in brackets. */
export function parseDurationExpr(cursor: Cursor, context: string, power = 0): DurationExpr {
  let left = cursor.nested(() => parsePrefix(cursor, context));
  while (cursor.current.kind === 'operator' && cursor.current.word in POWERS) {
    const op = cursor.current.word as BinaryDurationOp;
    const own = POWERS[op];
    if (own <= power) break;
    cursor.deeper();
    cursor.advance();
    // `^` binds to the right.
    const right = parseDurationExpr(cursor, context, op === '^' ? own - 1 : own);
    left = { kind: 'binary', op, lhs: left, rhs: right, start: left.start, end: right.end };
  }
  return left;
}

/** What may follow `offset`: signs and one operand. Operators after it belong to the query. */
export function parseOffset(cursor: Cursor): DurationExpr {
  return cursor.nested(() => parsePrefix(cursor, 'offset'));
}

function parsePrefix(cursor: Cursor, context: string): DurationExpr {
  const token = cursor.current;
  if (token.kind === 'operator' && (token.word === '-' || token.word === '+')) {
    cursor.advance();
    const operand =
      context === 'offset' ? parseOffset(cursor) : parseDurationExpr(cursor, context, UNARY_POWER);
    if (token.word === '+') return operand;
    return { kind: 'negate', operand, start: token.start, end: operand.end };
  }
  if (token.kind === 'number' || token.kind === 'duration') {
    cursor.advance();
    const seconds = literalSeconds(cursor, token.word, token.kind, token.start);
    return { kind: 'literal', seconds, text: token.word, start: token.start, end: token.end };
  }
  if (cursor.isMark('(')) {
    cursor.advance();
    const operand = parseDurationExpr(cursor, context);
    const end = cursor.expectMark(')', context).end;
    return { kind: 'paren', operand, start: token.start, end };
  }
  if (token.kind === 'keyword') return parseDurationCall(cursor, context);
  return cursor.unexpected(context, 'duration');
}

function parseDurationCall(cursor: Cursor, context: string): DurationExpr {
  const token = cursor.current;
  const { word } = token;
  if (word !== 'step' && word !== 'range' && word !== 'min_of' && word !== 'max_of') {
    cursor.unexpected(context, 'duration');
  }
  cursor.advance();
  cursor.expectMark('(', context);
  if (word === 'step' || word === 'range') {
    const end = cursor.expectMark(')', context).end;
    return { kind: word, start: token.start, end };
  }
  const lhs = parseDurationExpr(cursor, context);
  cursor.expectMark(',', context);
  const rhs = parseDurationExpr(cursor, context);
  const end = cursor.expectMark(')', context).end;
  return { kind: 'binary', op: word, lhs, rhs, start: token.start, end };
}

/** A number of seconds; a duration counts in seconds too (`5m` is 300). */
export function literalSeconds(
  cursor: Cursor,
  text: string,
  kind: 'number' | 'duration',
  start: number,
): number {
  if (kind === 'number') {
    if (!isWellFormedNumber(text)) {
      cursor.fail(start, `bad number or duration syntax: ${JSON.stringify(text)}`);
    }
    const value = parseNumber(text);
    if (text !== 'inf' && text !== 'nan' && !Number.isFinite(value)) {
      cursor.fail(start, `error parsing number: value out of range: ${JSON.stringify(text)}`);
    }
    return value;
  }
  try {
    return parseDuration(text) / 1000;
  } catch (error) {
    if (error instanceof CanopyError) cursor.fail(start, error.message);
    throw error;
  }
}
