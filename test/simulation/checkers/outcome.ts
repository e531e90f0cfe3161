/** What a checker looks at when a run is over, everything works again and every level has had time to catch up. */
import type { JournalPosition, JournalRef } from '@canopy/model';
import type { Hierarchy } from '../hierarchy.js';
import type { History } from '../history.js';
import type { Level } from '../level.js';
import type { Truth } from '../truth.js';

export interface Outcome {
  readonly hierarchy: Hierarchy;
  readonly history: History;
  readonly levels: readonly Level[];
  /** Up to here each journal must have come everywhere. */
  readonly upTo: ReadonlyMap<JournalRef, JournalPosition>;
}

/** What is wrong, a line each. */
export type Checker = (outcome: Outcome) => string[];

/** Journals that a level has, by who writes them. */
export function truthsBelow({ hierarchy, history }: Outcome, { machine }: Level): Truth[] {
  const { machines } = hierarchy;
  const leaves = hierarchy.plan.leaves.map((name) => machines.get(name)!.options.database);
  const own = machine.options.database;
  const below = new Set([own]);
  if (machine.options.role === 'parent') for (const database of leaves) below.add(database);
  if (machine.name === 'g') below.add(machines.get('p1')!.options.database);
  const names = new Set([...below].map(({ options }) => options.name));
  return [...history.truths.values()].filter(({ writer }) => names.has(writer));
}
