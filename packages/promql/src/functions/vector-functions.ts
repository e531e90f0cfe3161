/** Functions over instant vectors that need all rows at once or change labels. */
import {
  CanopyError,
  type Labels,
  METRIC_NAME,
  NO_LABELS,
  compareLabels,
  compileRegexp,
  labelValue,
} from '@canopy/model';
import { type Budget, LABELS_WORK } from '../eval/budget.js';
import { type Columns, rowIsEmpty } from '../eval/columns.js';
import { mergeRows, withLabel } from '../eval/labels.js';
import { sortInTurns } from '../eval/sort.js';
import type { Expr } from '../syntax/ast.js';
import { unwrapParens } from '../syntax/ast.js';
import { isValidLabelName } from '../syntax/strings.js';

/** Where exactly one row has a value, that; else NaN. */
export function toScalar(input: Columns): Float64Array {
  const { steps, values, present } = input;
  const out = new Float64Array(steps);
  const counts = new Uint32Array(steps);
  for (let at = 0, k = 0; at < present.length; at++) {
    if (present[at] !== 0) {
      out[k] = values[at];
      counts[k]++;
    }
    if (++k === steps) k = 0;
  }
  for (let k = 0; k < steps; k++) if (counts[k] !== 1) out[k] = Number.NaN;
  return out;
}

/** 1 at each step where no row has a value. */
export function absence(input: Columns, labels: Labels): Columns {
  const { steps, present } = input;
  const out = {
    steps,
    labels: [labels],
    values: new Float64Array(steps).fill(1),
    present: new Uint8Array(steps).fill(1),
    held: 0,
  };
  for (let at = 0, k = 0; at < present.length; at++) {
    if (present[at] !== 0) out.present[k] = 0;
    if (++k === steps) k = 0;
  }
  return out;
}

/**
 * The labels that `absent` can tell of its argument: those its selector asks to be equal to
 * something, once.
 */
export function absentLabels(argument: Expr): Labels {
  const node = unwrapParens(argument);
  const selector = node.kind === 'matrix' ? node.selector : node;
  if (selector.kind !== 'selector') return NO_LABELS;
  let labels: Labels = NO_LABELS;
  const seen = new Set<string>();
  for (const { name, op, value } of selector.matchers) {
    if (name === METRIC_NAME) continue;
    const keeps = op === '=' && !seen.has(name);
    labels = withLabel(labels, name, keeps ? value : '');
    if (keeps) seen.add(name);
  }
  return labels;
}

/** Rows by value, NaN last. One step only. */
export async function sortByValue(
  input: Columns,
  descending: boolean,
  budget: Budget,
): Promise<Columns> {
  const { values } = input;
  return reorder(input, budget, (a, b) => {
    const x = values[a];
    const y = values[b];
    if (Number.isNaN(x)) return Number.isNaN(y) ? 0 : 1;
    if (Number.isNaN(y)) return -1;
    return x === y ? 0 : x > y === descending ? -1 : 1;
  });
}

/** Rows by these labels, numbers in them by value; then by all labels. One step only. */
export async function sortByLabels(
  input: Columns,
  names: readonly string[],
  descending: boolean,
  budget: Budget,
): Promise<Columns> {
  const sign = descending ? -1 : 1;
  const collator = new Intl.Collator('en', { numeric: true });
  return reorder(input, budget, (a, b) => {
    for (const name of names) {
      const order = collator.compare(
        labelValue(input.labels[a], name),
        labelValue(input.labels[b], name),
      );
      if (order !== 0) return order * sign;
    }
    return compareLabels(input.labels[a], input.labels[b]) * sign;
  });
}

async function reorder(
  input: Columns,
  budget: Budget,
  compare: (a: number, b: number) => number,
): Promise<Columns> {
  const rows = input.labels.map((_labels, row) => row).filter((row) => !rowIsEmpty(input, row));
  const order = await sortInTurns(rows, compare, budget);
  return {
    steps: 1,
    labels: order.map((row) => input.labels[row]),
    values: Float64Array.from(order, (row) => input.values[row]),
    present: new Uint8Array(order.length).fill(1),
    held: input.held,
  };
}

/** Texts: destination, replacement, source, expression. */
export async function labelReplace(
  input: Columns,
  texts: readonly string[],
  budget: Budget,
): Promise<Columns> {
  const [destination, replacement, source, expression] = texts;
  const regexp = compileLabelRegexp(expression);
  if (!isValidLabelName(destination)) {
    throw new CanopyError(
      'execution',
      `invalid destination label name in label_replace(): ${destination}`,
    );
  }
  // Series share values; an expression is run once for each.
  const results = new Map<string, string | null>();
  for (let row = 0; row < input.labels.length; row++) {
    const value = labelValue(input.labels[row], source);
    let result = results.get(value);
    if (result === undefined) {
      result = regexp.expand(value, replacement);
      results.set(value, result);
    }
    if (result !== null) input.labels[row] = withLabel(input.labels[row], destination, result);
    if (budget.due(LABELS_WORK)) await budget.pause();
  }
  return mergeRows(input, budget);
}

function compileLabelRegexp(expression: string): ReturnType<typeof compileRegexp> {
  try {
    return compileRegexp(expression);
  } catch (error) {
    throw new CanopyError(
      'execution',
      `invalid regular expression in label_replace(): ${expression}`,
      { cause: error },
    );
  }
}

/** Texts: destination, separator, sources. */
export async function labelJoin(
  input: Columns,
  texts: readonly string[],
  budget: Budget,
): Promise<Columns> {
  const [destination, separator, ...sources] = texts;
  for (const source of sources) {
    if (isValidLabelName(source)) continue;
    throw new CanopyError('execution', `invalid source label name in label_join(): ${source}`);
  }
  if (!isValidLabelName(destination)) {
    throw new CanopyError(
      'execution',
      `invalid destination label name in label_join(): ${destination}`,
    );
  }
  for (let row = 0; row < input.labels.length; row++) {
    const labels = input.labels[row];
    const value = sources.map((source) => labelValue(labels, source)).join(separator);
    input.labels[row] = withLabel(labels, destination, value);
    if (budget.due(LABELS_WORK)) await budget.pause();
  }
  return mergeRows(input, budget);
}
