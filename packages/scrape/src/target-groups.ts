/**
 * The two groups of a target: `AlignedGroup` for what has the time of the scrape, `LooseGroup` for samples
 * with times of their own. Both give slots to series (numbers of a SeriesTable) only when a scrape
 * that is not refused brings a sample.
 */
import type { ScrapeColumns } from '@canopy/exposition';
import {
  type Family,
  type GroupMeta,
  type GroupWriter,
  type Journal,
  type Milliseconds,
  SampleState,
  asTime,
} from '@canopy/model';
import type { SeriesTable } from './series-table.js';

/** A group smaller than this is not worth a new layout. */
const REBASE_SLOTS_MIN = 64;
/** Samples further ahead of the clock are refused, as in Prometheus. Milliseconds. */
const AHEAD_MAX = 10 * 60_000;

export type GroupMetaOfTarget = Omit<GroupMeta, 'continues' | 'kind'>;

/** Slots of series within one group. */
class GroupSlots {
  readonly writer: GroupWriter;
  readonly #table: SeriesTable;
  readonly #families = new Map<string, { family: Family; index: number }>();
  /** By series; -1 where the series is not in the group. */
  #slotOf = new Int32Array(64).fill(-1);

  constructor(writer: GroupWriter, table: SeriesTable) {
    this.writer = writer;
    this.#table = table;
  }

  get count(): number {
    return this.writer.slotCount;
  }

  /** Slots by series, -1 for none; valid until a series gets a slot. */
  get bySeries(): Int32Array {
    return this.#slotOf;
  }

  has(series: number): boolean {
    return series < this.#slotOf.length && this.#slotOf[series] >= 0;
  }

  slotOf(series: number): number {
    const slot = series < this.#slotOf.length ? this.#slotOf[series] : -1;
    return slot >= 0 ? slot : this.#add(series);
  }

  #add(series: number): number {
    if (series >= this.#slotOf.length) {
      this.#resize(Math.max(series + 1, 2 * this.#slotOf.length));
    }
    const family = this.#table.family(series);
    const index = family === undefined ? -1 : this.#familyIndex(family);
    const slot = this.writer.addSlot(this.#table.labels(series), index);
    this.#slotOf[series] = slot;
    return slot;
  }

  #familyIndex(family: Family): number {
    const known = this.#families.get(family.name);
    if (known !== undefined && sameFamily(known.family, family)) return known.index;
    const index = this.writer.addFamily(family);
    this.#families.set(family.name, { family, index });
    return index;
  }

  /** A new description of a family that the group has. */
  describe(family: Family): void {
    if (this.#families.has(family.name)) this.#familyIndex(family);
  }

  /** New layout with the slots of `keep`; returns the new number of each old slot. */
  rebase(keep: Uint8Array): Int32Array {
    const map = this.writer.rebase(keep);
    for (let series = 0; series < this.#slotOf.length; series++) {
      const slot = this.#slotOf[series];
      if (slot >= 0) this.#slotOf[series] = map[slot];
    }
    return map;
  }

  /** Series have new numbers; those that are gone have no slot. */
  renumber(map: Int32Array): void {
    const before = this.#slotOf;
    this.#slotOf = new Int32Array(Math.max(64, this.#table.count)).fill(-1);
    for (let series = 0; series < Math.min(map.length, before.length); series++) {
      if (map[series] >= 0) this.#slotOf[map[series]] = before[series];
    }
  }

  #resize(length: number): void {
    const larger = new Int32Array(length).fill(-1);
    larger.set(this.#slotOf);
    this.#slotOf = larger;
  }
}

/** One time for all: each call of `commit` is a frame. */
export class AlignedGroup {
  readonly #slots: GroupSlots;
  /** By slot: 1 where the frame before had a value. */
  #present = new Uint8Array(64);
  #states = new Uint8Array(64);
  #values = new Float64Array(64);
  #presentCount = 0;
  /** Time of the last frame; 0 before the first. */
  lastTime = asTime(0);

  constructor(journal: Journal, meta: GroupMetaOfTarget, table: SeriesTable) {
    this.#slots = new GroupSlots(journal.openGroup({ ...meta, kind: 'aligned' }), table);
  }

  get slotCount(): number {
    return this.#slots.count;
  }

  has(series: number): boolean {
    return this.#slots.has(series);
  }

  describe(family: Family): void {
    this.#slots.describe(family);
  }

  renumber(map: Int32Array): void {
    this.#slots.renumber(map);
  }

  /** Starts a frame in which every series of the frame before has ended. */
  begin(): void {
    const { count } = this.#slots;
    const present = this.#present;
    const states = this.#states;
    for (let slot = 0; slot < count; slot++) {
      states[slot] = present[slot] === 1 ? SampleState.stale : SampleState.none;
    }
  }

  put(series: number, value: number): void {
    const slot = this.#slots.slotOf(series);
    if (slot >= this.#states.length) this.#grow(slot + 1);
    this.#states[slot] = SampleState.value;
    this.#values[slot] = value;
  }

  /** Puts the samples that have no time of their own. Returns their number. */
  putAll(columns: ScrapeColumns): number {
    const { slotCount, states, values } = columns;
    let slotOf = this.#slots.bySeries;
    let ownStates = this.#states;
    let ownValues = this.#values;
    let put = 0;
    for (let series = 0; series < slotCount; series++) {
      if (states[series] !== SampleState.value) continue;
      put++;
      const slot = series < slotOf.length ? slotOf[series] : -1;
      if (slot >= 0) {
        // Fast path: the series has its slot, so the columns are long enough.
        ownStates[slot] = SampleState.value;
        ownValues[slot] = values[series];
      } else {
        this.put(series, values[series]);
        slotOf = this.#slots.bySeries;
        ownStates = this.#states;
        ownValues = this.#values;
      }
    }
    return put;
  }

  /** `scrape`: as `GroupWriter.write` has it. */
  commit(time: Milliseconds, scrape: string | undefined): void {
    this.#slots.writer.write(time, this.#states, this.#values, scrape);
    this.lastTime = time;
    const { count } = this.#slots;
    const present = this.#present;
    const states = this.#states;
    let presentCount = 0;
    for (let slot = 0; slot < count; slot++) {
      present[slot] = states[slot] === SampleState.value ? 1 : 0;
      presentCount += present[slot];
    }
    this.#presentCount = presentCount;
  }

  /** Drops absent slots where they are more than half. True where it did. */
  rebaseIfSparse(): boolean {
    const { count } = this.#slots;
    if (count <= REBASE_SLOTS_MIN || 2 * this.#presentCount >= count) return false;
    this.#slots.rebase(this.#present);
    this.#present.fill(0).fill(1, 0, this.#slots.count);
    return true;
  }

  close(): void {
    this.#slots.writer.close();
  }

  #grow(length: number): void {
    const size = Math.max(length, 2 * this.#states.length);
    const present = new Uint8Array(size);
    const states = new Uint8Array(size);
    const values = new Float64Array(size);
    present.set(this.#present);
    states.set(this.#states);
    values.set(this.#values);
    this.#present = present;
    this.#states = states;
    this.#values = values;
  }
}

export interface LooseTotals {
  written: number;
  /** Too far ahead of the clock. */
  outOfBounds: number;
}

/** Samples with times of their own. An unchanged time is no new sample. */
export class LooseGroup {
  readonly #slots: GroupSlots;
  /** By slot. */
  #lastTimes = new Float64Array(64);
  #seen = new Uint8Array(64);
  #seenBefore = new Uint8Array(64);
  #seenCount = 0;
  // The samples of one scrape, by `#count`.
  #count = 0;
  #outSlots = new Uint32Array(64);
  #outTimes = new Float64Array(64);
  #outStates = new Uint8Array(64);
  #outValues = new Float64Array(64);

  constructor(journal: Journal, meta: GroupMetaOfTarget, table: SeriesTable) {
    this.#slots = new GroupSlots(journal.openGroup({ ...meta, kind: 'loose' }), table);
  }

  get slotCount(): number {
    return this.#slots.count;
  }

  has(series: number): boolean {
    return this.#slots.has(series);
  }

  describe(family: Family): void {
    this.#slots.describe(family);
  }

  renumber(map: Int32Array): void {
    this.#slots.renumber(map);
  }

  /** Writes one scrape's samples. `staleAt`: the time of stale marks for vanished series, or undefined for none. */
  write(
    columns: ScrapeColumns | undefined,
    now: Milliseconds,
    staleAt: Milliseconds | undefined,
  ): LooseTotals {
    const totals = { written: 0, outOfBounds: 0 };
    [this.#seen, this.#seenBefore] = [this.#seenBefore, this.#seen];
    this.#seen.fill(0);
    this.#seenCount = 0;
    this.#count = 0;
    for (let i = 0; columns !== undefined && i < columns.looseCount; i++) {
      const time = columns.looseTimes[i];
      // OpenMetrics can say times before 1970; they are too old anywhere.
      if (time < 0 || time > now + AHEAD_MAX) {
        totals.outOfBounds++;
        continue;
      }
      const slot = this.#slots.slotOf(columns.looseSlots[i]);
      if (slot >= this.#seen.length) this.#growSlots(slot + 1);
      this.#seenCount += 1 - this.#seen[slot];
      this.#seen[slot] = 1;
      if (time === this.#lastTimes[slot]) continue;
      this.#lastTimes[slot] = Math.max(time, this.#lastTimes[slot]);
      this.#push(slot, time, SampleState.value, columns.looseValues[i]);
      totals.written++;
    }
    if (staleAt !== undefined) this.#endVanished(staleAt);
    this.#flush();
    return totals;
  }

  #endVanished(time: Milliseconds): void {
    for (let slot = 0; slot < this.#slots.count; slot++) {
      const vanished = this.#seenBefore[slot] === 1 && this.#seen[slot] === 0;
      // Its clock may be ahead of ours.
      const end = Math.max(time, this.#lastTimes[slot] + 1);
      if (vanished) this.#push(slot, end, SampleState.stale, 0);
    }
  }

  #flush(): void {
    if (this.#count === 0) return;
    this.#slots.writer.writeLoose(
      this.#count,
      this.#outSlots,
      this.#outTimes,
      this.#outStates,
      this.#outValues,
    );
  }

  rebaseIfSparse(): boolean {
    const { count } = this.#slots;
    if (count <= REBASE_SLOTS_MIN || 2 * this.#seenCount >= count) return false;
    const map = this.#slots.rebase(this.#seen);
    for (let slot = 0; slot < map.length; slot++) {
      if (map[slot] >= 0) this.#lastTimes[map[slot]] = this.#lastTimes[slot];
    }
    this.#lastTimes.fill(0, this.#slots.count);
    this.#seen.fill(0).fill(1, 0, this.#slots.count);
    return true;
  }

  close(): void {
    this.#slots.writer.close();
  }

  #push(slot: number, time: number, state: SampleState, value: number): void {
    if (this.#count === this.#outSlots.length) this.#growOut();
    this.#outSlots[this.#count] = slot;
    this.#outTimes[this.#count] = time;
    this.#outStates[this.#count] = state;
    this.#outValues[this.#count] = value;
    this.#count++;
  }

  #growSlots(length: number): void {
    const size = Math.max(length, 2 * this.#seen.length);
    const larger = {
      times: new Float64Array(size),
      seen: new Uint8Array(size),
      before: new Uint8Array(size),
    };
    larger.times.set(this.#lastTimes);
    larger.seen.set(this.#seen);
    larger.before.set(this.#seenBefore);
    this.#lastTimes = larger.times;
    this.#seen = larger.seen;
    this.#seenBefore = larger.before;
  }

  #growOut(): void {
    const size = 2 * this.#outSlots.length;
    const slots = new Uint32Array(size);
    const times = new Float64Array(size);
    const states = new Uint8Array(size);
    const values = new Float64Array(size);
    slots.set(this.#outSlots);
    times.set(this.#outTimes);
    states.set(this.#outStates);
    values.set(this.#outValues);
    this.#outSlots = slots;
    this.#outTimes = times;
    this.#outStates = states;
    this.#outValues = values;
  }
}

function sameFamily(a: Family, b: Family): boolean {
  return a === b || (a.type === b.type && a.help === b.help && a.unit === b.unit);
}
