/** Gaps found in journals whose ledgers this process does not write yet: bounded, told once it does. */
import type { FramePuller } from '@canopy/federation';
import { type GapRecord, type JournalRef, PendingGaps } from '@canopy/model';
import type { JournalWriter } from '@canopy/store';

/** A kill would forget gaps that were found in a journal and wait for its ledger: what they were found by must stay. */
export function hasUntoldGaps(
  { journal, puller }: { journal: JournalWriter | undefined; puller: FramePuller | undefined },
  ref: JournalRef,
): boolean {
  if (ref === journal?.ref) return !journal.untoldGaps.isEmpty;
  return puller?.hasUntoldGaps(ref) ?? true;
}

export class FoundGaps {
  readonly #byJournal = new Map<JournalRef, PendingGaps>();

  add(ref: JournalRef, gap: GapRecord): void {
    const found = this.#byJournal.get(ref) ?? new PendingGaps();
    found.add(gap);
    this.#byJournal.set(ref, found);
  }

  /** Hands out all of them and forgets them. */
  tell(name: (ref: JournalRef, gap: GapRecord) => void): void {
    const all = [...this.#byJournal];
    this.#byJournal.clear();
    for (const [ref, { gaps }] of all) for (const gap of gaps) name(ref, gap);
  }
}
