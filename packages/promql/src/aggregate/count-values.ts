/** count_values: one result series for each distinct value. */
import { type Labels, labelsKey } from '@canopy/model';
import { type Budget, LABELS_WORK, ROW_WORK } from '../eval/budget.js';
import type { Columns } from '../eval/columns.js';
import { withLabel } from '../eval/labels.js';
import { formatFloatPlain } from '../float.js';
import { type Grouping, groupNamer } from './grouping.js';

interface Counted {
  readonly labels: Labels;
  /** How many at each step that has any. */
  readonly byStep: Map<number, number>;
}

export async function countValues(
  input: Columns,
  grouping: Grouping,
  label: string,
  budget: Budget,
): Promise<Columns> {
  // The label of the value counts as one to group by.
  const names = grouping.without ? grouping.names : [...grouping.names, label];
  const nameGroup = groupNamer({ names, without: grouping.without });
  const { steps, values, present, labels } = input;
  const counted = new Map<string, Counted>();
  for (let row = 0; row < labels.length; row++) {
    const byValue = new Map<number | '-0', Counted>();
    for (let k = 0; k < steps; k++) {
      if (present[row * steps + k] === 0) continue;
      const value = values[row * steps + k];
      // A Map takes -0 for 0, the label tells them apart.
      const cacheKey = Object.is(value, -0) ? '-0' : value;
      let group = byValue.get(cacheKey);
      if (group === undefined) {
        const own = nameGroup(withLabel(labels[row], label, formatFloatPlain(value)));
        const key = labelsKey(own);
        group = counted.get(key);
        if (group === undefined) {
          group = { labels: own, byStep: new Map() };
          counted.set(key, group);
        }
        byValue.set(cacheKey, group);
      }
      group.byStep.set(k, (group.byStep.get(k) ?? 0) + 1);
    }
    if (budget.due(LABELS_WORK * (1 + byValue.size))) await budget.pause();
  }
  const output = budget.allocate(counted.size, steps);
  let row = 0;
  for (const group of counted.values()) {
    output.labels[row] = group.labels;
    for (const [k, count] of group.byStep) {
      output.values[row * steps + k] = count;
      output.present[row * steps + k] = 1;
    }
    row++;
    if (budget.due(group.byStep.size * ROW_WORK)) await budget.pause();
  }
  return output;
}
