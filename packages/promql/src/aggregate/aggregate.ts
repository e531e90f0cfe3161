/** Aggregation operators over columns: checks of parameters, then the operator's own file. */
import { CanopyError } from '@canopy/model';
import type { Annotations } from '../eval/annotations.js';
import type { Budget } from '../eval/budget.js';
import { type Columns, dropEmptyRows, emptyColumns } from '../eval/columns.js';
import { isQuantile } from '../functions/quantile.js';
import { type Aggregate, unwrapParens } from '../syntax/ast.js';
import { isValidLabelName, quote } from '../syntax/strings.js';
import { countValues } from './count-values.js';
import { type Grouping, groupRows } from './grouping.js';
import { pickRatio, pickRows } from './pick.js';
import { REDUCTIONS, reduceQuantile } from './reduce.js';

const INT64 = 2 ** 63;

/** `params`: the scalar parameter by step, null for operators without one. Takes over `input`. */
export async function aggregate(
  node: Aggregate,
  input: Columns,
  params: Float64Array | null,
  budget: Budget,
  annotations: Annotations,
): Promise<Columns> {
  const grouping: Grouping = { names: node.grouping, without: node.without };
  switch (node.op) {
    case 'topk':
    case 'bottomk':
    case 'limitk':
      return pick(node.op, grouping, input, params!, budget);
    case 'limit_ratio':
      return ratio(node, input, params!, budget, annotations);
    case 'count_values':
      return countValues(input, grouping, valueLabel(node), budget);
    default: {
      const groups = await groupRows(input.labels, grouping, budget);
      const output = budget.allocate(groups.labels.length, input.steps);
      output.labels = groups.labels;
      if (node.op === 'quantile') {
        warnOfQuantiles(node, params!, annotations);
        await reduceQuantile(input, groups.ofRow, output, params!, budget);
      } else {
        await REDUCTIONS[node.op](input, groups.ofRow, output, budget);
      }
      return dropEmptyRows(output);
    }
  }
}

function valueLabel(node: Aggregate): string {
  const literal = unwrapParens(node.param!);
  const label = literal.kind === 'string' ? literal.value : '';
  if (!isValidLabelName(label)) {
    throw new CanopyError('execution', `invalid label name ${quote(label)}`);
  }
  return label;
}

async function pick(
  op: 'topk' | 'bottomk' | 'limitk',
  grouping: Grouping,
  input: Columns,
  ks: Float64Array,
  budget: Budget,
): Promise<Columns> {
  let most = Number.NEGATIVE_INFINITY;
  for (const k of ks) {
    if (Number.isNaN(k)) throw new CanopyError('execution', 'Parameter value is NaN');
    if (k <= -INT64) throw new CanopyError('execution', `Scalar value ${k} underflows int64`);
    if (k >= INT64) throw new CanopyError('execution', `Scalar value ${k} overflows int64`);
    if (k > most) most = k;
  }
  if (most < 1) return emptyColumns(input.steps);
  const groups = await groupRows(input.labels, grouping, budget);
  const order = await pickRows(op, input, groups.ofRow, groups.labels.length, ks, budget);
  if (input.steps !== 1) return dropEmptyRows(input);
  // An instant query shows the rows in the order of their rank.
  return {
    steps: 1,
    labels: order.map((row) => input.labels[row]),
    values: Float64Array.from(order, (row) => input.values[row]),
    present: new Uint8Array(order.length).fill(1),
    held: 0,
  };
}

async function ratio(
  node: Aggregate,
  input: Columns,
  ratios: Float64Array,
  budget: Budget,
  annotations: Annotations,
): Promise<Columns> {
  for (const value of ratios) {
    if (Number.isNaN(value)) throw new CanopyError('execution', 'Ratio value is NaN');
    if (value > 1) annotations.invalidRatio(value, 1, node.param!.start);
    if (value < -1) annotations.invalidRatio(value, -1, node.param!.start);
  }
  await pickRatio(input, ratios, budget);
  return dropEmptyRows(input);
}

function warnOfQuantiles(node: Aggregate, qs: Float64Array, annotations: Annotations): void {
  // Of many bad ones only the extremes are named.
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  let hasNan = false;
  for (const q of qs) {
    if (Number.isNaN(q)) hasNan = true;
    else {
      least = Math.min(least, q);
      most = Math.max(most, q);
    }
  }
  const at = node.param!.start;
  if (hasNan) annotations.invalidQuantile(Number.NaN, at);
  if (most > 1) annotations.invalidQuantile(most, at);
  if (least < 0 && !isQuantile(least)) annotations.invalidQuantile(least, at);
}
