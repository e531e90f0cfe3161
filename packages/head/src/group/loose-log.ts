/** The open tile of a loose group: samples in the order they came. */
import { ENTRIES_MAX, encodeTile } from '@canopy/encoding';
import { grownFloat64, grownUint32 } from '../series/grow.js';

const END = 0xffffffff;

/** Cells (slots × entries of the longest) at which a tile closes: 17 MiB while it is encoded. */
const CELLS_CLOSE = 1 << 20;
/** Entries of a slot at which a tile closes: a frame may bring as many again. */
const LONGEST_CLOSE = ENTRIES_MAX / 2;
/** Cells over which the rest of a frame is refused. */
const CELLS_MAX = 1 << 23;

/** Samples of one slot in time order, each time once. */
export interface LooseColumn {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly states: Uint8Array;
}

/** 25 bytes a sample; entries of one slot are chained, newest first. Entries are never changed. */
export class LooseLog {
  readonly startEntry: number;
  readonly startSequence: number;
  lastSequence: number;
  frameCount = 0;
  count = 0;
  minTime = Number.POSITIVE_INFINITY;
  maxTime = Number.NEGATIVE_INFINITY;
  #times = new Float64Array(16);
  #values = new Float64Array(16);
  #states = new Uint8Array(16);
  #previous = new Uint32Array(16);
  #newest = new Uint32Array(0);
  #lengths = new Uint32Array(0);
  #longest = 0;

  /** `startEntry`: the group's number of the first sample to come. */
  constructor(startEntry: number, startSequence: number) {
    this.startEntry = startEntry;
    this.startSequence = startSequence;
    this.lastSequence = startSequence;
  }

  get byteLength(): number {
    return this.#times.byteLength * 2 + this.#states.byteLength + this.#previous.byteLength;
  }

  /** Time to close: a frame of a group with so many slots could make the encoded tile too large. */
  isFull(slotCount: number): boolean {
    if (this.count === 0) return false;
    return (this.#longest + 1) * slotCount > CELLS_CLOSE || this.#longest > LONGEST_CLOSE;
  }

  /** To be called before samples of slots below `slotCount` are appended. */
  reserveSlots(slotCount: number): void {
    const known = this.#newest.length;
    if (slotCount <= known) return;
    const newest = new Uint32Array(slotCount).fill(END, known);
    newest.set(this.#newest);
    const lengths = new Uint32Array(slotCount);
    lengths.set(this.#lengths);
    this.#newest = newest;
    this.#lengths = lengths;
  }

  /** Returns false, and takes nothing, where the tile would become too large. */
  append(slot: number, time: number, state: number, value: number): boolean {
    const length = this.#lengths[slot] + 1;
    if (length > ENTRIES_MAX || length * this.#lengths.length > CELLS_MAX) return false;
    this.#reserveEntry();
    const at = this.count++;
    this.#times[at] = time;
    this.#values[at] = value;
    this.#states[at] = state;
    this.#previous[at] = this.#newest[slot];
    this.#newest[slot] = at;
    this.#longest = Math.max(this.#longest, ++this.#lengths[slot]);
    if (time < this.minTime) this.minTime = time;
    if (time > this.maxTime) this.maxTime = time;
    return true;
  }

  /** The entry of a slot at a time; -1 where there is none. */
  find(slot: number, time: number): number {
    if (slot >= this.#newest.length) return -1;
    for (let at = this.#newest[slot]; at !== END; at = this.#previous[at]) {
      if (this.#times[at] === time) return at;
    }
    return -1;
  }

  state(entry: number): number {
    return this.#states[entry];
  }

  value(entry: number): number {
    return this.#values[entry];
  }

  /** The slot's samples among the first `entriesMax`; fresh. */
  column(slot: number, entriesMax: number): LooseColumn {
    const entries: number[] = [];
    if (slot < this.#newest.length) {
      for (let at = this.#newest[slot]; at !== END; at = this.#previous[at]) {
        if (at < entriesMax) entries.push(at);
      }
    }
    entries.reverse();
    entries.sort((a, b) => this.#times[a] - this.#times[b]);
    return {
      times: Float64Array.from(entries, (at) => this.#times[at]),
      values: Float64Array.from(entries, (at) => this.#values[at]),
      states: Uint8Array.from(entries, (at) => this.#states[at]),
    };
  }

  hasSince(slot: number, time: number, entriesMax: number): boolean {
    if (slot >= this.#newest.length) return false;
    for (let at = this.#newest[slot]; at !== END; at = this.#previous[at]) {
      if (at < entriesMax && this.#times[at] >= time) return true;
    }
    return false;
  }

  /** All of it as an encoded tile; fresh bytes. */
  encode(): Uint8Array {
    const slotCount = this.#newest.length;
    const count = this.#longest;
    const lengths = this.#lengths.slice();
    const times = new Float64Array(slotCount * count);
    const values = new Float64Array(slotCount * count);
    const states = new Uint8Array(slotCount * count);
    for (let slot = 0; slot < slotCount; slot++) {
      const column = this.column(slot, this.count);
      times.set(column.times, slot * count);
      values.set(column.values, slot * count);
      states.set(column.states, slot * count);
    }
    return encodeTile({ kind: 'loose', slotCount, count, times, values, states, lengths });
  }

  #reserveEntry(): void {
    const { count } = this;
    if (count < this.#times.length) return;
    this.#times = grownFloat64(this.#times, count + 1, 0);
    this.#values = grownFloat64(this.#values, count + 1, 0);
    this.#previous = grownUint32(this.#previous, this.#times.length);
    const states = new Uint8Array(this.#times.length);
    states.set(this.#states);
    this.#states = states;
  }
}
