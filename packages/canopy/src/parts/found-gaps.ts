/** Gaps found in journals whose ledgers this process does not write yet: bounded, told once it does. */
import { type GapRecord, type JournalRef, PendingGaps } from '@canopy/model';

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
