/**
 * A run of rows of the open tile, packed lightly: most slots stand still over so few rows, and most
 * of the others hold whole numbers near each other. Encoding it as a tile would save a third of the bytes
 * and cost several times as much, twice: the rows are encoded again when the tile closes.
 */
import { type SlotBlock, SlotForm } from '@canopy/encoding';
import { SampleState } from '@canopy/model';
import type { Piece } from './piece.js';
import type { RowsView } from './rows.js';

/** What a slot's record holds. `same`: nothing, every value is the slot's first one in the tile. */
const Kind = { same: 0, constant: 1, int8: 2, int16: 3, int32: 4, floats: 5 } as const;
const KIND_MASK = 7;
/** Beside a kind: a state for each entry at the end of the record. */
const STATES = 8;
/** By kind: bytes of the base (the slot's first value here) and of each entry. */
const BASE_SIZES = [0, 8, 8, 8, 8, 0];
const ENTRY_SIZES = [0, 0, 1, 2, 4, 8];
/** Slots between two places where the number of records before is kept. */
const RANK_SHIFT = 4;

/** Scratch of one call. */
let kindScratch = new Uint8Array(1024);

/**
 * Immutable. One buffer: a byte a slot; where not all is as in the beginning a record, and 4 bytes that say
 * where; every 16 slots how many records come before.
 */
export class Pack {
  readonly count: number;
  readonly slotCount: number;
  readonly times: Float64Array;
  readonly #firsts: Float64Array;
  readonly #view: DataView;
  /** Where kinds, places of records and numbers of records stand; times are at 0. */
  readonly #kindsAt: number;
  readonly #placesAt: number;
  readonly #ranksAt: number;

  /**
   * Copies the rows. `firsts` has the tile's first value of each slot (of this run where the slot is new): kept,
   * never to be changed. `touched`: 1 for slots whose value may have changed since; the others are not looked at.
   */
  constructor(rows: RowsView, firsts: Float64Array, touched: Uint8Array) {
    const { count, stride: slotCount, times, values, states } = rows;
    this.count = count;
    this.slotCount = slotCount;
    this.#firsts = firsts;
    if (kindScratch.length < slotCount) kindScratch = new Uint8Array(2 * slotCount);
    const kinds = kindScratch.fill(Kind.same, 0, slotCount);
    if (states !== null) markStates(states, count * slotCount, slotCount, kinds);
    let records = 0;
    let size = 0;
    for (let slot = 0; slot < slotCount; slot++) {
      if (touched[slot] === 1) kinds[slot] |= kindOf(values, slot, slotCount, count, firsts[slot]);
      if (kinds[slot] === Kind.same) continue;
      records++;
      size += recordSize(kinds[slot], count);
    }
    this.#placesAt = 8 * count;
    this.#ranksAt = this.#placesAt + 4 * records;
    this.#kindsAt = this.#ranksAt + 4 * ((slotCount >> RANK_SHIFT) + 1);
    const recordsAt = this.#kindsAt + slotCount;
    const buffer = new ArrayBuffer(recordsAt + size);
    this.#view = new DataView(buffer);
    this.times = new Float64Array(buffer, 0, count);
    this.times.set(times.subarray(0, count));
    new Uint8Array(buffer, this.#kindsAt, slotCount).set(kinds.subarray(0, slotCount));
    this.#write(rows, kinds, recordsAt);
  }

  get minTime(): number {
    return this.times[0];
  }

  get maxTime(): number {
    return this.times[this.count - 1];
  }

  get byteLength(): number {
    return this.#view.byteLength;
  }

  /** Writes the first `count` entries of a slot, and their states where not all are values. Returns whether they are. */
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
    const kind = this.#view.getUint8(this.#kindsAt + slot);
    const at = kind === Kind.same ? 0 : this.#place(slot);
    const states = this.#readValues(kind, slot, at, count, outValues, offset);
    if (kind < STATES) return true;
    for (let i = 0; i < count; i++) outStates[offset + i] = this.#view.getUint8(states + i);
    return false;
  }

  /**
   * Writes all entries of slots `first` to `first + slots` into a block of `stride` entries a slot, from entry
   * `offset` on; what is before has been written by the packs before.
   */
  fill(block: SlotBlock, first: number, slots: number, stride: number, offset: number): void {
    const { values, states, forms } = block;
    const { count } = this;
    let at = -1;
    for (let k = 0; k < slots; k++) {
      const slot = first + k;
      const to = k * stride;
      if (offset === 0) forms[k] = SlotForm.constant;
      const kind =
        slot < this.slotCount ? this.#view.getUint8(this.#kindsAt + slot) : Kind.same + STATES;
      if (kind === Kind.same && forms[k] === SlotForm.constant) {
        // Fast path: as it was from the beginning of the tile on.
        if (offset === 0) values[to] = this.#firsts[slot];
        continue;
      }
      if (forms[k] === SlotForm.constant) {
        values.fill(values[to], to, to + offset);
        forms[k] = SlotForm.values;
      }
      const form = kind < STATES ? forms[k] : SlotForm.states;
      if (form === SlotForm.states) {
        if (forms[k] !== SlotForm.states) states.fill(SampleState.value, to, to + offset);
        states.fill(SampleState.value, to + offset, to + offset + count);
        forms[k] = SlotForm.states;
        this.read(slot, count, values, states, to + offset);
        continue;
      }
      if (kind === Kind.same) values.fill(this.#firsts[slot], to + offset, to + offset + count);
      else {
        at = this.#place(slot);
        this.#readValues(kind, slot, at, count, values, to + offset);
      }
    }
  }

  /** Returns the place after the values. */
  #readValues(
    kind: number,
    slot: number,
    place: number,
    count: number,
    out: Float64Array,
    offset: number,
  ): number {
    const view = this.#view;
    const end = offset + count;
    let at = place;
    switch (kind & KIND_MASK) {
      case Kind.same: {
        const first = this.#firsts[slot];
        for (let to = offset; to < end; to++) out[to] = first;
        return at;
      }
      case Kind.floats:
        for (let to = offset; to < end; to++, at += 8) out[to] = view.getFloat64(at, true);
        return place + 8 * this.count;
      default:
    }
    const base = view.getFloat64(at, true);
    at += 8;
    switch (kind & KIND_MASK) {
      case Kind.constant:
        for (let to = offset; to < end; to++) out[to] = base;
        return at;
      case Kind.int8:
        for (let to = offset; to < end; to++) out[to] = base + view.getInt8(at++);
        return place + 8 + this.count;
      case Kind.int16:
        for (let to = offset; to < end; to++, at += 2) out[to] = base + view.getInt16(at, true);
        return place + 8 + 2 * this.count;
      default:
        for (let to = offset; to < end; to++, at += 4) out[to] = base + view.getInt32(at, true);
        return place + 8 + 4 * this.count;
    }
  }

  /** Where the record of a slot stands that has one. */
  #place(slot: number): number {
    const view = this.#view;
    const from = slot >> RANK_SHIFT;
    let rank = view.getUint32(this.#ranksAt + 4 * from, true);
    for (let i = from << RANK_SHIFT; i < slot; i++) {
      if (view.getUint8(this.#kindsAt + i) !== Kind.same) rank++;
    }
    return view.getUint32(this.#placesAt + 4 * rank, true);
  }

  #write({ count, stride, values, states }: RowsView, kinds: Uint8Array, recordsAt: number): void {
    const view = this.#view;
    let rank = 0;
    let at = recordsAt;
    for (let slot = 0; slot < stride; slot++) {
      if ((slot & ((1 << RANK_SHIFT) - 1)) === 0) {
        view.setUint32(this.#ranksAt + 4 * (slot >> RANK_SHIFT), rank, true);
      }
      if (kinds[slot] === Kind.same) continue;
      view.setUint32(this.#placesAt + 4 * rank++, at, true);
      at = writeValues(view, at, kinds[slot] & KIND_MASK, values, slot, stride, count);
      if (kinds[slot] < STATES || states === null) continue;
      for (let i = 0, from = slot; i < count; i++, from += stride)
        view.setUint8(at++, states[from]);
    }
  }
}

export class PackPiece implements Piece {
  readonly times: Float64Array;
  readonly from = 0;
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

function recordSize(kind: number, count: number): number {
  const values = kind & KIND_MASK;
  return BASE_SIZES[values] + count * (ENTRY_SIZES[values] + (kind < STATES ? 0 : 1));
}

function writeValues(
  view: DataView,
  place: number,
  kind: number,
  values: Float64Array,
  slot: number,
  stride: number,
  count: number,
): number {
  let at = place;
  const end = slot + count * stride;
  if (kind === Kind.same) return at;
  if (kind === Kind.floats) {
    for (let from = slot; from < end; from += stride, at += 8)
      view.setFloat64(at, values[from], true);
    return at;
  }
  const base = values[slot];
  view.setFloat64(at, base, true);
  at += 8;
  if (kind === Kind.int8) {
    for (let from = slot; from < end; from += stride) view.setInt8(at++, values[from] - base);
  } else if (kind === Kind.int16) {
    for (let from = slot; from < end; from += stride, at += 2) {
      view.setInt16(at, values[from] - base, true);
    }
  } else if (kind === Kind.int32) {
    for (let from = slot; from < end; from += stride, at += 4) {
      view.setInt32(at, values[from] - base, true);
    }
  }
  return at;
}

/** Notes the slots that have other states than `value`. */
function markStates(states: Uint8Array, cells: number, slotCount: number, kinds: Uint8Array): void {
  for (let at = 0, slot = 0; at < cells; at++) {
    if (states[at] !== SampleState.value) kinds[slot] |= STATES;
    if (++slot === slotCount) slot = 0;
  }
}

/** The smallest kind that holds a slot's values to the bit: whole distances from its first one here, or all of them. */
function kindOf(
  values: Float64Array,
  slot: number,
  slotCount: number,
  count: number,
  first: number,
): number {
  const base = values[slot];
  const end = count * slotCount;
  let least = 0;
  let most = 0;
  let isSame = true;
  let isWhole = !Object.is(base, -0);
  for (let at = slot; at < end; at += slotCount) {
    const value = values[at];
    const distance = value - base;
    // Fast path: most are as the first; a zero may be one of two.
    if (distance === 0 && value !== 0) continue;
    if (Object.is(value, base)) continue;
    isSame = false;
    // Whether reading gives it back, to the bit.
    const isBack = distance === (distance | 0) && base + distance === value;
    if (!isBack || Object.is(value, -0)) isWhole = false;
    if (distance < least) least = distance;
    if (distance > most) most = distance;
  }
  if (isSame) return Object.is(base, first) ? Kind.same : Kind.constant;
  if (!isWhole) return Kind.floats;
  if (least >= -128 && most < 128) return Kind.int8;
  return least >= -32_768 && most < 32_768 ? Kind.int16 : Kind.int32;
}
