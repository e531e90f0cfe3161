/** Binary operators on two numbers. */
import { goPow } from '../functions/elementwise.js';
import type { BinaryOp } from '../syntax/ast.js';

export type NumberOperator = (left: number, right: number) => number;

const ARITHMETIC: Readonly<Record<string, NumberOperator>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
  '%': (left, right) => left % right,
  '^': goPow,
  atan2: Math.atan2,
};

const COMPARISONS: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
};

export function arithmetic(op: BinaryOp): NumberOperator | undefined {
  return ARITHMETIC[op];
}

export function comparison(op: BinaryOp): ((left: number, right: number) => boolean) | undefined {
  return COMPARISONS[op];
}

/** As a number: comparisons give 1 or 0. */
export function scalarOperator(op: BinaryOp): NumberOperator {
  const compare = COMPARISONS[op];
  return compare === undefined ? ARITHMETIC[op] : (left, right) => (compare(left, right) ? 1 : 0);
}
