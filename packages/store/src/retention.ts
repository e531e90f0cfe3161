/** Which part of a process's own journal may go, and its going. */
import {
  type DurationMs,
  JOURNAL_START,
  type JournalPosition,
  type Milliseconds,
  type Store,
  asTime,
  comparePositions,
} from '@canopy/model';
import type { StoreLog } from './health.js';
import type { Mark } from './journal/journal-index.js';
import type { JournalWriter } from './journal/journal-writer.js';

export interface JournalTrimmerOptions {
  readonly store: Store;
  readonly journal: JournalWriter;
  /** What is younger stays. 0: no limit by age. */
  readonly maxAge: DurationMs;
  /** Over it the oldest goes, whatever its age. 0: no limit by bytes. */
  readonly maxBytes: number;
  /** Also forget layouts of groups without frames; false where tiles still need them. */
  readonly dropLayouts: boolean;
  readonly log: StoreLog;
}

export interface TrimOutcome {
  readonly bytesFreed: number;
  /** Position before the oldest entry kept. */
  readonly trimmed: JournalPosition;
}

/** Limits of one trim; undefined where there is none. */
export interface TrimLimits {
  /** Entries of this time or younger stay. */
  readonly keepFrom: Milliseconds | undefined;
  /** Entry bytes, counted as in marks, up to which everything goes whatever its age. */
  readonly dropBytes: number | undefined;
  /** Entries after it stay. */
  readonly keepAfter: JournalPosition | undefined;
}

export interface Cut {
  /** Everything up to it may go; undefined: nothing. */
  readonly upTo: JournalPosition | undefined;
  /** Groups go too long without key frames for the limit on bytes. */
  readonly short: boolean;
}

/**
 * Chooses among the places where a journal can be cut: whatever is after the mark can be decoded
 * then. Key frames of groups are spread, so of some groups a few frames between the cut and the mark have
 * lost theirs. They are older than what is to be kept; a reader behind the cut names them, each group's up
 * to its next key frame (Head, FilterView).
 */
export function chooseCut(marks: readonly Mark[], limits: TrimLimits): Cut {
  const { keepFrom, dropBytes, keepAfter } = limits;
  let upTo: JournalPosition | undefined;
  let enough = dropBytes === undefined || dropBytes <= 0;
  for (const mark of marks) {
    if (keepAfter !== undefined && comparePositions(mark.cut, keepAfter) > 0) {
      return { upTo, short: false };
    }
    const old = keepFrom !== undefined && mark.time < keepFrom;
    if (old || !enough) upTo = mark.cut;
    enough ||= bytesBefore(marks, mark.cut) >= dropBytes!;
  }
  return { upTo, short: !enough };
}

/**
 * Where to begin reading a journal for everything from `time` on: each group can be decoded from
 * there. JOURNAL_START where nothing is known.
 */
export function replayFrom(journal: JournalWriter, time: Milliseconds): JournalPosition {
  const limits = { keepFrom: time, dropBytes: undefined, keepAfter: undefined };
  return chooseCut(journal.index.marks, limits).upTo ?? JOURNAL_START;
}

/** A lower bound of the entry bytes up to a position: what marks at or before it say. */
function bytesBefore(marks: readonly Mark[], position: JournalPosition): number {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePositions(marks[middle].position, position) <= 0) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : marks[low - 1].bytes;
}

/** Cuts a process's own journal so that every group stays decodable from what is left. */
export class JournalTrimmer {
  readonly #options: JournalTrimmerOptions;

  constructor(options: JournalTrimmerOptions) {
    this.#options = options;
  }

  /**
   * Keeps what is after `keepAfter`, where given, even over the limits. Not for concurrent use.
   * @throws CanopyError of the store.
   */
  async trim(now: Milliseconds, keepAfter?: JournalPosition): Promise<TrimOutcome> {
    const { store, journal, maxAge, maxBytes, log } = this.#options;
    const { index } = journal;
    const cut = chooseCut(index.marks, {
      keepFrom: maxAge === 0 ? undefined : asTime(now - maxAge),
      dropBytes: maxBytes === 0 ? undefined : index.bytes - maxBytes,
      keepAfter,
    });
    if (cut.short) {
      log('debug', 'the journal is over its limit of bytes: key frames are asked for');
      journal.requestKeyFrames();
    }
    const bytesFreed =
      cut.upTo === undefined ? 0 : await store.trimJournal(journal.lease, cut.upTo);
    const trimmed = (await store.journal(journal.ref))?.trimmed ?? JOURNAL_START;
    index.trimmed(trimmed);
    await this.#forgetGroups(trimmed);
    return { bytesFreed, trimmed };
  }

  /** Groups without entries that are not written any more. */
  async #forgetGroups(trimmed: JournalPosition): Promise<void> {
    const { store, journal, dropLayouts } = this.#options;
    const { index, openGroups } = journal;
    const gone = [...index.groups.values()].filter(
      ({ group, last }) => !openGroups.has(group) && comparePositions(last, trimmed) <= 0,
    );
    if (gone.length === 0) return;
    if (dropLayouts) {
      const places = gone.map(({ group, last }) => ({ epoch: last.epoch, group }));
      await store.dropLayouts(journal.lease, places, trimmed);
    }
    for (const { group } of gone) index.forget(group);
  }
}
