/** What the slots of a group are. */
import { type NumberedLayout, encodeEntry, encodeLayout } from '@canopy/encoding';
import {
  EntryKind,
  type Epoch,
  type Family,
  type GroupId,
  type GroupMeta,
  type JournalEntry,
  type LayoutRecord,
  type LayoutStep,
  asTime,
} from '@canopy/model';
import type { Families } from '../series/families.js';
import { grownUint32 } from '../series/grow.js';
import { NumberedTexts, numberSlots } from '../series/numbered-texts.js';
import type { Origins } from '../series/origins.js';
import { NO_SERIES, type SeriesIndex } from '../series/series-index.js';

/** Why a slot that has a label set is not in the index. */
export type SlotRefusal = 'series_limit' | 'conflict';

/** One layout record's slots: `[firstSlot, next step's firstSlot)`. */
interface Step {
  readonly firstSlot: number;
  /** When the layout record was made. */
  readonly time: number;
  /** The group's number of rows before it; -1: it was there before this process. */
  readonly row: number;
  /** The record itself; undefined where a block has joined it with others. */
  readonly source:
    | {
        readonly sequence: number;
        readonly version: number;
        readonly firstFamily: number;
        readonly isFiltered: boolean;
        readonly checksum: number;
      }
    | undefined;
}

/** What a layout does not know of itself. */
export interface LayoutPlace {
  readonly epoch: Epoch;
  readonly group: GroupId;
  readonly meta: GroupMeta;
}

/** Parts of a head that all groups share. */
export interface SharedIndex {
  readonly series: SeriesIndex;
  readonly origins: Origins;
  readonly families: Families;
}

export class GroupLayout {
  readonly #shared: SharedIndex;
  readonly #handle: number;
  version = 0;
  slotCount = 0;
  /** Slots whose samples are refused, and why; both columns are of one length. */
  readonly refusedSlots: number[] = [];
  readonly refusals: SlotRefusal[] = [];
  #refs = new Uint32Array(0);
  /** Index into the group's families + 1; 0 for none. */
  #slotFamilies = new Uint32Array(0);
  readonly #families: Array<Family | undefined> = [];
  /** By name; only these count as uses of the shared ones, while they are told of. */
  readonly #newestFamily = new Map<string, Family>();
  #isTold = true;
  readonly #steps: Step[] = [];

  /** `handle`: the group's number in `shared.origins`. */
  constructor(shared: SharedIndex, handle: number) {
    this.#shared = shared;
    this.#handle = handle;
  }

  /** Whether a record is the next one of this layout; a filtered view may leave out whole records. */
  follows(record: Omit<LayoutRecord, 'slots'>): boolean {
    if (record.slotCount < record.firstSlot) return false;
    if (record.slotNumbers !== null) {
      return record.version > this.version && record.firstSlot >= this.slotCount;
    }
    return (
      record.version === this.version + 1 &&
      record.firstSlot === this.slotCount &&
      record.firstFamily === this.#families.length
    );
  }

  /** Takes in the next record. `row`: rows the group has so far; -1 in recovery. */
  extend(record: NumberedLayout, entry: JournalEntry, row: number): void {
    const { sequence, time } = entry;
    const { version, firstFamily, slotNumbers: numbers } = record;
    const place = { sequence, version, firstFamily, isFiltered: numbers !== null };
    this.#extend(record, time, row, { ...place, checksum: checksumOf(entry) });
  }

  #extend(record: NumberedLayout, time: number, row: number, source: Step['source']): void {
    this.tell(true);
    // A filtered view may have left out records, and their families with them.
    while (this.#families.length < record.firstFamily) this.#families.push(undefined);
    for (const family of record.families) {
      const { families } = this.#shared;
      const shared = families.retain(family);
      const before = this.#newestFamily.get(shared.name);
      if (before !== undefined) families.release(before);
      this.#families.push(shared);
      this.#newestFamily.set(shared.name, shared);
    }
    this.#refs = grownUint32(this.#refs, record.slotCount);
    this.#refs.fill(NO_SERIES, this.slotCount, record.slotCount);
    this.#slotFamilies = grownUint32(this.#slotFamilies, record.slotCount);
    const { slots, slotNumbers } = record;
    const { labels, ends, families } = slots;
    const texts = new NumberedTexts(record.texts);
    for (let i = 0, from = 0; i < slots.count; from = ends[i++]) {
      const slot = slotNumbers === null ? record.firstSlot + i : slotNumbers[i];
      if (slot < record.firstSlot || slot >= record.slotCount) continue;
      this.#slotFamilies[slot] = families[i] + 1;
      this.#enter(slot, this.#shared.series.internNumbered(texts, labels, from, ends[i]));
    }
    this.#steps.push({ firstSlot: record.firstSlot, time, row, source });
    this.version = record.version;
    this.slotCount = record.slotCount;
  }

  /** Takes in what a block says of a group: all its records as one. Another block may know more of it. */
  restore(record: LayoutRecord, steps: readonly LayoutStep[]): void {
    if (record.version <= this.version) return;
    const wasTold = this.#isTold;
    this.tell(true);
    const known = this.slotCount;
    const before = [...this.#newestFamily.values()];
    this.#families.length = 0;
    this.#newestFamily.clear();
    const slotNumbers = record.slotNumbers ?? record.slots.map((_, i) => i);
    const numbered = { ...record, ...numberSlots(record.slots), firstSlot: known, slotNumbers };
    this.#extend(numbered, steps[0].time, -1, undefined);
    for (const family of before) this.#shared.families.release(family);
    record.slots.forEach(({ family }, i) => {
      this.#slotFamilies[slotNumbers[i]] = family + 1;
    });
    this.#steps.length = 0;
    const unknown = { row: -1, source: undefined };
    for (const { firstSlot, time } of steps) this.#steps.push({ firstSlot, time, ...unknown });
    this.tell(wasTold);
  }

  /** Whether its families are among those that the head tells of: not once the group has ended. */
  tell(isTold: boolean): void {
    if (isTold === this.#isTold) return;
    this.#isTold = isTold;
    const { families } = this.#shared;
    for (const [name, family] of this.#newestFamily) {
      if (isTold) this.#newestFamily.set(name, families.retain(family));
      else families.release(family);
    }
  }

  /** NO_SERIES where the slot has none. */
  ref(slot: number): number {
    return slot < this.slotCount ? this.#refs[slot] : NO_SERIES;
  }

  family(slot: number): Family | undefined {
    const family = this.#families[this.#slotFamilies[slot] - 1];
    return family === undefined ? undefined : this.#newestFamily.get(family.name);
  }

  /** When the slot was added; decides which of two origins came first. */
  slotTime(slot: number): number {
    return this.#step(slot).time;
  }

  /** Whether a slot was there when the group had `rowCount` rows. */
  isSeen(slot: number, rowCount: number): boolean {
    return this.#step(slot).row < rowCount;
  }

  /**
   * Its records as they were journalled, byte for byte. Undefined where one does not come out so: of slots that are in no
   * index nothing is known, nor of records that a block has joined.
   */
  entries({ epoch, group, meta }: LayoutPlace): JournalEntry[] | undefined {
    const entries: JournalEntry[] = [];
    for (const [i, { source, firstSlot, time }] of this.#steps.entries()) {
      if (source === undefined) return undefined;
      const next = this.#steps[i + 1] as Step | undefined;
      const { sequence, version, firstFamily } = source;
      const slotCount = next?.firstSlot ?? this.slotCount;
      const families = this.#families.slice(firstFamily, next?.source?.firstFamily);
      const slotNumbers = this.#slotNumbers(firstSlot, slotCount);
      const payload = encodeLayout({
        ...{ group, version, meta, firstSlot, firstFamily, slotCount },
        slots: slotNumbers.map((slot) => ({
          labels: this.#shared.series.labels(this.#refs[slot]),
          family: this.#slotFamilies[slot] - 1,
        })),
        slotNumbers: source.isFiltered ? slotNumbers : null,
        families: families.filter((family) => family !== undefined),
      });
      const fields = { kind: EntryKind.layout, group, time: asTime(time), key: false };
      const entry = encodeEntry({ epoch, sequence, ...fields }, payload);
      if (checksumOf(entry) !== source.checksum) return undefined;
      entries.push(entry);
    }
    return entries;
  }

  /** Those from `first` to before `end` that have a series. */
  #slotNumbers(first: number, end: number): number[] {
    const numbers: number[] = [];
    for (let slot = first; slot < end; slot++) {
      if (this.#refs[slot] !== NO_SERIES) numbers.push(slot);
    }
    return numbers;
  }

  /** Leaves the index. Adds the refs of series that have no column left to `orphans`. */
  release(orphans: number[]): void {
    this.tell(false);
    for (let slot = 0; slot < this.slotCount; slot++) {
      const ref = this.#refs[slot];
      if (ref === NO_SERIES) continue;
      if (this.#shared.origins.remove(ref, this.#handle)) orphans.push(ref);
    }
    this.#families.length = 0;
    this.#newestFamily.clear();
    this.refusedSlots.length = 0;
    this.refusals.length = 0;
    this.#refs = new Uint32Array(0);
    this.#slotFamilies = new Uint32Array(0);
    this.slotCount = 0;
  }

  #enter(slot: number, ref: number): void {
    const taken = ref !== NO_SERIES && this.#shared.origins.has(ref, this.#handle);
    if (ref === NO_SERIES || taken) {
      this.refusedSlots.push(slot);
      this.refusals.push(taken ? 'conflict' : 'series_limit');
      return;
    }
    this.#refs[slot] = ref;
    this.#shared.origins.add(ref, this.#handle, slot);
  }

  #step(slot: number): Step {
    const steps = this.#steps;
    let low = 0;
    let high = steps.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (steps[middle].firstSlot <= slot) low = middle;
      else high = middle - 1;
    }
    return steps[low];
  }
}

/** The checksum that ends a record. */
function checksumOf({ bytes }: JournalEntry): number {
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4).getUint32(0, true);
}
