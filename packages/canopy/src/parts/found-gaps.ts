/** Gaps found in journals whose ledgers this process does not write yet: bounded, told once it does, and shown before. */
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

/** What writes ledgers; on standby there is neither. */
export interface LedgerWriters {
  readonly journal: JournalWriter | undefined;
  readonly puller: FramePuller | undefined;
}

export class FoundGaps {
  readonly #writers: LedgerWriters;
  /** Of journals that this process does not write yet. */
  readonly #byJournal = new Map<JournalRef, PendingGaps>();

  /** `writers`: as they are at each time. */
  constructor(writers: LedgerWriters) {
    this.#writers = writers;
  }

  /** In the ledger of the journal concerned, where this process writes it; else when it does. */
  name(ref: JournalRef, gap: GapRecord): void {
    const { journal, puller } = this.#writers;
    if (ref === journal?.ref) return journal.nameGap(gap);
    if (puller !== undefined) return puller.nameGap(ref, gap);
    const found = this.#byJournal.get(ref) ?? new PendingGaps();
    found.add(gap);
    this.#byJournal.set(ref, found);
  }

  /** Those of a journal that the stored ledger does not name: not yet, or on standby. */
  of(ref: JournalRef): readonly GapRecord[] {
    const { journal, puller } = this.#writers;
    if (ref === journal?.ref) return journal.untoldGaps.gaps;
    return puller?.untoldGaps(ref) ?? this.#byJournal.get(ref)?.gaps ?? [];
  }

  /** There is a puller now. */
  tell(): void {
    const all = [...this.#byJournal];
    this.#byJournal.clear();
    for (const [ref, { gaps }] of all) for (const gap of gaps) this.name(ref, gap);
  }

  /** Takes what a puller that is gone could not tell. */
  takeFrom(puller: FramePuller): void {
    for (const ref of puller.refs()) {
      for (const gap of puller.untoldGaps(ref)) this.name(ref, gap);
    }
  }
}
