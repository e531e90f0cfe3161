/** Which rows are aggregated together, and what the group is called. */
import { type Labels, METRIC_NAME, NO_LABELS, labelValue, labelsKey } from '@canopy/model';
import { type Budget, LABELS_WORK, ROW_WORK } from '../eval/budget.js';
import { keepLabels, losesName, losingName, removeLabels } from '../eval/labels.js';

export interface Groups {
  /** Group of each row. */
  readonly ofRow: Int32Array;
  /** In order of their first row. */
  readonly labels: Labels[];
}

export interface Grouping {
  readonly names: readonly string[];
  readonly without: boolean;
}

export async function groupRows(
  rows: readonly Labels[],
  grouping: Grouping,
  budget: Budget,
): Promise<Groups> {
  const ofRow = new Int32Array(rows.length);
  const labels: Labels[] = [];
  // Fast path: everything into one.
  if (!grouping.without && grouping.names.length === 0) {
    return { ofRow, labels: rows.length > 0 ? [NO_LABELS] : [] };
  }
  const name = groupNamer(grouping);
  const keyOf = grouping.without ? null : valuesKey([...new Set(grouping.names)]);
  const groupByKey = new Map<string, number>();
  for (let row = 0; row < rows.length; row++) {
    // Without a list of names the group's own labels are its key.
    const own = keyOf === null ? name(rows[row]) : null;
    const key = own === null ? keyOf!(rows[row]) : labelsKey(own);
    let group = groupByKey.get(key);
    if (group === undefined) {
      group = labels.length;
      groupByKey.set(key, group);
      labels.push(own ?? name(rows[row]));
    }
    ofRow[row] = group;
    // A group loses its name where any of its rows does.
    if (losesName(rows[row])) labels[group] = losingName(labels[group]);
    if (budget.due(LABELS_WORK)) await budget.pause();
  }
  return { ofRow, labels };
}

/** The rows of each number below `count`, from the number of each row. */
export async function rowsByNumber(
  ofRow: Int32Array,
  count: number,
  budget: Budget,
): Promise<number[][]> {
  const rows: number[][] = [];
  for (let number = 0; number < count; number++) {
    rows.push([]);
    if (budget.due(ROW_WORK)) await budget.pause();
  }
  for (let row = 0; row < ofRow.length; row++) {
    rows[ofRow[row]].push(row);
    if (budget.due(ROW_WORK)) await budget.pause();
  }
  return rows;
}

/** A row's labels to its group's. */
export function groupNamer({ names, without }: Grouping): (labels: Labels) => Labels {
  const set = new Set(names);
  if (!without) return (labels) => keepLabels(labels, set);
  set.add(METRIC_NAME);
  return (labels) => removeLabels(labels, set);
}

/** A key of the values of these labels; a missing label and an empty one are the same. */
export function valuesKey(names: readonly string[]): (labels: Labels) => string {
  if (names.length === 0) return () => '';
  if (names.length === 1) return (labels) => labelValue(labels, names[0]);
  return (labels) => {
    let key = '';
    for (const name of names) {
      const value = labelValue(labels, name);
      key += `${value.length}:${value}`;
    }
    return key;
  };
}
