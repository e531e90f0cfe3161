/**
 * A run of rows of the open tile, packed lightly: most slots stand still over so few rows, and most
 * of the others hold whole numbers near each other. Encoding it as a tile would save a third of the bytes
 * and cost ten times as much, twice: the rows are encoded again when the tile closes.
 */
import { SampleState } from '@canopy/model';
import type { Piece } from './piece.js';
import type { RowsView } from './rows.js';

const Kind = { constant: 0, integers: 1, floats: 2 } as const;

/** In place of a place among the states: all are values. */
const ALL_VALUES = 0xffffffff;

const INT32_MAX = 0x7fffffff;

/** Immutable. 13 bytes a slot, and for those that change 4 or 8 an entry. */
export class Pack {
  readonly count: number;
  readonly slotCount: number;
  readonly times: Float64Array;
  readonly #kinds: Uint8Array;
  /** Value of a constant slot; what integers are relative to. */
  readonly #bases: Float64Array;
  /** Where a slot's entries begin among integers or floats. */
  readonly #offsets: Uint32Array;
  readonly #integers: Int32Array;
  readonly #floats: Float64Array;
  /** Where a slot's states begin; null where every slot has values only. */
  readonly #stateOffsets: Uint32Array | null;
  readonly #states: Uint8Array;

  /** Copies the rows. */
  constructor(rows: RowsView) {
    const { count, stride: slotCount, times, values, states } = rows;
    this.count = count;
    this.slotCount = slotCount;
    this.times = times.slice(0, count);
    this.#kinds = new Uint8Array(slotCount);
    this.#bases = values.slice(0, slotCount);
    this.#offsets = new Uint32Array(slotCount);
    markChanged(values, count, slotCount, this.#kinds);
    let integers = 0;
    let floats = 0;
    for (let slot = 0; slot < slotCount; slot++) {
      if (this.#kinds[slot] === Kind.constant) continue;
      if (areNearIntegers(values, slot, slotCount, count)) {
        this.#kinds[slot] = Kind.integers;
        this.#offsets[slot] = integers;
        integers += count;
      } else {
        this.#kinds[slot] = Kind.floats;
        this.#offsets[slot] = floats;
        floats += count;
      }
    }
    this.#integers = new Int32Array(integers);
    this.#floats = new Float64Array(floats);
    for (let slot = 0; slot < slotCount; slot++) {
      let to = this.#offsets[slot];
      let from = slot;
      if (this.#kinds[slot] === Kind.integers) {
        const base = this.#bases[slot];
        for (let i = 0; i < count; i++, from += slotCount)
          this.#integers[to++] = values[from] - base;
      } else if (this.#kinds[slot] === Kind.floats) {
        for (let i = 0; i < count; i++, from += slotCount) this.#floats[to++] = values[from];
      }
    }
    const packed = states === null ? null : packStates(states, count, slotCount);
    this.#stateOffsets = packed?.offsets ?? null;
    this.#states = packed?.states ?? new Uint8Array(0);
  }

  get minTime(): number {
    return this.times[0];
  }

  get maxTime(): number {
    return this.times[this.count - 1];
  }

  get byteLength(): number {
    return (
      this.times.byteLength +
      this.slotCount * 13 +
      this.#integers.byteLength +
      this.#floats.byteLength +
      (this.#stateOffsets?.byteLength ?? 0) +
      this.#states.byteLength
    );
  }

  /** Writes the first `count` entries of a slot. Returns whether all are values. */
  read(
    slot: number,
    count: number,
    outValues: Float64Array,
    outStates: Uint8Array,
    offset: number,
  ): boolean {
    const end = offset + count;
    if (slot >= this.slotCount) {
      outStates.fill(SampleState.none, offset, end);
      outValues.fill(0, offset, end);
      return count === 0;
    }
    const kind = this.#kinds[slot];
    const base = this.#bases[slot];
    let from = this.#offsets[slot];
    if (kind === Kind.constant) {
      for (let to = offset; to < end; to++) outValues[to] = base;
    } else if (kind === Kind.integers) {
      for (let to = offset; to < end; to++) outValues[to] = base + this.#integers[from++];
    } else {
      for (let to = offset; to < end; to++) outValues[to] = this.#floats[from++];
    }
    const states = this.#stateOffsets === null ? ALL_VALUES : this.#stateOffsets[slot];
    if (states === ALL_VALUES) {
      for (let to = offset; to < end; to++) outStates[to] = SampleState.value;
      return true;
    }
    from = states;
    for (let to = offset; to < end; to++) outStates[to] = this.#states[from++];
    return false;
  }
}

export class PackPiece implements Piece {
  readonly times: Float64Array;
  readonly count: number;
  readonly #pack: Pack;

  constructor(pack: Pack, countMax: number) {
    this.#pack = pack;
    this.times = pack.times;
    this.count = Math.min(countMax, pack.count);
  }

  read(slot: number, outValues: Float64Array, outStates: Uint8Array, offset: number): boolean {
    return this.#pack.read(slot, this.count, outValues, outStates, offset);
  }
}

/** Sets `changed[slot]` to 1 where a slot's values have not the same bits in all rows. */
function markChanged(
  values: Float64Array,
  count: number,
  slotCount: number,
  changed: Uint8Array,
): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const width = slotCount * 2;
  for (let row = 1; row < count; row++) {
    const from = row * width;
    for (let slot = 0, low = 0; slot < slotCount; slot++, low += 2) {
      if (bits[from + low] !== bits[low] || bits[from + low + 1] !== bits[low + 1]) {
        changed[slot] = 1;
      }
    }
  }
}

/** Whether all of a slot's values are integers within 31 bits of its first, none of them −0. */
function areNearIntegers(
  values: Float64Array,
  slot: number,
  slotCount: number,
  count: number,
): boolean {
  const base = values[slot];
  const end = count * slotCount;
  for (let at = slot; at < end; at += slotCount) {
    const value = values[at];
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return false;
    if (Math.abs(value - base) > INT32_MAX) return false;
  }
  return true;
}

/** States of the slots that have other than values; null where none has. */
function packStates(
  states: Uint8Array,
  count: number,
  slotCount: number,
): { offsets: Uint32Array; states: Uint8Array } | null {
  const offsets = new Uint32Array(slotCount).fill(ALL_VALUES);
  let length = 0;
  const end = count * slotCount;
  for (let at = 0, slot = 0; at < end; at++) {
    if (states[at] !== SampleState.value && offsets[slot] === ALL_VALUES) {
      offsets[slot] = length;
      length += count;
    }
    if (++slot === slotCount) slot = 0;
  }
  if (length === 0) return null;
  const packed = new Uint8Array(length);
  for (let slot = 0; slot < slotCount; slot++) {
    let to = offsets[slot];
    if (to === ALL_VALUES) continue;
    for (let at = slot; at < end; at += slotCount) packed[to++] = states[at];
  }
  return { offsets, states: packed };
}
