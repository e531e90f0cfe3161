/** What two series must have in common to be matched. */
import { type Labels, METRIC_NAME, labelsKey } from '@canopy/model';
import { valuesKey } from '../aggregate/grouping.js';
import { keepLabels, removeLabels } from '../eval/labels.js';
import type { VectorMatching } from '../syntax/ast.js';

export interface Signatures {
  readonly ofLeft: Int32Array;
  readonly ofRight: Int32Array;
  /** Signatures are numbers below this, shared by both sides. */
  readonly count: number;
}

export function signatures(
  matching: VectorMatching,
  left: readonly Labels[],
  right: readonly Labels[],
): Signatures {
  const keyOf = signatureKey(matching);
  const numbers = new Map<string, number>();
  const number = (labels: Labels): number => {
    const key = keyOf(labels);
    let known = numbers.get(key);
    if (known === undefined) {
      known = numbers.size;
      numbers.set(key, known);
    }
    return known;
  };
  const ofLeft = Int32Array.from(left, number);
  const ofRight = Int32Array.from(right, number);
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
