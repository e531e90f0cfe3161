/** What two series must have in common to be matched. */
import { type Labels, METRIC_NAME, labelsKey } from '@canopy/model';
import { valuesKey } from '../aggregate/grouping.js';
import { type Budget, LABELS_WORK, type Rules } from '../eval/budget.js';
import { METADATA_LABELS, keepLabels, removeLabels } from '../eval/labels.js';
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
  const keyOf = signatureKey(matching, budget.rules);
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

function signatureKey(matching: VectorMatching, rules: Rules): (labels: Labels) => string {
  if (matching.on) return valuesKey([...new Set(matching.labels)]);
  const ignored = new Set([...neverMatched(matching, rules), ...matching.labels]);
  return (labels) => labelsKey(removeLabels(labels, ignored));
}

const NAME_ONLY: ReadonlySet<string> = new Set([METRIC_NAME]);

/** Labels that do not count. Type and unit do where the query says itself what to ignore. */
const neverMatched = (matching: VectorMatching, rules: Rules): ReadonlySet<string> =>
  rules.typeAndUnitLabels && matching.labels.length === 0 ? METADATA_LABELS : NAME_ONLY;

/** The labels that were matched. */
export function matchedLabels(matching: VectorMatching, labels: Labels, rules: Rules): Labels {
  const names = new Set(matching.labels);
  if (matching.on) return keepLabels(labels, names);
  for (const name of neverMatched(matching, rules)) names.add(name);
  return removeLabels(labels, names);
}
