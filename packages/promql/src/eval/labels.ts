/** Label sets of rows: dropping the name, and rows that have become the same series. */
import {
  CanopyError,
  type Labels,
  METRIC_NAME,
  compareUtf8,
  labelValue,
  labelsKey,
} from '@canopy/model';
import { type Budget, LABELS_WORK } from './budget.js';
import { type Columns, moveRow, truncateRows } from './columns.js';

/** Labels that say what a metric is; arithmetic makes something else of it. */
export const METADATA_LABELS: ReadonlySet<string> = new Set([METRIC_NAME, '__type__', '__unit__']);
/** Label sets are in order, so what comes after this has none of them. */
const LAST_METADATA_LABEL = '__unit__';

/**
 * Label sets whose name goes once the query is worked out. By identity: labels go where their row
 * goes, and what is made of them here inherits it.
 */
const losing = new WeakSet<Labels>();
/** Fast path: where no query ever delays a removal, nothing is looked up. */
let anyLosing = false;

export const losesName = (labels: Labels): boolean => anyLosing && losing.has(labels);

/** The same labels, to lose their name in the end. */
export function losingName(labels: Labels): Labels {
  if (losing.has(labels)) return labels;
  const own = [...labels];
  losing.add(own);
  anyLosing = true;
  return own;
}

/** The labels without the metric's name (and type and unit, where those are labels). */
export function withoutName(labels: Labels): Labels {
  // Fast path: nearly always the name comes first, and of the others none after it.
  if (labels[0] === METRIC_NAME && !(labels[2] <= LAST_METADATA_LABEL)) {
    const out = labels.slice(2);
    inherit(labels, out);
    return out;
  }
  for (let i = 0; i < labels.length; i += 2) {
    if (METADATA_LABELS.has(labels[i])) return removeLabels(labels, METADATA_LABELS);
  }
  return labels;
}

/** The labels with one set, changed or (where the value is '') removed. */
export function withLabel(labels: Labels, name: string, value: string): Labels {
  const out: string[] = [];
  let done = value === '';
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] === name) continue;
    if (!done && compareUtf8(name, labels[i]) < 0) {
      out.push(name, value);
      done = true;
    }
    out.push(labels[i], labels[i + 1]);
  }
  if (!done) out.push(name, value);
  // A name that is set is there to stay.
  if (name !== METRIC_NAME) inherit(labels, out);
  return out;
}

/** Only the labels of these names. */
export function keepLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  const out: string[] = [];
  for (let i = 0; i < labels.length; i += 2) {
    if (names.has(labels[i])) out.push(labels[i], labels[i + 1]);
  }
  inherit(labels, out);
  return out;
}

export function removeLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  const out: string[] = [];
  for (let i = 0; i < labels.length; i += 2) {
    if (!names.has(labels[i])) out.push(labels[i], labels[i + 1]);
  }
  inherit(labels, out);
  return out;
}

function inherit(from: Labels, to: Labels): void {
  if (losesName(from)) losing.add(to);
}

/** Removes the names that were to be removed in the end. */
export async function removeNames(columns: Columns, budget: Budget): Promise<Columns> {
  if (!budget.rules.delayedNameRemoval) return columns;
  const { labels } = columns;
  for (let row = 0; row < labels.length; row++) {
    if (losesName(labels[row])) labels[row] = withoutName(labels[row]);
    if (budget.due(LABELS_WORK / 4)) await budget.pause();
  }
  return mergeRows(columns, budget);
}

/**
 * Removes the metric's name from all rows, now or in the end; rows that are the same series then
 * become one.
 */
export async function dropNames(columns: Columns, budget: Budget): Promise<Columns> {
  const { labels } = columns;
  if (budget.rules.delayedNameRemoval) {
    for (let row = 0; row < labels.length; row++) {
      labels[row] = losingName(labels[row]);
      if (budget.due(LABELS_WORK / 4)) await budget.pause();
    }
    return columns;
  }
  const first = labels.length > 0 ? labelValue(labels[0], METRIC_NAME) : '';
  let sameName = true;
  for (let row = 0; row < labels.length; row++) {
    if (sameName && labelValue(labels[row], METRIC_NAME) !== first) sameName = false;
    const dropped = withoutName(labels[row]);
    if (labels[row].length - dropped.length > 2) sameName = false;
    labels[row] = dropped;
    if (budget.due(LABELS_WORK / 4)) await budget.pause();
  }
  // Fast path: series of one metric stay distinct without its name.
  return sameName ? columns : mergeRows(columns, budget);
}

export const SAME_LABELSET = 'vector cannot contain metrics with the same labelset';

/**
 * Rows with equal labels become one where no step has a value of both.
 * @throws CanopyError `execution` where one has.
 */
export async function mergeRows(columns: Columns, budget: Budget): Promise<Columns> {
  const { labels } = columns;
  if (labels.length < 2) return columns;
  const rowByKey = new Map<string, number>();
  let kept = 0;
  for (let row = 0; row < labels.length; row++) {
    const key = labelsKey(labels[row]);
    const earlier = rowByKey.get(key);
    if (earlier === undefined) {
      rowByKey.set(key, kept);
      moveRow(columns, row, kept);
      kept++;
    } else {
      addRow(columns, row, earlier);
      if (losesName(labels[row])) labels[earlier] = losingName(labels[earlier]);
    }
    if (budget.due(LABELS_WORK + columns.steps)) await budget.pause();
  }
  truncateRows(columns, kept);
  return columns;
}

function addRow(columns: Columns, from: number, to: number): void {
  const { steps, values, present } = columns;
  let source = from * steps;
  let target = to * steps;
  for (let k = 0; k < steps; k++, source++, target++) {
    if (present[source] === 0) continue;
    if (present[target] !== 0) throw new CanopyError('execution', SAME_LABELSET);
    present[target] = 1;
    values[target] = values[source];
  }
}

/** `{__name__="x", a="b"}`: Prometheus's way to print a label set in errors. */
export function describeLabels(labels: Labels): string {
  const parts: string[] = [];
  for (let i = 0; i < labels.length; i += 2) {
    parts.push(`${labels[i]}=${JSON.stringify(labels[i + 1])}`);
  }
  return `{${parts.join(', ')}}`;
}
