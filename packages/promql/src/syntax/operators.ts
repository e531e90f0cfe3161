/** Operators of expressions: how tightly they bind, and what stands between them and an operand. */
import type { BinaryOp, Expr, VectorMatching } from './ast.js';
import { readGroupingLabels } from './matchers.js';
import type { PendingOperator } from './precedence.js';
import type { Reading } from './reading.js';

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

export interface Operator extends PendingOperator {
  readonly op: string;
  readonly start: number;
  readonly returnBool: boolean;
  readonly matching: VectorMatching;
}

/** A matching while modifiers may still be added. */
type Open<T> = { -readonly [K in keyof T]: T[K] };

const newMatching = (): Open<VectorMatching> => ({
  card: 'one-to-one',
  on: false,
  labels: [],
  include: [],
  explicit: false,
  fillLeft: null,
  fillRight: null,
});
const NO_MATCHING: VectorMatching = newMatching();

export function signOperator(op: string, start: number): Operator {
  return {
    op,
    start,
    power: UNARY_POWER,
    isPrefix: true,
    isRightAssociative: false,
    returnBool: false,
    matching: NO_MATCHING,
  };
}

/** The operator at the node with its modifiers; leaves them. */
export function readOperator(reading: Reading): Operator {
  const { name, from: start, operator: op } = reading;
  if (name === 'UnaryOp') {
    reading.skip();
    return signOperator(op, start);
  }
  const power: number | undefined = POWERS[op];
  // Nodes below a depth of 2,500 lose those around them, in lezer's trees.
  if (power === undefined || name === 'Identifier') reading.tooDeep(start);
  if (op === '</' || op === '>/') {
    reading.fail(start, `operator ${op} needs native histograms, which are not supported yet`);
  }
  reading.skip();
  const returnBool = reading.name === 'BoolModifier';
  if (returnBool) reading.skip();
  const matching = newMatching();
  if (reading.name === 'MatchingModifierClause') readMatching(reading, matching);
  if (reading.name === 'FillModifier') readFill(reading, matching);
  return {
    op,
    start,
    power,
    isPrefix: false,
    isRightAssociative: op === '^',
    returnBool,
    matching,
  };
}

function readMatching(reading: Reading, matching: Open<VectorMatching>): void {
  const { to } = reading;
  reading.next();
  matching.on = reading.name === 'On';
  matching.explicit = true;
  reading.skip();
  matching.labels = readGroupingLabels(reading);
  if (reading.from >= to) return;
  matching.card = reading.name === 'GroupLeft' ? 'many-to-one' : 'one-to-many';
  reading.skip();
  if (reading.from < to) matching.include = readGroupingLabels(reading);
}

function readFill(reading: Reading, matching: Open<VectorMatching>): void {
  const { to } = reading;
  reading.next();
  while (reading.from < to) {
    const clause = reading.name;
    reading.next();
    reading.skip();
    const { value } = reading.signedNumber();
    if (clause !== 'FillRightClause') matching.fillLeft = value;
    if (clause !== 'FillLeftClause') matching.fillRight = value;
  }
}

/** The tree of an operator; `lhs` is null for a sign, which becomes part of a number. */
export function combine(operator: Operator, lhs: Expr | null, rhs: Expr): Expr {
  const { op, start, returnBool, matching } = operator;
  if (lhs === null) {
    const span = { start, end: rhs.end };
    if (rhs.kind !== 'number') return { kind: 'unary', op: op as '+' | '-', expr: rhs, ...span };
    if (op === '+') return { ...rhs, ...span };
    return { ...rhs, ...span, value: -rhs.value, text: `-${rhs.text}` };
  }
  return {
    kind: 'binary',
    op: op as BinaryOp,
    lhs,
    rhs,
    returnBool,
    matching,
    operatorStart: start,
    start: lhs.start,
    end: rhs.end,
  };
}
