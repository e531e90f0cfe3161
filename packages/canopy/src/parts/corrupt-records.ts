/** Stored records that fail their checks: counted, said, and the time that is missing for them named. */
import type { GapRecord, JournalRef } from '@canopy/model';
import type { CorruptRecord } from '@canopy/store';
import type { Log } from '../log.js';

/** Records that are told apart; what is beyond is only skipped. */
const RECORDS_MAX = 10_000;

export interface MissingPart {
  readonly ref: JournalRef;
  readonly gap: GapRecord;
}

export class CorruptRecords {
  readonly #log: Log;
  readonly #name: (ref: JournalRef, gap: GapRecord) => void;
  /** By place. */
  readonly #records = new Map<string, CorruptRecord>();

  /** `name`: says in a ledger what is missing; for the same again harmless. */
  constructor(log: Log, name: (ref: JournalRef, gap: GapRecord) => void) {
    this.#log = log;
    this.#name = name;
  }

  get count(): number {
    return this.#records.size;
  }

  /**
   * One was met: counted and logged once, however often it is read, but named each time, for the ledger that named it may
   * have been lost with its store.
   */
  note(record: CorruptRecord): void {
    const { journal: ref, what, place, gap } = record;
    const key = `${ref ?? ''} ${what} ${place}`;
    if (!this.#records.has(key)) {
      if (this.#records.size >= RECORDS_MAX) return;
      this.#records.set(key, record);
      this.#log('error', 'a stored record fails its checks and is not used', { ...record });
    }
    if (ref !== null && gap !== null) this.#name(ref, gap);
  }

  /** What is missing for those found so far. */
  *missing(): Iterable<MissingPart> {
    for (const { journal: ref, gap } of this.#records.values()) {
      if (ref !== null && gap !== null) yield { ref, gap };
    }
  }
}
