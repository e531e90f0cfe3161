/** `and`, `or`, `unless`. */
import { type Budget, concatenate } from '../eval/budget.js';
import { type Columns, dropEmptyRows } from '../eval/columns.js';
import { mergeRows } from '../eval/labels.js';
import type { Binary } from '../syntax/ast.js';
import { signatures } from './signature.js';

/** Result in `left`'s columns, or new ones for `or`. */
export async function setOperation(
  node: Binary,
  left: Columns,
  right: Columns,
  budget: Budget,
): Promise<Columns> {
  const { ofLeft, ofRight, count } = await signatures(
    node.matching,
    left.labels,
    right.labels,
    budget,
  );
  if (node.op === 'or') {
    const seen = presenceBySignature(left, ofLeft, count);
    mask(right, ofRight, seen, 0);
    return mergeRows(dropEmptyRows(concatenate([left, right], budget)), budget);
  }
  const seen = presenceBySignature(right, ofRight, count);
  mask(left, ofLeft, seen, node.op === 'and' ? 1 : 0);
  return dropEmptyRows(left);
}

/** Whether any row of a signature has a value, by signature and step. */
function presenceBySignature(columns: Columns, ofRow: Int32Array, count: number): Uint8Array {
  const { steps, present } = columns;
  const seen = new Uint8Array(count * steps);
  for (let row = 0; row < ofRow.length; row++) {
    const from = row * steps;
    const to = ofRow[row] * steps;
    for (let k = 0; k < steps; k++) seen[to + k] |= present[from + k];
  }
  return seen;
}

/** Clears values where `seen` is not `wanted`. */
function mask(columns: Columns, ofRow: Int32Array, seen: Uint8Array, wanted: 0 | 1): void {
  const { steps, present } = columns;
  for (let row = 0; row < ofRow.length; row++) {
    const from = row * steps;
    const by = ofRow[row] * steps;
    for (let k = 0; k < steps; k++) if (seen[by + k] !== wanted) present[from + k] = 0;
  }
}
