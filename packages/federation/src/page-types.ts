/**
 * What a page says; page.ts turns it into bytes and back.
 */
import type {
  HierarchyStatus,
  JournalEntry,
  JournalId,
  JournalPosition,
  JournalRef,
  TrailLevel,
} from '@canopy/model';

/** One journal (or one filter's view of it) in a page. */
export interface JournalSection {
  readonly ref: JournalRef;
  /** The position the reader asked with; the section's entries come after it. */
  readonly from: JournalPosition;
  /** The position after the section: at or after its last entry, never before `from`. */
  readonly position: JournalPosition;
  /** The newest position the source has. */
  readonly newest: JournalPosition;
  /** The position before the oldest entry the source keeps. */
  readonly trimmed: JournalPosition;
  /**
   * Somebody who has taken in this section has all that happened up to this time (ms since epoch);
   * 0 where the source cannot say.
   */
  readonly watermark: number;
  /**
   * How long the source keeps an entry that is written now. Milliseconds; -1 where it cannot say.
   */
  readonly keptFor: number;
  /** The source has more entries after `position` at once. */
  readonly more: boolean;
  /**
   * The reader's position was beyond the end of the journal: the source lost what the reader has,
   * and goes on in a new epoch.
   */
  readonly epochBreak: boolean;
  /** From the beginning, since the reader's cursor is of another version. */
  readonly begunAnew?: boolean;
  /** Opaque text the reader stores with `position` and sends with its next pull. */
  readonly cursor: string;
  /** Ascending positions within (from, position]. */
  readonly entries: readonly JournalEntry[];
  /** About how many bytes of entries the source has after `position`. */
  readonly behindBytes: number;
  /**
   * What each process on the way counted, the journal's writer first, the server last; the server's as of
   * exactly `position`. Empty most of the time: where the reader is behind, or was told a moment ago.
   */
  readonly trail: readonly TrailLevel[];
}

/** The answer to one pull. */
export interface Page {
  readonly serverName: string;
  /** Wall clock of the server when the page was made. Milliseconds since the epoch. */
  readonly serverTime: number;
  /** The server's view of itself and what is below it; undefined where it sends none. */
  readonly report: HierarchyStatus | undefined;
  /** It sent one that cannot be used. */
  readonly isReportUnusable?: true;
  /** Journals the server has but left out because the reader asked so (its own: a loop). */
  readonly excluded: readonly JournalId[];
  /** Every journal the server has, also those without new entries. */
  readonly journals: readonly JournalSection[];
}
