import type { RefusalReason } from '../page.js';

/** Plain counts of a puller since the start. */
export interface PullTotals {
  pages: number;
  /** Bytes of pages, before compression. */
  pageBytes: number;
  entries: number;
  frames: number;
  samples: number;
  /** Entries that were stored already. */
  repeated: number;
  /** Pages refused whole. */
  refusedPages: Record<RefusalReason, number>;
  /** Reports that could not be used; their pages were taken. */
  unusableReports: number;
  /** Sections that would have left a hole. */
  ahead: number;
  /** Our own journal handed back to us. */
  loops: number;
  /** Pages refused whole because of a journal that is another's. */
  foreignJournals: number;
  /** Sections left to the source that is their journal's home. */
  homedElsewhere: number;
  /** Groups refused for a label that their source may not write. */
  forgedGroups: number;
  /** The store was not where we thought it was. */
  behind: number;
  absent: number;
  fenced: number;
  /** The source began a new epoch because it had lost what we have. */
  epochBreaks: number;
  /** The source could not read our cursor and began anew. */
  begunAnew: number;
  /** Stored documents that could not be read, by name. */
  unreadable: Record<string, number>;
}

export const emptyTotals = (): PullTotals => ({
  pages: 0,
  pageBytes: 0,
  entries: 0,
  frames: 0,
  samples: 0,
  repeated: 0,
  refusedPages: { damaged: 0, version: 0, too_large: 0, inconsistent: 0 },
  unusableReports: 0,
  ahead: 0,
  loops: 0,
  foreignJournals: 0,
  homedElsewhere: 0,
  forgedGroups: 0,
  behind: 0,
  absent: 0,
  fenced: 0,
  epochBreaks: 0,
  begunAnew: 0,
  unreadable: {},
});
