/**
 * The ledger of a journal counts what its store was given: frames, bytes and gaps up to its position, at the writer
 * and at every level above; at the writer samples, too.
 *
 * Does not check: journals whose store, whose writer's store or one on the way fell back, was wiped or holds a damaged record, and such as were cut before
 * a level had everything (it counts what it got); filtered views.
 */
import { EntryKind, comparePositions } from '@canopy/model';
import type { Truth } from '../truth.js';
import { type Checker, truthsBelow } from './outcome.js';

export const ledgers: Checker = (outcome) =>
  outcome.levels.flatMap((level) => {
    const { machine } = level;
    const { database } = machine.options;
    // Over a parent.
    const isIndirect = machine.name === 'g' && outcome.hierarchy.databases.get('dbp')!.isDamaged;
    if (machine.name === 'f' || isIndirect || database.wentBack > 0 || database.isDamaged)
      return [];
    return truthsBelow(outcome, level).flatMap((truth) => {
      const state = level.states.get(truth.ref);
      const ledger = level.ledgers.get(truth.ref);
      if (state === undefined || ledger === undefined || truth.wentBack) return [];
      if (outcome.hierarchy.databases.get(truth.writer)?.isDamaged === true) return [];
      const isOwn = truth.writer === database.options.name;
      if (!isOwn && outcome.history.trimmed.has(truth.ref)) return [];
      const { frames, bytes, gaps } = countUpTo(truth, state);
      const faults: string[] = [];
      const check = (what: string, counted: number, given: number): void => {
        if (counted === given) return;
        const name = `${machine.name} of ${truth.writer}`;
        faults.push(`${name}: ${what} ${counted}, journalled ${given} up to ${state.sequence}`);
      };
      check('frames', ledger.frames, frames);
      check('bytes', ledger.bytes, bytes);
      if (!isOwn) check('gaps', ledger.gapsTotal, gaps);
      else if (comparePositions(truth.position, state) === 0) {
        check('samples', ledger.samples, truth.samples);
      }
      return faults;
    });
  });

function countUpTo(truth: Truth, position: { epoch: number; sequence: number }) {
  const counts = { frames: 0, bytes: 0, gaps: 0 };
  for (const entry of truth.entries.values()) {
    if (comparePositions(entry, position) > 0) continue;
    counts.bytes += entry.bytes.length;
    if (entry.kind === EntryKind.frame) counts.frames++;
    if (entry.kind === EntryKind.gap) counts.gaps++;
  }
  return counts;
}
