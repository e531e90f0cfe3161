/** Durations in brackets and after `offset`: literals and expressions of them. */
import type { DurationExpr } from './ast.js';
import { type PendingOperator, Precedence } from './precedence.js';
import type { Reading } from './reading.js';

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

interface DurationOperator extends PendingOperator {
  readonly op: BinaryDurationOp;
  readonly start: number;
}

interface Tall {
  readonly value: DurationExpr;
  readonly height: number;
}

/** The duration whose node this is; leaves all of it. */
export function readDuration(reading: Reading): DurationExpr {
  return readTall(reading).value;
}

function readTall(reading: Reading): Tall {
  const { to } = reading;
  const precedence = new Precedence(combine, () => reading.tooDeep(reading.from));
  while (reading.from < to) readPiece(reading, precedence);
  return precedence.finish();
}

function readPiece(reading: Reading, precedence: Precedence<DurationExpr, DurationOperator>): void {
  const { name, from, to } = reading;
  switch (name) {
    case 'OffsetDurationExpr':
    case 'DurationExpr': {
      reading.next();
      // Parentheses are no nodes: there are some where the first node within begins later.
      if (reading.from === from || reading.charAt(from) !== '(') return;
      const { value, height } = readTall(reading);
      return precedence.operand(
        { kind: 'paren', operand: value, start: from, end: to },
        height + 1,
      );
    }
    case 'NumberDurationLiteralInDurationContext': {
      reading.skip();
      const { value, ...literal } = reading.literalAt(from);
      return precedence.operand({ kind: 'literal', seconds: value, ...literal }, 0);
    }
    case 'DurationStep':
    case 'DurationRange': {
      reading.next();
      const kind = name === 'DurationStep' ? 'step' : 'range';
      return precedence.operand({ kind, start: from, end: reading.closingEnd(to, ')') }, 0);
    }
    case 'DurationMinOf':
    case 'DurationMaxOf': {
      const op = name === 'DurationMinOf' ? 'min_of' : 'max_of';
      reading.next();
      const lhs = readTall(reading);
      const lastEnd = reading.to;
      const rhs = readTall(reading);
      const end = reading.closingEnd(lastEnd, ')');
      const height = Math.max(lhs.height, rhs.height) + 1;
      return precedence.operand(
        { kind: 'binary', op, lhs: lhs.value, rhs: rhs.value, start: from, end },
        height,
      );
    }
    default: {
      // A sign, or an operator between two durations.
      const op = reading.operator as BinaryDurationOp;
      const isPrefix = name === 'UnaryOp';
      const power = isPrefix ? UNARY_POWER : POWERS[op];
      precedence.operator({ op, power, isPrefix, isRightAssociative: op === '^', start: from });
      return reading.skip();
    }
  }
}

function combine(
  { op, start }: DurationOperator,
  lhs: DurationExpr | null,
  rhs: DurationExpr,
): DurationExpr {
  if (lhs !== null) return { kind: 'binary', op, lhs, rhs, start: lhs.start, end: rhs.end };
  return op === '-' ? { kind: 'negate', operand: rhs, start, end: rhs.end } : rhs;
}
