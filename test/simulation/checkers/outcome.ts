/** What a checker looks at when a run is over, everything works again and every level has had time to catch up. */
import { JOURNAL_START, type JournalPosition, type JournalRef } from '@canopy/model';
import type { Hierarchy } from '../hierarchy.js';
import type { History } from '../history.js';
import type { Level } from '../level.js';
import type { Probe } from '../probes.js';
import type { Run, Truth } from '../truth.js';

export interface Outcome {
  readonly hierarchy: Hierarchy;
  readonly history: History;
  readonly levels: readonly Level[];
  readonly probes: readonly Probe[];
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

/** Its writer has left for good, or its writer's store lost it with its name and goes on as another journal. */
export function isOver({ machines, databases }: Hierarchy, truth: Truth): boolean {
  const { ref, writer, wentBack } = truth;
  if (wentBack && databases.get(writer)?.store.position(ref) === undefined) return true;
  return [...machines.values()].some(
    ({ isGone, options }) => isGone && options.database.options.name === writer,
  );
}

/** Up to here a level must have a journal: of one that is over, as far as it says itself that it has it. */
export function owedUpTo(
  { hierarchy, history, upTo }: Outcome,
  { states }: Level,
  ref: JournalRef,
): JournalPosition {
  const truth = history.truths.get(ref);
  const isLeft = truth !== undefined && isOver(hierarchy, truth);
  return (isLeft ? states : upTo).get(ref) ?? JOURNAL_START;
}

export const instanceOf = (labels: ReadonlyMap<string, string>): string =>
  labels.get('instance') ?? '';

/** All runs that were ever journalled of each target. */
export function runsByInstance({ history }: Outcome): Map<string, Run[]> {
  const runs = new Map<string, Set<Run>>();
  for (const { series } of history.truths.values()) {
    for (const { labels, samples } of series.values()) {
      if (labels.get('job') !== 'farm' || labels.get('__name__') !== 'up') continue;
      const instance = instanceOf(labels);
      const known = runs.get(instance) ?? new Set<Run>();
      for (const { run } of samples) known.add(run);
      runs.set(instance, known);
    }
  }
  return new Map([...runs].map(([instance, known]) => [instance, [...known]]));
}

/** Without a frame for longer than so many intervals a run is not gone on with (head's merge). */
export const RUN_BREAK_INTERVALS = 2;

/** Two runs have the target at that time, or one may still go on: its series hide those of the other meanwhile. */
export const isContested = (runs: readonly Run[], time: number): boolean =>
  runs.filter(
    ({ first, last, interval }) => first <= time && time <= last + RUN_BREAK_INTERVALS * interval,
  ).length > 1;

/** Whether the plan does that to a machine or a target. */
export function hasFault({ hierarchy }: Outcome, kind: string, name: string): boolean {
  return hierarchy.plan.faults.some(
    ({ fault }) =>
      (fault.kind === kind || fault.kind === `kill and ${kind}`) &&
      (('machine' in fault && fault.machine === name) ||
        ('target' in fault && fault.target === name)),
  );
}

/** Whether a clock was set of one of those that write to a database: a standby has its parent's. */
export function isClockSet(outcome: Outcome, writer: string): boolean {
  const { machines } = outcome.hierarchy;
  return [...machines.values()].some(
    ({ name, options }) =>
      options.database.options.name === writer && hasFault(outcome, 'clock', name),
  );
}
