/** A run of rows of one aligned group, as selects read it. */
import { SampleState } from '@canopy/model';
import type { TileReader } from '@canopy/encoding';
import type { DecodedTile } from '../archive/column-cache.js';

/** Stays readable though the group goes on: what it refers to is not changed afterwards. */
export interface Piece {
  /** Ascending; its `count` entries from `from` on are the rows. Not to be written to. */
  readonly times: Float64Array;
  readonly from: number;
  readonly count: number;
  /**
   * Writes `count` entries of a slot into the out arrays from `offset` on; of `outStates`, which come filled with
   * `value`, what is to be something else.
   * Returns whether all are values.
   * @throws FormatError where stored bytes are wrong.
   */
  read(slot: number, outValues: Float64Array, outStates: Uint8Array, offset: number): boolean;
}

/** Rows in an encoded tile; the first `count` of them. */
export class TilePiece implements Piece {
  readonly times: Float64Array;
  readonly from = 0;
  readonly count: number;
  readonly #reader: TileReader;

  constructor(reader: TileReader, countMax: number) {
    this.#reader = reader;
    this.times = reader.times();
    this.count = Math.min(countMax, reader.count);
  }

  read(slot: number, outValues: Float64Array, outStates: Uint8Array, offset: number): boolean {
    const reader = this.#reader;
    if (slot >= reader.slotCount) {
      // The slot was added after this tile.
      outStates.fill(SampleState.none, offset, offset + this.count);
      outValues.fill(0, offset, offset + this.count);
      return this.count === 0;
    }
    if (this.count === reader.count) {
      return reader.readSlot(slot, outValues, outStates, offset).statesNull;
    }
    const values = new Float64Array(reader.count);
    const states = new Uint8Array(reader.count);
    const { statesNull } = reader.readSlot(slot, values, states, 0);
    outValues.set(values.subarray(0, this.count), offset);
    if (!statesNull) outStates.set(states.subarray(0, this.count), offset);
    return statesNull;
  }
}

/** Fast path: fewer rows are copied one by one sooner than as a view is made of them. */
export const SHORT = 64;

/** Rows [from, to) of a tile whose columns are kept once they are decoded. */
export class DecodedPiece implements Piece {
  readonly times: Float64Array;
  readonly from: number;
  readonly count: number;
  readonly #tile: DecodedTile;

  constructor(tile: DecodedTile, from: number, to: number) {
    this.#tile = tile;
    this.from = from;
    this.times = tile.reader.times();
    this.count = to - from;
  }

  read(slot: number, outValues: Float64Array, outStates: Uint8Array, offset: number): boolean {
    const { reader } = this.#tile;
    if (slot >= reader.slotCount) {
      // The slot was added after this tile.
      outStates.fill(SampleState.none, offset, offset + this.count);
      return this.count === 0;
    }
    const { values, states } = this.#tile.column(slot);
    const { from, count } = this;
    if (count < SHORT) {
      for (let i = 0; i < count; i++) outValues[offset + i] = values[from + i];
    } else {
      outValues.set(count === reader.count ? values : values.subarray(from, from + count), offset);
    }
    if (states !== null) outStates.set(states.subarray(from, from + count), offset);
    return states === null;
  }
}

/** Rows that are not encoded yet: row i of slot s at `i * stride + s`. */
export class RowsPiece implements Piece {
  readonly times: Float64Array;
  readonly from = 0;
  readonly count: number;
  readonly #stride: number;
  readonly #values: Float64Array;
  readonly #states: Uint8Array | null;

  /** `states` null: all are values. */
  constructor(
    times: Float64Array,
    count: number,
    stride: number,
    values: Float64Array,
    states: Uint8Array | null,
  ) {
    this.times = times;
    this.count = count;
    this.#stride = stride;
    this.#values = values;
    this.#states = states;
  }

  read(slot: number, outValues: Float64Array, outStates: Uint8Array, offset: number): boolean {
    const stride = this.#stride;
    const values = this.#values;
    const states = this.#states;
    const end = offset + this.count;
    if (slot >= stride) {
      outStates.fill(SampleState.none, offset, end);
      outValues.fill(0, offset, end);
      return this.count === 0;
    }
    let from = slot;
    if (states === null) {
      for (let to = offset; to < end; to++, from += stride) outValues[to] = values[from];
      return true;
    }
    let allValues = true;
    for (let to = offset; to < end; to++, from += stride) {
      outValues[to] = values[from];
      outStates[to] = states[from];
      if (states[from] !== SampleState.value) allValues = false;
    }
    return allValues;
  }
}
