/**
 * The newest entries of a journal while its store takes none: in memory, bounded, in the order of their numbers. What is over
 * the bound goes an epoch at a time, the oldest first: nothing in the next one needs it.
 */
import { encodeEntry, encodeGap } from '@canopy/encoding';
import {
  EntryKind,
  type GapRecord,
  type JournalCommit,
  type JournalEntry,
  type JournalPosition,
  type ReadLimits,
  asTime,
  comparePositions,
} from '@canopy/model';

/** What an entry costs besides its bytes, about. */
const ENTRY_OVERHEAD_BYTES = 256;
/** Written to the disk at once, with the ledger as it was at its end. */
const SEGMENT_BYTES = 256 * 1024;

/** Entries of one epoch that are written together. */
export interface Segment {
  readonly epoch: number;
  readonly entries: readonly JournalEntry[];
  /** After its last entry. */
  readonly position: JournalPosition;
  readonly cursor: string;
  /** As of `position`. */
  readonly ledger: string;
}

interface KeptSegment extends Segment {
  entries: JournalEntry[];
  position: JournalPosition;
  cursor: string;
  ledger: string;
  bytes: number;
  /** Nothing is added any more. */
  isSealed: boolean;
  /** Its frames were dropped. */
  isDropped: boolean;
}

export class MemoryTail {
  /** Where the store is. */
  #base: JournalPosition;
  readonly #bytesMax: number;
  #segments: KeptSegment[] = [];
  /** Of the newest epoch: all of it, and its layouts. */
  #epochBytes = 0;
  #layoutBytes = 0;
  bytes = 0;

  /** `base`: the position that the store has, after which the tail begins. */
  constructor(base: JournalPosition, bytesMax: number) {
    this.#base = base;
    this.#bytesMax = bytesMax;
  }

  get base(): JournalPosition {
    return this.#base;
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /** After the newest entry. */
  get position(): JournalPosition {
    return this.#segments.at(-1)?.position ?? this.#base;
  }

  get newest(): Segment | undefined {
    return this.#segments.at(-1);
  }

  get isFull(): boolean {
    return this.bytes > this.#bytesMax;
  }

  /**
   * What comes next should be of another epoch: of this one the store has a part, or it has grown so large that another should
   * be there before it goes. One that is mostly layouts would be so again.
   */
  get asksForEpoch(): boolean {
    const epoch = this.#segments.at(-1)?.epoch;
    if (epoch === this.#base.epoch) return true;
    return this.#epochBytes > Math.max(this.#bytesMax / 2, 2 * this.#layoutBytes);
  }

  /** Takes a commit that follows `position`; its entries are of one epoch. */
  add({ entries, position, cursor, ledger }: JournalCommit): void {
    let last = this.#segments.at(-1);
    if (last?.epoch !== position.epoch) this.#epochBytes = this.#layoutBytes = 0;
    if (last === undefined || last.isSealed || last.epoch !== position.epoch) {
      if (last !== undefined) last.isSealed = true;
      const empty = { entries: [], bytes: 0, isSealed: false, isDropped: false };
      last = { ...empty, epoch: position.epoch, position, cursor, ledger };
      this.#segments.push(last);
    }
    for (const entry of entries) {
      // Buffers handed in may be reused.
      const kept = { ...entry, bytes: Uint8Array.from(entry.bytes) };
      const size = sizeOf(entry);
      last.entries.push(kept);
      last.bytes += size;
      this.bytes += size;
      this.#epochBytes += size;
      if (entry.kind === EntryKind.layout) this.#layoutBytes += size;
    }
    Object.assign(last, { position, cursor, ledger });
    last.isSealed = last.bytes >= SEGMENT_BYTES;
  }

  /** The oldest, to be written to the store after `base`; it does not grow any more. */
  first(): Segment | undefined {
    const first = this.#segments.at(0);
    if (first !== undefined) first.isSealed = true;
    return first;
  }

  /** The store has everything up to there. */
  stored(position: JournalPosition): void {
    this.#base = position;
    const [first] = this.#segments;
    if (first === undefined || comparePositions(first.position, position) > 0) return;
    this.#segments.shift();
    this.bytes -= first.bytes;
  }

  /**
   * Drops the frames and layouts of the oldest epoch, if a newer one is there, and puts a gap in their place. Undefined where there
   * is nothing to drop.
   */
  dropOldest(): GapRecord | undefined {
    const from = this.#segments.findIndex(({ isDropped }) => !isDropped);
    const epoch = this.#segments[from]?.epoch;
    let to = from;
    while (this.#segments[to]?.epoch === epoch && to < this.#segments.length) to++;
    if (from < 0 || to === this.#segments.length) return undefined;
    const dropped = this.#segments.slice(from, to);
    const { gap, kept } = gapFor(dropped.flatMap(({ entries }) => entries));
    const bytes = kept.reduce((sum, entry) => sum + sizeOf(entry), 0);
    this.bytes += bytes - dropped.reduce((sum, segment) => sum + segment.bytes, 0);
    const husk = { ...dropped[dropped.length - 1], entries: kept, bytes };
    this.#segments.splice(from, to - from, { ...husk, isSealed: true, isDropped: true });
    return gap;
  }

  /** As the port's `readEntries`; `after` at or beyond `base`. */
  read(after: JournalPosition, { maxBytes, maxEntries }: ReadLimits): JournalEntry[] {
    const found: JournalEntry[] = [];
    let bytes = 0;
    for (const { entries, position } of this.#segments) {
      if (comparePositions(position, after) <= 0) continue;
      for (let i = firstAfter(entries, after); i < entries.length; i++) {
        bytes += entries[i].bytes.length;
        if (found.length >= maxEntries || (found.length > 0 && bytes > maxBytes)) return found;
        found.push(entries[i]);
      }
    }
    return found;
  }

  layouts(): JournalEntry[] {
    const entries = this.#segments.flatMap((segment) => segment.entries);
    return entries.filter(({ kind }) => kind === EntryKind.layout);
  }
}

const sizeOf = ({ bytes }: JournalEntry): number => bytes.length + ENTRY_OVERHEAD_BYTES;

function firstAfter(entries: readonly JournalEntry[], after: JournalPosition): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePositions(entries[middle], after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Gaps among the entries stay; one for all frames takes the place of the last entry that is none. */
function gapFor(entries: readonly JournalEntry[]): {
  gap: GapRecord | undefined;
  kept: JournalEntry[];
} {
  const kept = entries.filter(({ kind }) => kind === EntryKind.gap);
  const frames = entries.filter(({ kind }) => kind === EntryKind.frame);
  const place = entries.findLast(({ kind }) => kind !== EntryKind.gap);
  if (place === undefined || frames.length === 0) return { gap: undefined, kept };
  const times = frames.map(({ time }) => time as number);
  const gap: GapRecord = {
    group: 0,
    from: asTime(times.reduce((least, time) => Math.min(least, time)) - 1),
    to: asTime(times.reduce((most, time) => Math.max(most, time)) + 1),
    cause: 'trimmed',
    frames: frames.length,
  };
  const { epoch, sequence } = place;
  const fields = { epoch, sequence, kind: EntryKind.gap, group: 0, time: gap.to, key: false };
  kept.push(encodeEntry(fields, encodeGap(gap)));
  return { gap, kept: kept.sort(comparePositions) };
}
