/**
 * The words of the journal, and the ports that write one and take in what it holds.
 *
 * A journal is an ordered, durable run of entries of one process. An entry is known everywhere
 * by its origin (journal, epoch, sequence) and its bytes are the same on disk, on the wire and in Redis
 * (packages/encoding says how they look).
 */
import type { Labels } from './labels.js';
import type { Family } from './metric.js';
import type { DurationMs, Milliseconds } from './units.js';

declare const brand: unique symbol;

/** 128 random bits as 32 lower-case hexadecimal digits; made once for a storage path. */
export type JournalId = string & { readonly [brand]: 'journal id' };

/**
 * What a store and a head key by: a journal, or the part of it that one filter lets through
 * (`<journal id>` or `<journal id>.<8 hex digits of the filter's hash>`). Two filters on one
 * journal are two views with positions of their own.
 */
export type JournalRef = string & { readonly [brand]: 'journal ref' };

/** Counts from 1; goes up when sequence numbers may have been seen that this journal no longer knows. */
export type Epoch = number;
/** Counts from 1 within an epoch, below 2^53. Views of a filtered journal skip numbers. */
export type Sequence = number;
/** A group's number, u32, unique within an epoch of a journal, never reused there. */
export type GroupId = number;

/** A place in a journal; ordered by epoch, then sequence. Sequence 0 is before the first entry. */
export interface JournalPosition {
  readonly epoch: Epoch;
  readonly sequence: Sequence;
}

/** Before the first entry of any journal. */
export const JOURNAL_START: JournalPosition = { epoch: 0, sequence: 0 };

export function comparePositions(a: JournalPosition, b: JournalPosition): number {
  return a.epoch - b.epoch || a.sequence - b.sequence;
}

const JOURNAL_ID = /^[0-9a-f]{32}$/;
const JOURNAL_REF = /^[0-9a-f]{32}(\.[0-9a-f]{8})?$/;
export const isJournalId = (text: string): text is JournalId => JOURNAL_ID.test(text);
export const isJournalRef = (text: string): text is JournalRef => JOURNAL_REF.test(text);

/** The view of `journal` through a filter; `filterHash` is 8 hex digits, '' for all of it. */
export function journalRef(journal: JournalId, filterHash = ''): JournalRef {
  return (filterHash === '' ? journal : `${journal}.${filterHash}`) as string as JournalRef;
}

export function journalIdOf(ref: JournalRef): JournalId {
  return ref.slice(0, 32) as JournalId;
}

/**
 * Who reads a journal may forget a group, its layout too, that has said nothing for so long. Its writer goes
 * on as another group well before.
 */
export const GROUP_FORGOTTEN_MS = 24 * 3_600_000;

/** What an entry holds. Numbers are part of the format. */
export const EntryKind = { layout: 1, frame: 2, gap: 3 } as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

/**
 * One journal entry, as stored and sent. `bytes` is the whole record with header and checksum;
 * the fields are read from its header, except epoch and sequence, which come from where it lies.
 * Immutable; bytes may be a view into a larger buffer that lives as long as the entry.
 */
export interface JournalEntry {
  readonly epoch: Epoch;
  readonly sequence: Sequence;
  readonly kind: EntryKind;
  readonly group: GroupId;
  /** A frame's scrape time; when a layout was made; the end of a gap. */
  readonly time: Milliseconds;
  /** A frame that needs no earlier frame of its group. False for other kinds. */
  readonly key: boolean;
  readonly bytes: Uint8Array;
}

/** *Aligned*: one time for all slots of a frame. *Loose*: each sample has a time of its own. */
export type GroupKind = 'aligned' | 'loose';

/** What a group is. Two groups of one target (aligned and loose) differ in `kind` only. */
export interface GroupMeta {
  readonly kind: GroupKind;
  /** Labels of the target after relabelling (job, instance, …), `cluster` and external labels included. */
  readonly target: Labels;
  /** '' where nothing is scraped (rule results, remote write). */
  readonly scrapeUrl: string;
  /** Nominal time between frames; 0 where there is none. */
  readonly interval: DurationMs;
  /** The group of the same target that this one goes on from (restart, rebase), else 0. */
  readonly continues: GroupId;
}

/** One series of a group. */
export interface LayoutSlot {
  readonly labels: Labels;
  /** Index into the group's families, counted over all its layout records; -1 for none. */
  readonly family: number;
}

/**
 * One step of a group's layout: slots and families appended to what earlier records of the group
 * said. Version 1 is the first and the only one with `firstSlot` 0 and `firstFamily` 0. A changed
 * HELP or TYPE appends a family of the same name, which takes the place of the earlier one.
 */
export interface LayoutRecord {
  readonly group: GroupId;
  readonly version: number;
  readonly meta: GroupMeta;
  readonly firstSlot: number;
  readonly firstFamily: number;
  /** Keyed by `firstSlot + i`, unless a filter left some out: then `slotNumbers` says which. */
  readonly slots: readonly LayoutSlot[];
  /** Ascending slot numbers of `slots` in a filtered view; null where none was left out. */
  readonly slotNumbers: readonly number[] | null;
  readonly families: readonly Family[];
  /** Number of slots the group has after this record (filtered ones included). */
  readonly slotCount: number;
}

/** When slots from `firstSlot` on were added to a group. */
export interface LayoutStep {
  readonly firstSlot: number;
  readonly time: Milliseconds;
}

/** Why a stretch of time has no samples. */
export type GapCause =
  | 'restart' // unclean stop: frames not yet synced may have been lost
  | 'stopped' // clean stop: nothing was scraped
  | 'trimmed' // the journal was cut before the reader came
  | 'refused' // the store would not take it in time (full, unreachable)
  | 'corrupt' // stored bytes failed their checks
  | 'clock'; // the clock stepped back

/** A stretch without samples, named. */
export interface GapRecord {
  /** The group concerned; 0 for the whole journal. */
  readonly group: GroupId;
  /** Last time that is there (exclusive start of the gap). */
  readonly from: Milliseconds;
  /** First time that is there again (exclusive end). */
  readonly to: Milliseconds;
  readonly cause: GapCause;
  /** Frames known to be lost; -1 where nobody can know. */
  readonly frames: number;
}

/**
 * Port: writes groups into a journal. One for a process. Implemented by `store`'s JournalWriter.
 * What is written becomes readable (to readers of the store, to the Appender) once it is synced.
 */
export interface Journal {
  readonly id: JournalId;
  /** Opens a group. Its first record is journalled with its first frame. */
  openGroup(meta: Omit<GroupMeta, 'continues'>): GroupWriter;
  /**
   * Counts scrapes of a job that became no frame, by reason; those that did say so when they are
   * written. The ledger that goes with the next commit tells it.
   */
  countRefused(job: string, reason: string, count: number): void;
  /** Counts samples that were not written though what they came with was, by reason; as `countRefused`. */
  countLeftOut(reason: string, count: number): void;
  /** Counts ticks of a job that passed without a scrape; as `countRefused`. */
  countMissed(job: string, count: number): void;
  /**
   * To be awaited before a target is scraped for the first time; `time`: of its first frame. Resolves when a start after a
   * kill -9 would know that scrapes may have been answered, though none is synced yet; where the store does not take
   * that it resolves all the same, and tries again at the next call. Costs one small write in the life of a journal.
   */
  expectScrapes(time: Milliseconds): Promise<void>;
  /** Resolves when everything written before the call is synced. */
  flush(): Promise<void>;
}

/**
 * Port: the writing end of one group. Not for concurrent use. A slot's number is its place in
 * the columns handed to `write`.
 */
export interface GroupWriter {
  readonly slotCount: number;
  /** Adds a family (or a new description of one) and returns its index. */
  addFamily(family: Family): number;
  /** Adds a series; the caller makes sure that `labels` are not in the group yet. `family` -1: none. */
  addSlot(labels: Labels, family: number): number;
  /**
   * Writes one aligned frame. `states` and `values` hold at least `slotCount` entries, are read
   * during the call only and may be reused after it. A slot in state `none` that had a value in
   * the frame before just has no sample; the caller says `stale` where the series has ended.
   * `scrape`, for the ledger: the frame is what became of a scrape: '' as it came, else why all that came was
   * refused; undefined: no scrape (the end of a target).
   */
  write(time: Milliseconds, states: Uint8Array, values: Float64Array, scrape?: string): void;
  /** Writes samples with times of their own (groups of kind `loose`); columns of `count` entries. */
  writeLoose(
    count: number,
    slots: Uint32Array,
    times: Float64Array,
    states: Uint8Array,
    values: Float64Array,
  ): void;
  /**
   * Where more than half of the slots are absent, starts a new layout with the slots for which
   * `keep[slot]` is 1, and returns the new number of each old slot (-1: gone). The writer then goes on
   * as the group that continues this one; families stay.
   */
  rebase(keep: Uint8Array): Int32Array;
  /**
   * Gives slots a family that was not known when they were added (`familyOf[slot]`, -1: as it is). Starts a
   * new layout with the same slots; the writer goes on as the group that continues this one.
   */
  retype(familyOf: Int32Array): void;
  /** Nothing more will be written. Writes nothing by itself. */
  close(): void;
}

/** What one call of `apply` took in. Samples count values and stale marks. */
export interface ApplyTotals {
  frames: number;
  samples: number;
  /** Frames that were there already (same origin). */
  repeated: number;
  /** Frames that could not be decoded because their key frame or layout is not known. */
  undecodable: number;
  /** Samples refused, by reason (`out_of_order`, `duplicate`, `too_old`, `conflict`). */
  refused: Record<string, number>;
}

/**
 * Port: takes in journal entries that are synced, in their order within each journal, from the leaf's own journal,
 * from a pull or from recovery alike. Implemented by `head`.
 */
export interface Appender {
  /** Entries at or below the position already applied for `ref` are counted as repeated and dropped. */
  apply(ref: JournalRef, entries: readonly JournalEntry[]): ApplyTotals;
}
