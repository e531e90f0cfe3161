/** The newest rows of an aligned group, as they came: frame after frame, uncompressed. */
import type { AlignedFrame } from '@canopy/encoding';
import { SampleState, invariant } from '@canopy/model';
import { RowsPiece } from './piece.js';

/** Cells of the uncompressed rows of one group: 32 MiB of values. Wide groups are packed sooner. */
const CELLS_MAX = 1 << 22;

/** Some of the rows. */
export interface RowsView {
  readonly count: number;
  /** Row i of slot s at `i * stride + s`. */
  readonly stride: number;
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** Null: all are values. */
  readonly states: Uint8Array | null;
}

/** Up to `rowsMax` rows: 8 bytes a cell, 9 where some are not values. */
export class Rows {
  readonly rowsMax: number;
  count = 0;
  /** Cells from one row to the next; slots at or above it have no entries. */
  stride: number;
  times: Float64Array;
  #values: Float64Array;
  /** Null while every cell is a value. */
  #states: Uint8Array | null = null;

  constructor(slotCount: number, rowsMax: number) {
    this.stride = slotCount;
    this.rowsMax = Math.max(1, Math.min(rowsMax, Math.floor(CELLS_MAX / Math.max(1, slotCount))));
    this.times = new Float64Array(this.rowsMax);
    this.#values = new Float64Array(this.rowsMax * slotCount);
  }

  get full(): boolean {
    return this.count === this.rowsMax;
  }

  get byteLength(): number {
    return this.#values.byteLength + (this.#states?.byteLength ?? 0) + this.times.byteLength;
  }

  /** Whether a row of so many slots may be added without too many cells. */
  fits(slotCount: number): boolean {
    return slotCount <= this.stride || slotCount * this.rowsMax <= CELLS_MAX || this.rowsMax === 1;
  }

  /** Adds one row; the frame is copied. Must not be full. */
  append(time: number, frame: AlignedFrame, allValues: boolean): void {
    const { slotCount } = frame;
    if (slotCount > this.stride) this.#widen(slotCount);
    const at = this.count * this.stride;
    const narrower = slotCount < this.stride;
    if (this.#states === null && (narrower || !allValues)) {
      this.#states = new Uint8Array(this.rowsMax * this.stride).fill(SampleState.value, 0, at);
    }
    this.#values.set(frame.values, at);
    if (this.#states !== null) {
      this.#states.set(frame.states, at);
      // Arrays are used again: cells beyond a narrower frame may hold an old row.
      if (narrower) this.#states.fill(SampleState.none, at + slotCount, at + this.stride);
    }
    this.times[this.count++] = time;
  }

  /** The first `countMax` rows; stays right while rows are added, not after `clear`. */
  piece(countMax: number): RowsPiece {
    const count = Math.min(countMax, this.count);
    return new RowsPiece(this.times, count, this.stride, this.#values, this.#states);
  }

  /** All of them, for the time of one call. */
  view(): RowsView {
    const { count, stride, times } = this;
    return { count, stride, times, values: this.#values, states: this.#states };
  }

  /**
   * The first `countMax` rows up to `maxTime`, as they are: stays right while rows are added, not after `clear`.
   * Null where there are none.
   */
  newest(countMax: number, maxTime: number): RowsView | null {
    let count = Math.min(countMax, this.count);
    while (count > 0 && this.times[count - 1] > maxTime) count--;
    return count > 0 ? { ...this.view(), count } : null;
  }

  /** Sets `last[slot]` to the time of the slot's newest entry, where it has one here. */
  noteLast(last: Float64Array): void {
    if (this.#states === null) {
      if (this.count > 0) last.fill(this.times[this.count - 1], 0, this.stride);
      return;
    }
    for (let row = 0; row < this.count; row++) {
      const time = this.times[row];
      const from = row * this.stride;
      for (let slot = 0; slot < this.stride; slot++) {
        if (this.#states[from + slot] !== SampleState.none) last[slot] = time;
      }
    }
  }

  /** Whether a slot has an entry at or after `time` in the first `countMax` rows. */
  hasSince(slot: number, time: number, countMax: number): boolean {
    if (slot >= this.stride) return false;
    for (let row = Math.min(countMax, this.count) - 1; row >= 0; row--) {
      if (this.times[row] < time) return false;
      if (this.#states === null) return true;
      if (this.#states[row * this.stride + slot] !== SampleState.none) return true;
    }
    return false;
  }

  /** Empties it for the next rows; pieces handed out become wrong. */
  clear(): void {
    this.count = 0;
    this.#states = null;
  }

  #widen(slotCount: number): void {
    invariant(this.count < this.rowsMax, 'BUG: rows widened when full');
    const values = new Float64Array(this.rowsMax * slotCount);
    for (let row = 0; row < this.count; row++) {
      const from = row * this.stride;
      values.set(this.#values.subarray(from, from + this.stride), row * slotCount);
    }
    let states: Uint8Array | null = null;
    if (this.count > 0) {
      states = new Uint8Array(this.rowsMax * slotCount);
      for (let row = 0; row < this.count; row++) {
        const from = row * this.stride;
        const to = row * slotCount;
        if (this.#states === null) states.fill(SampleState.value, to, to + this.stride);
        else states.set(this.#states.subarray(from, from + this.stride), to);
      }
    }
    this.#values = values;
    this.#states = states;
    this.stride = slotCount;
  }
}
