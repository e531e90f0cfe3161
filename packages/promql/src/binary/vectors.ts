/**
 * Arithmetic and comparison between two vectors (Prometheus promql/engine.go, VectorBinop). Rows
 * are paired by signature once for all steps; whether more than one is there is asked step by step.
 */
import { CanopyError, type Labels, labelValue, labelsKey, compareLabels } from '@canopy/model';
import { type Budget, LABELS_WORK, type Rules, ROW_WORK } from '../eval/budget.js';
import { type Columns, dropEmptyRows, stepsWithAny } from '../eval/columns.js';
import {
  METADATA_LABELS,
  describeLabels,
  keepLabels,
  losingName,
  mergeRows,
  removeLabels,
  withLabel,
  withoutName,
} from '../eval/labels.js';
import { rowsByNumber } from '../aggregate/grouping.js';
import type { Binary } from '../syntax/ast.js';
import { type NumberOperator, arithmetic, comparison } from './operators.js';
import { matchedLabels, signatures } from './signature.js';

/** A result row: the row of each side, -1 where a fill value stands for it. */
interface Pair {
  readonly many: number;
  readonly one: number;
  readonly signature: number;
}

/** The two sides by role: `many` may have several rows of a signature where that was asked for. */
interface Sides {
  readonly many: Columns;
  readonly one: Columns;
  readonly ofMany: Int32Array;
  readonly ofOne: Int32Array;
  readonly count: number;
  /** Whether `many` stands on the right of the operator. */
  readonly swapped: boolean;
}

interface RowsOfSignatures {
  readonly onesOf: readonly number[][];
  readonly manysOf: readonly number[][];
}

export async function vectorVector(
  node: Binary,
  left: Columns,
  right: Columns,
  budget: Budget,
): Promise<Columns> {
  const { matching } = node;
  const swapped = matching.card === 'one-to-many';
  const { ofLeft, ofRight, count } = await signatures(matching, left.labels, right.labels, budget);
  const sides: Sides = swapped
    ? { many: right, one: left, ofMany: ofRight, ofOne: ofLeft, count, swapped }
    : { many: left, one: right, ofMany: ofLeft, ofOne: ofRight, count, swapped };
  const onesOf = await rowsByNumber(sides.ofOne, count, budget);
  const manysOf = await rowsByNumber(sides.ofMany, count, budget);
  await refuseDuplicateOnes(node, sides, onesOf, budget);
  const pairs = await pairRows(node, sides, onesOf, budget);
  const out = budget.allocate(pairs.length, left.steps);
  const keep = await computePairs(node, sides, pairs, out, { onesOf, manysOf }, budget);
  const isSingle = onePairEach(pairs, count);
  if (!isSingle) await refuseMultipleMatches(node, pairs, out, budget);
  if (keep !== null) for (let i = 0; i < keep.length; i++) out.present[i] &= keep[i];
  dropEmptyRows(out);
  // Fast path: results hold the labels that were matched, and no two of them the same.
  const { on, labels } = matching;
  const isDistinct = isSingle && on && !labels.some((name) => METADATA_LABELS.has(name));
  return isDistinct ? out : mergeRows(out, budget);
}

/** Whether no signature has more than one pair. */
function onePairEach(pairs: readonly Pair[], count: number): boolean {
  const isSeen = new Uint8Array(count);
  for (const { signature } of pairs) {
    if (isSeen[signature] !== 0) return false;
    isSeen[signature] = 1;
  }
  return true;
}

/** On the `one` side a signature may have one row at a step. */
async function refuseDuplicateOnes(
  node: Binary,
  sides: Sides,
  onesOf: readonly number[][],
  budget: Budget,
): Promise<void> {
  const { one, many } = sides;
  const { steps } = one;
  let manyThere: Uint8Array | null = null;
  for (const rows of onesOf) {
    if (rows.length < 2) continue;
    manyThere ??= stepsWithAny(many);
    if (budget.due(rows.length * steps * 4)) await budget.pause();
    for (let k = 0; k < steps; k++) {
      // Where the other side is empty nothing is matched, so nothing is wrong.
      if (manyThere[k] === 0) continue;
      const there = rows.filter((row) => one.present[row * steps + k] !== 0);
      if (there.length < 2) continue;
      const group = describeLabels(
        matchedLabels(node.matching, one.labels[there[0]], budget.rules),
      );
      const names = [one.labels[there[0]], one.labels[there[1]]].sort(compareLabels);
      const side = sides.swapped ? 'left' : 'right';
      throw new CanopyError(
        'execution',
        `found duplicate series for the match group ${group} on the ${side} hand-side of the operation: ` +
          `[${names.map(describeLabels).join(', ')}];many-to-many matching not allowed: matching labels must be unique on one side`,
      );
    }
  }
}

async function pairRows(
  node: Binary,
  sides: Sides,
  onesOf: readonly number[][],
  budget: Budget,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  const { fillOne, fillMany } = fillValues(node, sides);
  for (let many = 0; many < sides.ofMany.length; many++) {
    const signature = sides.ofMany[many];
    for (const one of onesOf[signature]) pairs.push({ many, one, signature });
    if (fillOne !== null) pairs.push({ many, one: -1, signature });
    if (budget.due(ROW_WORK)) await budget.pause();
  }
  if (fillMany !== null) {
    for (let one = 0; one < sides.ofOne.length; one++) {
      pairs.push({ many: -1, one, signature: sides.ofOne[one] });
    }
  }
  return pairs;
}

function fillValues(
  node: Binary,
  sides: Sides,
): { fillOne: number | null; fillMany: number | null } {
  const { fillLeft, fillRight } = node.matching;
  return sides.swapped
    ? { fillOne: fillLeft, fillMany: fillRight }
    : { fillOne: fillRight, fillMany: fillLeft };
}

/** Fills `out`; returns which values a comparison keeps, null where all are kept. */
async function computePairs(
  node: Binary,
  sides: Sides,
  pairs: readonly Pair[],
  out: Columns,
  { onesOf, manysOf }: RowsOfSignatures,
  budget: Budget,
): Promise<Uint8Array | null> {
  const { many, one, swapped } = sides;
  const { steps } = out;
  const compare = comparison(node.op);
  const filters = compare !== undefined && !node.returnBool;
  const keep = filters ? new Uint8Array(out.present.length) : null;
  const apply: NumberOperator =
    compare === undefined
      ? arithmetic(node.op)!
      : filters
        ? (left) => left
        : (left, right) => (compare(left, right) ? 1 : 0);
  const { fillOne, fillMany } = fillValues(node, sides);
  const nameOf = resultLabels(node, budget.rules);
  const matched = (labels: Labels): Labels => matchedLabels(node.matching, labels, budget.rules);
  for (let row = 0; row < pairs.length; row++) {
    const pair = pairs[row];
    out.labels[row] = nameOf(
      pair.many >= 0 ? many.labels[pair.many] : matched(one.labels[pair.one]),
      pair.one >= 0 ? one.labels[pair.one] : matched(many.labels[pair.many]),
    );
    for (let k = 0; k < steps; k++) {
      const manyAt = pair.many * steps + k;
      const oneAt = pair.one * steps + k;
      if (pair.many >= 0 && many.present[manyAt] === 0) continue;
      if (pair.one >= 0 && one.present[oneAt] === 0) continue;
      if (pair.one < 0 && anyPresent(one, onesOf[pair.signature], k)) continue;
      if (pair.many < 0 && anyPresent(many, manysOf[pair.signature], k)) continue;
      const manyValue = pair.many >= 0 ? many.values[manyAt] : fillMany!;
      const oneValue = pair.one >= 0 ? one.values[oneAt] : fillOne!;
      const left = swapped ? oneValue : manyValue;
      const right = swapped ? manyValue : oneValue;
      const to = row * steps + k;
      out.present[to] = 1;
      out.values[to] = apply(left, right);
      if (keep !== null && compare!(left, right)) keep[to] = 1;
    }
    if (budget.due(LABELS_WORK + steps * 10)) await budget.pause();
  }
  return keep;
}

function anyPresent(columns: Columns, rows: readonly number[], k: number): boolean {
  return rows.some((row) => columns.present[row * columns.steps + k] !== 0);
}

/** Labels of a result from those of the `many` and the `one` side. */
function resultLabels(node: Binary, rules: Rules): (many: Labels, one: Labels) => Labels {
  const { matching, op, returnBool } = node;
  const isArithmetic = comparison(op) === undefined;
  // What arithmetic gives is of no metric any more; what `bool` gives may lose its name later.
  const dropsName = isArithmetic || (returnBool && !rules.delayedNameRemoval);
  const names = new Set(matching.labels);
  return (many, one) => {
    let labels = dropsName ? withoutName(many) : many;
    if (matching.card === 'one-to-one') {
      labels = matching.on ? keepLabels(labels, names) : removeLabels(labels, names);
    }
    for (const name of matching.include) labels = withLabel(labels, name, labelValue(one, name));
    return returnBool && !dropsName ? losingName(labels) : labels;
  };
}

/**
 * One to one, a signature may give one result at a step; with grouping, results of a signature
 * must differ in their labels.
 */
async function refuseMultipleMatches(
  node: Binary,
  pairs: readonly Pair[],
  out: Columns,
  budget: Budget,
): Promise<void> {
  const oneToOne = node.matching.card === 'one-to-one';
  const rowsOf = new Map<number, number[]>();
  for (let row = 0; row < pairs.length; row++) {
    const rows = rowsOf.get(pairs[row].signature);
    if (rows === undefined) rowsOf.set(pairs[row].signature, [row]);
    else rows.push(row);
    if (budget.due(ROW_WORK)) await budget.pause();
  }
  for (const rows of rowsOf.values()) {
    if (budget.due(ROW_WORK)) await budget.pause();
    if (rows.length < 2) continue;
    const byLabels = new Map<string, number[]>();
    for (const row of rows) {
      const key = oneToOne ? '' : labelsKey(out.labels[row]);
      const same = byLabels.get(key);
      if (same === undefined) byLabels.set(key, [row]);
      else same.push(row);
      if (budget.due(LABELS_WORK)) await budget.pause();
    }
    for (const same of byLabels.values()) {
      if (budget.due(same.length * out.steps)) await budget.pause();
      if (!overlap(out, same)) continue;
      throw new CanopyError(
        'execution',
        oneToOne
          ? 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)'
          : 'multiple matches for labels: grouping labels must ensure unique matches',
      );
    }
  }
}

function overlap(columns: Columns, rows: readonly number[]): boolean {
  if (rows.length < 2) return false;
  const { steps, present } = columns;
  const seen = new Uint8Array(steps);
  for (const row of rows) {
    for (let k = 0; k < steps; k++) {
      if (present[row * steps + k] === 0) continue;
      if (seen[k] !== 0) return true;
      seen[k] = 1;
    }
  }
  return false;
}
