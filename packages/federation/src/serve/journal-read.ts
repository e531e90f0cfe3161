/**
 * Reads what a page says of one journal: what comes after the reader's cursor, in as many
 * steps as the page's budget allows.
 */
import { decodeGap, encodeEntry, encodeGap, entryPayload } from '@canopy/encoding';
import {
  EntryKind,
  FormatError,
  type GapCause,
  JOURNAL_START,
  type JournalEntry,
  type JournalId,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Milliseconds,
  type Store,
  type TrailLevel,
  asTime,
  comparePositions,
  parseLedger,
} from '@canopy/model';
import { type Cursor, type ReadCursor, encodeCursor } from '../cursor.js';
import type { JournalSection } from '../page-types.js';
import { proofOf } from '../proof.js';
import type { Branches } from './branches.js';
import type { FilterView } from './filter-view.js';
import type { LayoutReader } from './layouts.js';
import type { ViewSource } from './views.js';

/** Read from the store at once: small enough not to hold the event loop. */
const CHUNK_BYTES = 256 * 1024;
/** Through a filter frames are decoded and encoded again: four times the work. */
const FILTERED_CHUNK_BYTES = 64 * 1024;
const CHUNK_ENTRIES = 2048;
const ONE_ENTRY = { maxBytes: 1, maxEntries: 1 };

export interface Budget {
  /** Bytes of entries. */
  bytes: number;
  entries: number;
  /** Clock.monotonic() at which the page is to be sent. */
  readonly deadline: number;
}

export interface ReadParts {
  readonly store: Store;
  readonly layouts: LayoutReader;
  readonly branches: Branches;
  /** The journal this process writes, and what its cursors are signed with. */
  readonly ownJournal: JournalId;
  readonly cursorKey: Uint8Array;
  /** Null where the reader gets all of the journal. */
  readonly views: ViewSource | null;
  now(): Milliseconds;
  monotonic(): number;
  /** A frame may stand in a journal this much later than a frame that is younger. Milliseconds. */
  readonly reorder: number;
}

/** Counts of one section. */
export interface ReadTotals {
  gaps: number;
  layoutDumps: number;
}

export class JournalRead {
  readonly totals: ReadTotals = { gaps: 0, layoutDumps: 0 };
  readonly #parts: ReadParts;
  /** The journal as it is stored, and the view of it that the reader asked for. */
  readonly #stored: JournalState;
  readonly #ref: JournalRef;
  readonly #cursor: ReadCursor;
  readonly #from: JournalPosition;
  #position = JOURNAL_START;
  /** No frame after `position` is of this time or before, unless the clock stepped back. */
  #complete = 0;
  #told = JOURNAL_START;
  #replay = 0;
  /** Of the entry at `position`, where one is there. */
  #proof: number | undefined;
  /** The reader's newest entry is another than ours: what follows here does not follow on it. */
  #isBranched = false;
  #newest: JournalPosition;
  #trimmed: JournalPosition;
  #entries: JournalEntry[] = [];
  #view: FilterView | null = null;
  /** There may be more to read. */
  #open: boolean;

  constructor(
    parts: ReadParts,
    stored: JournalState,
    ref: JournalRef,
    cursor: ReadCursor | undefined,
  ) {
    this.#parts = parts;
    this.#stored = stored;
    this.#ref = ref;
    // Who begins may have lost what it had (its store was wiped while it was down): it is told what is gone, as everybody.
    const beginning = {
      ref,
      position: JOURNAL_START,
      complete: 0,
      told: JOURNAL_START,
      replay: 0,
      proof: undefined,
    };
    this.#cursor = cursor ?? { ...beginning, isGenuine: true };
    this.#from = this.#cursor.position;
    this.#rewind();
    this.#newest = stored.position;
    this.#trimmed = stored.trimmed;
    this.#open = comparePositions(this.#from, stored.position) < 0;
  }

  #rewind(): void {
    const { position, complete, told, replay, proof } = this.#cursor;
    this.#position = position;
    this.#proof = proof;
    this.#complete = complete;
    this.#told = told;
    this.#replay = replay;
  }

  /** Looks whether the reader is on another branch of the journal. Before anything is read. @throws CanopyError of the store. */
  async compare(): Promise<void> {
    const { branches } = this.#parts;
    this.#isBranched = await branches.isOther(this.#stored, this.#cursor, this.#isOwn);
    if (this.isHeld) this.#open = false;
  }

  /** The reader's newest entry is another than ours. */
  get isBranched(): boolean {
    return this.#isBranched;
  }

  /** And there is no later epoch to go on with: it gets nothing until there is. */
  get isHeld(): boolean {
    return this.#isBranched && this.#stored.position.epoch === this.#from.epoch;
  }

  /** The reader has what this journal does not know. */
  get isBeyond(): boolean {
    return comparePositions(this.#from, this.#stored.position) > 0;
  }

  /** The reader says so, but nobody gave it that cursor. Of a journal that is passed on its own source knows. */
  get isForged(): boolean {
    return (this.isBeyond || this.#isBranched) && this.#isOwn && !this.#cursor.isGenuine;
  }

  get #isOwn(): boolean {
    return (this.#stored.ref as string) === this.#parts.ownJournal;
  }

  get hasMore(): boolean {
    return this.#open;
  }

  get from(): JournalPosition {
    return this.#from;
  }

  /** Entries after it are needed to go on from there: a filtered view is made again from older ones. */
  get needs(): JournalPosition {
    const { position, replay } = this.#cursor;
    return { epoch: position.epoch, sequence: Math.max(0, position.sequence - replay) };
  }

  /** How old what the reader has is; readers without anything come first. */
  get complete(): number {
    return this.#complete;
  }

  /** Reads one step; takes what it took off the budget. False when there is nothing to read now. */
  async step(budget: Budget): Promise<boolean> {
    if (!this.#open) return false;
    const { epoch } = this.#from;
    if (this.#isBranched && this.#position.epoch === epoch) await this.#leaveBranch(budget);
    if (this.#parts.views !== null && this.#view === null) {
      const start = { position: this.#position, replay: this.#replay };
      const ready = await this.#parts.views.at(this.#stored, this.#ref, start, budget.deadline);
      // Still being made again: the next request goes on with it.
      if (ready === null) return false;
      this.#view = ready;
    }
    if (comparePositions(this.#position, this.#trimmed) < 0) return this.#stepLayouts(budget);
    return this.#stepEntries(budget);
  }

  /** The section; nothing may be read after it. `trail`: for a reader that has all of `stored` then. */
  finish(
    watermark: number,
    keptFor: number,
    epochBreak: boolean,
    trail: (since: number) => readonly TrailLevel[],
  ): JournalSection {
    const { cursorKey } = this.#parts;
    // Of a reader that has more, or other entries, nobody knows what happened since: what its journal lost is not named yet.
    const isKnown = !this.isBeyond && !this.isHeld;
    const isWhole = isKnown && comparePositions(this.#position, this.#stored.position) >= 0;
    const isMoved = comparePositions(this.#position, this.#from) > 0;
    if (this.#view !== null && this.#parts.views !== null) {
      const { sequence } = this.#view.replayFrom();
      this.#replay = this.#position.sequence - sequence;
      this.#parts.views.keep(this.#ref, this.#position, this.#view, isMoved);
    }
    const cursor: Cursor = {
      ref: this.#ref,
      position: this.#position,
      complete: isWhole ? this.#completeAtEnd(watermark) : this.#complete,
      told: this.#told,
      replay: this.#replay,
      proof: this.#proof,
    };
    // What was read here just now.
    if (isMoved) this.#parts.branches.note(this.#stored, cursor);
    return {
      ref: this.#ref,
      from: this.#from,
      position: this.#position,
      newest: this.#newest,
      trimmed: this.#trimmed,
      watermark: isWhole ? watermark : Math.min(watermark, this.#complete),
      keptFor,
      more: this.#open,
      epochBreak,
      cursor: encodeCursor(cursor, this.#isOwn ? cursorKey : undefined),
      entries: this.#entries,
      behindBytes: this.#behindBytes(),
      trail:
        isKnown && comparePositions(this.#position, this.#stored.position) === 0
          ? trail(this.#cursor.complete)
          : [],
    };
  }

  /** An entry that is not read yet is taken to be as long as all are on average. */
  #behindBytes(): number {
    const { position, trimmed, entryBytes } = this.#stored;
    const first = trimmed.epoch === position.epoch ? trimmed.sequence : 0;
    const had = this.#position.epoch === position.epoch ? this.#position.sequence : 0;
    const count = position.sequence - first;
    if (count <= 0 || comparePositions(this.#position, position) >= 0) return 0;
    return Math.round((entryBytes * (position.sequence - Math.max(had, first))) / count);
  }

  /**
   * Undoes what was read where the journal was cut under it, or the store fell back to less than was read (a
   * failover, a flush): nothing says what is missing then.
   */
  async verify(): Promise<void> {
    if (this.#entries.length === 0 && comparePositions(this.#position, this.#from) === 0) return;
    const now = await this.#parts.store.journal(this.#stored.ref);
    const isThere = now !== undefined && comparePositions(now.position, this.#position) >= 0;
    const isUncut = isThere && comparePositions(now.trimmed, this.#stored.trimmed) === 0;
    if (isUncut || (isThere && comparePositions(this.#from, now.trimmed) >= 0)) return;
    this.#entries = [];
    this.#view = null;
    this.#rewind();
    this.#open = now !== undefined;
  }

  /** A watermark of a time to come was true before the clock was set back. */
  #completeAtEnd(watermark: number): number {
    return watermark <= this.#parts.now() ? Math.max(watermark, this.#complete) : this.#complete;
  }

  /** Frames that are older than the one before may still come, but not by more than `reorder`. */
  #noteFrame(time: number): void {
    const reached = Math.max(0, time - this.#parts.reorder);
    // A frame that should not have come: the clock stepped back.
    this.#complete = time > this.#complete ? Math.max(this.#complete, reached) : reached;
  }

  /** Layouts of what is trimmed, and a gap where the reader should have had frames of it. */
  async #stepLayouts(budget: Budget): Promise<boolean> {
    const layouts = await this.#parts.layouts.upTo(this.#stored, this.#trimmed);
    if (comparePositions(this.#position, this.#from) === 0) this.totals.layoutDumps++;
    const rest = layouts.filter((entry) => comparePositions(entry, this.#position) > 0);
    const gap = await this.#gapBefore(rest);
    if (gap !== null) {
      const after = rest.findIndex((entry) => comparePositions(entry, gap) > 0);
      rest.splice(after < 0 ? rest.length : after, 0, gap);
    }
    let taken = 0;
    for (const entry of rest) {
      if (this.#entries.length > 0 && (budget.bytes <= 0 || budget.entries <= 0)) break;
      if (this.#parts.monotonic() >= budget.deadline && taken > 0) break;
      this.#take(entry, budget);
      taken++;
      if (entry !== gap) continue;
      this.#told = this.#trimmed;
      this.totals.gaps++;
    }
    if (taken < rest.length) return false;
    this.#moveTo(this.#trimmed);
    this.#view?.skipTo(this.#trimmed);
    this.#open = comparePositions(this.#position, this.#newest) < 0;
    return true;
  }

  /**
   * What was lost, as an entry in the place of one that is not there any more, so that it travels
   * on like any other. Null where nothing was, or it was told already. A reader that had no frame
   * yet gets one from time 0. Where the clock stepped back what was lost may be older than what the reader has: then a
   * group began anew, and its layout is kept.
   */
  async #gapBefore(layouts: readonly JournalEntry[]): Promise<JournalEntry | null> {
    const isTold = comparePositions(this.#told, this.#position) > 0;
    const after = isTold ? this.#told : this.#position;
    if (comparePositions(this.#trimmed, after) <= 0) return null;
    const place = freePlace(after, this.#trimmed, layouts);
    if (place === null) return null;
    let from = this.#complete;
    let to = Math.max(await this.#endOfLost(this.#trimmed), from + 1);
    for (const entry of layouts) {
      if (comparePositions(entry, after) <= 0) continue;
      from = Math.max(0, Math.min(from, entry.time - 1));
      to = Math.max(to, entry.time + 1);
    }
    return gapEntry(place, from, to, 'trimmed');
  }

  /**
   * What follows the reader's newest entry here was journalled under numbers that it has, or its sources may have, other
   * entries for: that epoch is over for it. One gap says so, from what it had to the first frame of the next epoch. What that epoch
   * begins with to say the same to those who had less is left out.
   */
  async #leaveBranch(budget: Budget): Promise<void> {
    const { epoch, sequence } = this.#from;
    const next = { epoch: epoch + 1, sequence: 0 };
    const to = Math.max(await this.#endOfLost(next), this.#complete + 1);
    const place = { epoch, sequence: sequence + 1 };
    const gap = gapEntry(place, this.#complete, to, 'restart');
    budget.entries--;
    budget.bytes -= gap.bytes.length;
    this.#entries.push(gap);
    this.totals.gaps++;
    this.#replay = 0;
    this.#moveTo(next);
    const [first] = await this.#parts.store.readEntries(this.#stored.ref, next, ONE_ENTRY);
    if (first === undefined || !isRestartUpTo(first, to)) return;
    this.#position = { epoch: first.epoch, sequence: first.sequence };
    this.#proof = proofOf(first);
  }

  /** To where no entry is. */
  #moveTo(position: JournalPosition): void {
    if (comparePositions(position, this.#position) === 0) return;
    this.#position = position;
    this.#proof = undefined;
  }

  /**
   * No frame that is gone is of this time or later: that of the oldest frame kept, before which younger ones may have
   * stood (a slow scrape; frames of before a clock was set back, by a step or with a restart); where there is none, the
   * first that is still to come.
   */
  async #endOfLost(lost: JournalPosition): Promise<number> {
    const limits = { maxBytes: CHUNK_BYTES, maxEntries: CHUNK_ENTRIES };
    const { store, now, reorder } = this.#parts;
    const { newest, late } = parseLedger(this.#stored.ledger);
    for (let after = lost; ; ) {
      const kept = await store.readEntries(this.#stored.ref, after, limits);
      const frame = kept.find((entry) => entry.kind === EntryKind.frame);
      if (frame !== undefined) {
        return Math.max(frame.time + reorder, Math.min(frame.time + late, newest) + 1);
      }
      if (kept.length === 0) return Math.max(now(), newest) + 1;
      // Layouts only: there are no more than groups.
      after = kept[kept.length - 1];
    }
  }

  async #stepEntries(budget: Budget): Promise<boolean> {
    const chunkBytes = this.#view === null ? CHUNK_BYTES : FILTERED_CHUNK_BYTES;
    const maxBytes = Math.max(1, Math.min(chunkBytes, budget.bytes));
    const maxEntries = Math.max(1, Math.min(CHUNK_ENTRIES, budget.entries));
    const limits = { maxBytes, maxEntries };
    const { ref } = this.#stored;
    const { store } = this.#parts;
    let read = await store.readEntries(ref, this.#position, limits);
    if (read.length === 0) {
      // A store that has fallen back holds nothing here until it was written again: then it is there now.
      const now = await store.journal(ref);
      if (now === undefined || comparePositions(now.position, this.#newest) < 0) {
        this.#open = false;
        return false;
      }
      read = await store.readEntries(ref, this.#position, limits);
    }
    if (read.length === 0) {
      // Nothing there up to the position of the state: what was filtered out at a level below.
      this.#moveTo(this.#newest);
      this.#view?.skipTo(this.#newest);
      this.#open = false;
      return false;
    }
    for (const entry of read) {
      if (this.#view?.rebuildFor(entry) !== undefined) return this.#rebuild(entry, budget);
      this.#take(entry, budget);
    }
    if (comparePositions(this.#position, this.#newest) > 0) this.#newest = this.#position;
    this.#open = comparePositions(this.#position, this.#newest) < 0;
    return this.#open;
  }

  async #rebuild(entry: JournalEntry, budget: Budget): Promise<boolean> {
    const from = this.#view!.rebuildFor(entry)!.from;
    // The view is at `position`: `take` moves both.
    const replay =
      from === null ? this.#position.sequence : this.#position.sequence - from.sequence;
    this.#replay = replay;
    this.#view = null;
    const start = { position: this.#position, replay };
    // That may be from after the state was read.
    const { epoch, sequence } = entry;
    const stored = { ...this.#stored, position: { epoch, sequence } };
    const ready = await this.#parts.views!.at(stored, this.#ref, start, budget.deadline);
    if (ready === null) return false;
    this.#view = ready;
    return true;
  }

  #take(entry: JournalEntry, budget: Budget): void {
    const { epoch, sequence } = entry;
    this.#position = { epoch, sequence };
    this.#proof = proofOf(entry);
    if (entry.kind === EntryKind.frame) this.#noteFrame(entry.time);
    const sent = this.#view === null ? entry : this.#view.offer(entry);
    // What is read costs too: a filter that lets little through must not hold the page for ever.
    budget.bytes -= sent === null ? entry.bytes.length >> 2 : sent.bytes.length;
    if (sent === null) return;
    budget.entries--;
    this.#entries.push(sent);
  }
}

/** Names what a restart lost of the whole journal, no later than `to`. */
function isRestartUpTo(entry: JournalEntry, to: number): boolean {
  if (entry.kind !== EntryKind.gap || entry.group !== 0) return false;
  try {
    const gap = decodeGap(entryPayload(entry));
    return gap.cause === 'restart' && gap.to <= to;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return false;
  }
}

/** A gap of the whole journal. Times in ms since the epoch. */
function gapEntry(place: JournalPosition, from: number, to: number, cause: GapCause): JournalEntry {
  const gap = { group: 0, from: asTime(from), to: asTime(to), cause, frames: -1 };
  const fields = { kind: EntryKind.gap, group: 0, time: gap.to, key: false };
  return encodeEntry({ ...place, ...fields }, encodeGap(gap));
}

/** A position in (after, trimmed] that no layout has; null where there is none. */
function freePlace(
  after: JournalPosition,
  trimmed: JournalPosition,
  layouts: readonly JournalEntry[],
): JournalPosition | null {
  const taken = new Set<string>();
  for (const { epoch, sequence } of layouts) taken.add(`${epoch}/${sequence}`);
  const isFree = (epoch: number, sequence: number) => !taken.has(`${epoch}/${sequence}`);
  const lowest = after.epoch === trimmed.epoch ? after.sequence : 0;
  for (let sequence = trimmed.sequence; sequence > lowest; sequence--) {
    if (isFree(trimmed.epoch, sequence)) return { epoch: trimmed.epoch, sequence };
  }
  // All of this epoch's trimmed part is layouts; how far one before went nobody knows, only that it was there.
  const before = after.epoch > 0 ? after.epoch : Math.min(...layouts.map(({ epoch }) => epoch));
  if (before >= trimmed.epoch) return null;
  let sequence = before === after.epoch ? after.sequence + 1 : 1;
  while (!isFree(before, sequence)) sequence++;
  return { epoch: before, sequence };
}
