/** Names of the processes that a journal came through, as its ledger has them. */
import { type JournalRef, type JournalStatus, parseLedger } from '@canopy/model';
import type { CanopyProcess } from './process.js';

/** The process that writes the journal first, this one last. */
export function pathOf(process: CanopyProcess, ref: JournalRef): string[] {
  const { name } = process.settings;
  if (ref === process.journal?.ref) return [name];
  const { trail } = process.puller?.ledgerOf(ref) ?? storedLedger(process, ref);
  return [...trail.map((level) => level.name), name];
}

/** What people call a journal: the process that writes it. */
export function nameOf(process: CanopyProcess, ref: JournalRef): string {
  const path = pathOf(process, ref);
  return path.length > 1 ? path[0] : `journal ${ref.slice(0, 8)}`;
}

/** As of the last look at the store. */
export function storedLedger({ pulse }: CanopyProcess, ref: JournalRef): JournalStatus['ledger'] {
  return parseLedger(pulse.states.get(ref)?.ledger ?? '');
}
