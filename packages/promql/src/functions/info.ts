/**
 * info(): labels of info series added to the series of the same instance and job (Prometheus
 * promql/info.go). Which info series that is may change from step to step; each choice is a row.
 */
import { CanopyError, type Labels, METRIC_NAME, labelValue, labelsOf } from '@canopy/model';
import { valuesKey } from '../aggregate/grouping.js';
import { type Budget, LABELS_WORK, concatenate } from '../eval/budget.js';
import { type Columns, dropEmptyRows, stepsWithAny } from '../eval/columns.js';
import { describeLabels, mergeRows } from '../eval/labels.js';
import type { InfoSelection } from '../plan/info.js';

/** Labels by which an info series belongs to another. */
const IDENTIFYING = ['instance', 'job'];
const identity = valuesKey(IDENTIFYING);

/** Info series of one metric and identity: of several the one with the newest sample counts. */
interface InfoGroup {
  readonly rows: number[];
  /** By step, -1 where there is none; null where there is one row only. */
  newest: Int32Array | null;
}

/**
 * Takes over `base`. `info`: the times of the newest samples of the info series.
 * @throws CanopyError `execution` where two info series or two labels contradict each other.
 */
export async function addInfo(
  base: Columns,
  info: Columns,
  selection: InfoSelection,
  budget: Budget,
): Promise<Columns> {
  const isInfo = base.labels.map(
    (labels) =>
      selection.byName.length > 0 &&
      selection.byName.every((matcher) => matcher.matches(labelValue(labels, METRIC_NAME))),
  );
  const groupsOf = await groupInfo(base, isInfo, info, budget);
  const taken = new Set(selection.byLabel.map(({ name }) => name));
  const needsInfo = selection.byLabel.some((matcher) => !matcher.matches(''));
  const others: Columns[] = [];
  for (let row = 0; row < base.labels.length; row++) {
    if (isInfo[row]) continue;
    const groups = groupsOf.get(identity(base.labels[row])) ?? [];
    const nameOf = (chosen: readonly number[]): Labels | null =>
      chosen.length === 0 && needsInfo
        ? null
        : withInfo(
            base.labels[row],
            chosen.map((at) => info.labels[at]),
            taken,
          );
    splitRow(base, row, info, groups, nameOf, others, budget);
    if (budget.due(LABELS_WORK * (1 + groups.length) + base.steps * 4)) await budget.pause();
  }
  for (const other of others) budget.release(other);
  const all = others.length === 0 ? base : concatenate([base, ...others], budget);
  return mergeRows(dropEmptyRows(all), budget);
}

/** The groups by identity. An info series counts where its instance and job occur among others. */
async function groupInfo(
  base: Columns,
  isInfo: readonly boolean[],
  info: Columns,
  budget: Budget,
): Promise<Map<string, InfoGroup[]>> {
  const values = IDENTIFYING.map(() => new Set<string>());
  for (let row = 0; row < base.labels.length; row++) {
    if (isInfo[row]) continue;
    IDENTIFYING.forEach((name, i) => {
      const value = labelValue(base.labels[row], name);
      if (value !== '') values[i].add(value);
    });
    if (budget.due(LABELS_WORK)) await budget.pause();
  }
  const known = new Map<string, InfoGroup>();
  const groupsOf = new Map<string, InfoGroup[]>();
  if (values.every((set) => set.size === 0)) return groupsOf;
  for (let row = 0; row < info.labels.length; row++) {
    if (budget.due(LABELS_WORK)) await budget.pause();
    const labels = info.labels[row];
    const occurs = IDENTIFYING.every(
      (name, i) => values[i].size === 0 || values[i].has(labelValue(labels, name)),
    );
    if (!occurs) continue;
    const id = identity(labels);
    const key = `${labelValue(labels, METRIC_NAME)}\u0000${id}`;
    const group = known.get(key);
    if (group !== undefined) group.rows.push(row);
    else {
      const made: InfoGroup = { rows: [row], newest: null };
      known.set(key, made);
      const same = groupsOf.get(id);
      if (same === undefined) groupsOf.set(id, [made]);
      else same.push(made);
    }
  }
  const isAsked = stepsWithAny(base);
  for (const group of known.values()) {
    if (group.rows.length > 1) group.newest = newestRows(group.rows, info, isAsked);
    if (budget.due(group.rows.length * info.steps)) await budget.pause();
  }
  return groupsOf;
}

function newestRows(rows: readonly number[], info: Columns, isAsked: Uint8Array): Int32Array {
  const { steps, values: seconds, present, labels } = info;
  const newest = new Int32Array(steps).fill(-1);
  for (let k = 0; k < steps; k++) {
    if (isAsked[k] === 0) continue;
    for (const row of rows) {
      if (present[row * steps + k] === 0) continue;
      const best = newest[k];
      const time = seconds[row * steps + k];
      const bestTime = best < 0 ? Number.NEGATIVE_INFINITY : seconds[best * steps + k];
      if (time === bestTime) {
        const [one, two] = [best, row].map((at) => describeLabels(labels[at]));
        const ms = Math.round(time * 1000);
        throw new CanopyError(
          'execution',
          `found duplicate series for info metric: existing ${one} @ ${ms}, new ${two} @ ${ms}`,
        );
      }
      if (time > bestTime) newest[k] = row;
    }
  }
  return newest;
}

/** Leaves in `row` what belongs to its first choice; other choices become rows of `others`. */
function splitRow(
  base: Columns,
  row: number,
  info: Columns,
  groups: readonly InfoGroup[],
  nameOf: (chosen: readonly number[]) => Labels | null,
  others: Columns[],
  budget: Budget,
): void {
  const { steps, values, present } = base;
  // By choice of info series: null where there is no result, `base` where it stays in the row.
  const placeOf = new Map<string, Columns | null>();
  let stays: Labels | null = null;
  const place = (chosen: readonly number[]): Columns | null => {
    const labels = nameOf(chosen);
    if (labels === null) return null;
    if (stays === null) {
      stays = labels;
      return base;
    }
    const other = budget.allocate(1, steps);
    other.labels[0] = labels;
    others.push(other);
    return other;
  };
  const firstOther = others.length;
  for (let k = 0; k < steps; k++) {
    const at = row * steps + k;
    if (present[at] === 0) continue;
    const chosen = chosenAt(groups, info, k);
    const key = chosen.join();
    let to = placeOf.get(key);
    if (to === undefined) {
      to = place(chosen);
      placeOf.set(key, to);
    }
    if (to === base) continue;
    present[at] = 0;
    if (to === null) continue;
    to.present[k] = 1;
    to.values[k] = values[at];
  }
  if (stays !== null) base.labels[row] = stays;
  for (let i = firstOther; i < others.length; i++) budget.settle(others[i]);
}

/** The info series of each metric at a step, where there is one. */
function chosenAt(groups: readonly InfoGroup[], info: Columns, k: number): number[] {
  const chosen: number[] = [];
  for (const { rows, newest } of groups) {
    const row = newest === null ? rows[0] : newest[k];
    if (row >= 0 && info.present[row * info.steps + k] !== 0) chosen.push(row);
  }
  return chosen;
}

/** The labels with those of info series that are `taken` (all where empty) and not there yet. */
function withInfo(labels: Labels, infos: readonly Labels[], taken: ReadonlySet<string>): Labels {
  const own = new Map(pairsOf(labels));
  const added = new Map<string, string>();
  for (const info of infos) {
    for (const [name, value] of pairsOf(info)) {
      if (name === METRIC_NAME || (taken.size > 0 && !taken.has(name))) continue;
      const earlier = added.get(name);
      if (earlier !== undefined && earlier !== value) {
        throw new CanopyError('execution', `conflicting label: ${name}`);
      }
      if (!own.has(name)) added.set(name, value);
    }
  }
  return added.size === 0 ? labels : labelsOf([...own, ...added]);
}

function pairsOf(labels: Labels): Array<[name: string, value: string]> {
  const pairs: Array<[string, string]> = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i], labels[i + 1]]);
  return pairs;
}
