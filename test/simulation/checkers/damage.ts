/**
 * Nothing is called damaged that was not, and what is missing for damage was counted by a process that met it. That
 * no damaged value is answered, and that what is missing is named, `complete` asks for.
 *
 * Does not check: stores that fell back (what is gone behind the cut is told in the same way); that each damaged thing is found (nobody reads what is in memory, too).
 */
import type { JournalRef } from '@canopy/model';
import type { Level } from '../level.js';
import type { Checker, Outcome } from './outcome.js';

export const damage: Checker = (outcome) => outcome.levels.flatMap((level) => told(outcome, level));

function told(outcome: Outcome, level: Level): string[] {
  const { machine } = level;
  const own = machine.options.database;
  const faults: string[] = [];
  for (const [ref, { gaps }] of level.ledgers) {
    if (!gaps.some(({ cause }) => cause === 'corrupt')) continue;
    const isBelow = isDamagedBelow(outcome, level, ref);
    const name = `${machine.name} of ${ref.slice(0, 4)}`;
    // A tile that the store lost behind the cut is called the same.
    const isLost = outcome.hierarchy.databases.get('dbp')!.wentBack + own.wentBack > 0;
    if (!own.isDamaged && !isBelow && !isLost) {
      faults.push(`${name}: a gap is called corrupt, and nothing was damaged`);
    }
    if (!own.isDamaged || isBelow) continue;
    const { machines } = outcome.hierarchy;
    const beside = [...machines.values()].filter(({ options }) => options.database === own);
    const counted = beside.reduce((sum, other) => sum + other.corruptCounted, 0);
    if (counted === 0) faults.push(`${name}: a gap is called corrupt, and nobody counted anything`);
  }
  return faults;
}

/** On the way of a journal to a level. */
function isDamagedBelow(
  { hierarchy: { databases }, history }: Outcome,
  { machine }: Level,
  ref: JournalRef,
): boolean {
  const own = machine.options.database;
  const below = [history.truths.get(ref)?.writer ?? '', machine.name === 'g' ? 'dbp' : ''];
  return below.some((name) => databases.get(name) !== own && databases.get(name)?.isDamaged);
}
