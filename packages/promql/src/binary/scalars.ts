/** Operators with a scalar on one side or both. */
import type { Budget } from '../eval/budget.js';
import { type Columns, dropEmptyRows } from '../eval/columns.js';
import { dropNames } from '../eval/labels.js';
import type { Binary } from '../syntax/ast.js';
import { arithmetic, comparison, scalarOperator } from './operators.js';

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
  const { steps, values, present } = vector;
  const compare = comparison(node.op);
  const filters = compare !== undefined && !node.returnBool;
  const apply = compare === undefined ? arithmetic(node.op)! : scalarOperator(node.op);
  let at = 0;
  for (let row = 0; row < vector.labels.length; row++) {
    for (let k = 0; k < steps; k++, at++) {
      if (present[at] === 0) continue;
      const left = scalarIsLeft ? scalar[k] : values[at];
      const right = scalarIsLeft ? values[at] : scalar[k];
      const result = filters ? (compare(left, right) ? 1 : 0) : apply(left, right);
      if (!filters) values[at] = result;
      else if (result === 0) present[at] = 0;
    }
    if (budget.due(steps * 4)) await budget.pause();
  }
  return filters ? dropEmptyRows(vector) : dropNames(vector, budget);
}
