/** What two series must have in common to be matched. */
import { type Labels, METRIC_NAME, labelsKey } from '@canopy/model';
import { valuesKey } from '../aggregate/grouping.js';
import { type Budget, LABELS_WORK } from '../eval/budget.js';
import { keepLabels, removeLabels } from '../eval/labels.js';
import type { VectorMatching } from '../syntax/ast.js';

export interface Signatures {
  readonly ofLeft: Int32Array;
  readonly ofRight: Int32Array;
  /** Signatures are numbers below this, shared by both sides. */
  readonly count: number;
}

export async function signatures(
  matching: VectorMatching,
  left: readonly Labels[],
  right: readonly Labels[],
  budget: Budget,
): Promise<Signatures> {
  const keyOf = signatureKey(matching);
  const numbers = new Map<string, number>();
  const number = async (rows: readonly Labels[]): Promise<Int32Array> => {
    const ofRow = new Int32Array(rows.length);
    for (let row = 0; row < rows.length; row++) {
      const key = keyOf(rows[row]);
      let known = numbers.get(key);
      if (known === undefined) {
        known = numbers.size;
        numbers.set(key, known);
      }
      ofRow[row] = known;
      if (budget.due(LABELS_WORK)) await budget.pause();
    }
    return ofRow;
  };
  const ofLeft = await number(left);
  const ofRight = await number(right);
  return { ofLeft, ofRight, count: numbers.size };
}

function signatureKey(matching: VectorMatching): (labels: Labels) => string {
  if (matching.on) return valuesKey([...new Set(matching.labels)]);
  const ignored = new Set([METRIC_NAME, ...matching.labels]);
  return (labels) => labelsKey(removeLabels(labels, ignored));
}

/** The labels that were matched. */
export function matchedLabels(matching: VectorMatching, labels: Labels): Labels {
  const names = new Set(matching.labels);
  if (matching.on) return keepLabels(labels, names);
  names.add(METRIC_NAME);
  return removeLabels(labels, names);
}
