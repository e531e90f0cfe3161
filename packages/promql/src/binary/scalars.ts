/** Operators with a scalar on one side or both. */
import type { Budget } from '../eval/budget.js';
import { type Columns, dropEmptyRows } from '../eval/columns.js';
import { dropNames } from '../eval/labels.js';
import type { Binary } from '../syntax/ast.js';
import { type NumberOperator, arithmetic, comparison, scalarOperator } from './operators.js';

/** Result in `left`. */
export function scalarScalar(node: Binary, left: Float64Array, right: Float64Array): Float64Array {
  const apply = scalarOperator(node.op);
  for (let k = 0; k < left.length; k++) left[k] = apply(left[k], right[k]);
  return left;
}

/**
 * Works in place. `scalarIsLeft`: the scalar stands before the operator. A comparison without
 * `bool` keeps the vector's own value, on whichever side it stands.
 */
export async function vectorScalar(
  node: Binary,
  vector: Columns,
  scalar: Float64Array,
  scalarIsLeft: boolean,
  budget: Budget,
): Promise<Columns> {
  const { steps } = vector;
  const compare = comparison(node.op);
  const filters = compare !== undefined && !node.returnBool;
  const apply = compare === undefined ? arithmetic(node.op)! : scalarOperator(node.op);
  const row = { vector, scalar, scalarIsLeft };
  for (let start = 0; start < vector.present.length; start += steps) {
    if (filters) filterRow(row, start, compare);
    else applyRow(row, start, apply);
    if (budget.due(steps * 4)) await budget.pause();
  }
  return filters ? dropEmptyRows(vector) : dropNames(vector, budget);
}

interface RowAndScalar {
  readonly vector: Columns;
  readonly scalar: Float64Array;
  readonly scalarIsLeft: boolean;
}

function applyRow(
  { vector: { values, present }, scalar, scalarIsLeft }: RowAndScalar,
  start: number,
  apply: NumberOperator,
): void {
  for (let k = 0, at = start; k < scalar.length; k++, at++) {
    if (present[at] === 0) continue;
    values[at] = scalarIsLeft ? apply(scalar[k], values[at]) : apply(values[at], scalar[k]);
  }
}

function filterRow(
  { vector: { values, present }, scalar, scalarIsLeft }: RowAndScalar,
  start: number,
  compare: (left: number, right: number) => boolean,
): void {
  for (let k = 0, at = start; k < scalar.length; k++, at++) {
    if (present[at] === 0) continue;
    const keeps = scalarIsLeft ? compare(scalar[k], values[at]) : compare(values[at], scalar[k]);
    if (!keeps) present[at] = 0;
  }
}
