/** The open tile of an aligned group: packed runs of rows, then the newest rows as they came. */
import { type AlignedFrame, AlignedTileEncoder, encodeTile } from '@canopy/encoding';
import { invariant } from '@canopy/model';
import { Pack, PackPiece } from './pack.js';
import type { Piece } from './piece.js';
import { Rows, type TileScratch } from './rows.js';

/** Cells of a tile at which it closes without a key frame: 576 MiB while it is encoded. */
const CELLS_MAX = 1 << 26;

/** Where a tile begins in its journal. */
export interface TileStart {
  /** The group's row number of the tile's first row. */
  readonly row: number;
  readonly sequence: number;
  /** Sequence of the key frame that its first frame builds on: the first frame itself, mostly. */
  readonly keySequence: number;
}

export class AlignedTail {
  readonly start: TileStart;
  lastSequence: number;
  rowCount = 0;
  readonly minTime: number;
  maxTime: number;
  readonly #packs: Pack[] = [];
  #packedRows = 0;
  #rows: Rows;
  #encoder: AlignedTileEncoder | null = null;

  constructor(start: TileStart, time: number, rows: Rows) {
    this.start = start;
    this.lastSequence = start.sequence;
    this.minTime = time;
    this.maxTime = time;
    this.#rows = rows;
  }

  get packedBytes(): number {
    return this.#packs.reduce((total, pack) => total + pack.byteLength, 0);
  }

  /** Time to close even without a key frame; `rowsMax` rows at most. */
  isFull(slotCount: number, rowsMax: number): boolean {
    return this.rowCount >= rowsMax || (this.rowCount + 1) * slotCount > CELLS_MAX;
  }

  get rows(): Rows {
    return this.#rows;
  }

  /**
   * Adds one row. `pinned`: somebody reads older rows, so arrays that are full are left to them.
   * `last`: time of each slot's newest entry, brought up to date when rows are packed.
   */
  append(
    sequence: number,
    time: number,
    frame: AlignedFrame,
    allValues: boolean,
    pinned: boolean,
    last: Float64Array,
  ): void {
    const fits = this.#rows.fits(frame.slotCount);
    if (this.#rows.full || (!fits && this.#rows.count > 0)) this.#pack(pinned, last);
    if (!fits) this.#rows = new Rows(frame.slotCount, this.#rows.rowsMax);
    this.#rows.append(time, frame, allValues);
    this.rowCount++;
    this.lastSequence = sequence;
    this.maxTime = time;
  }

  /** Pieces with entries in [minTime, maxTime] among the first `rowsMax` rows, in order. */
  pieces(minTime: number, maxTime: number, rowsMax: number, out: Piece[]): void {
    let row = 0;
    for (const pack of this.#packs) {
      if (row >= rowsMax) return;
      if (pack.maxTime >= minTime && pack.minTime <= maxTime) {
        out.push(new PackPiece(pack, rowsMax - row));
      }
      row += pack.count;
    }
    if (row >= rowsMax || this.#rows.count === 0) return;
    const { times, count } = this.#rows;
    if (times[count - 1] >= minTime && times[0] <= maxTime)
      out.push(this.#rows.piece(rowsMax - row));
  }

  get cells(): number {
    return this.rowCount * this.#rows.stride;
  }

  /** No row will be added: `last` is brought up to date, and `encodeSome` may be called. */
  seal(last: Float64Array): void {
    this.#rows.noteLast(last);
    const times = new Float64Array(this.rowCount);
    let offset = 0;
    for (const pack of this.#packs) {
      times.set(pack.times, offset);
      offset += pack.count;
    }
    times.set(this.#rows.times.subarray(0, this.#rows.count), offset);
    this.#encoder = new AlignedTileEncoder(this.#rows.stride, times);
  }

  /** Encodes up to `slotsMax` more slots; all of it as a tile, fresh bytes, when they are done. */
  encodeSome(slotsMax: number, scratch: TileScratch): Uint8Array | null {
    const encoder = this.#encoder;
    invariant(encoder !== null, 'BUG: a tile is encoded while it is filled');
    scratch.reserve(this.rowCount);
    const { values, states } = scratch;
    const rows = this.#rows.piece(this.#rows.count);
    const end = Math.min(encoder.slotCount, encoder.slots + slotsMax);
    while (encoder.slots < end) {
      const slot = encoder.slots;
      let offset = 0;
      for (const pack of this.#packs) {
        pack.read(slot, pack.count, values, states, offset);
        offset += pack.count;
      }
      rows.read(slot, values, states, offset);
      encoder.add(states, values);
    }
    return encoder.slots === encoder.slotCount ? encoder.finish() : null;
  }

  /** The whole run as one encoded tile; fresh bytes. */
  encode(last: Float64Array, scratch: TileScratch): Uint8Array {
    this.#rows.noteLast(last);
    if (this.#packs.length === 0) return this.#rows.encode(scratch);
    const slotCount = this.#rows.stride;
    const count = this.rowCount;
    const times = new Float64Array(count);
    scratch.reserve(slotCount * count);
    let offset = 0;
    for (const pack of this.#packs) {
      times.set(pack.times, offset);
      for (let slot = 0; slot < slotCount; slot++) {
        pack.read(slot, pack.count, scratch.values, scratch.states, slot * count + offset);
      }
      offset += pack.count;
    }
    times.set(this.#rows.times.subarray(0, this.#rows.count), offset);
    this.#rows.copyColumns(scratch, count, offset);
    const columns = scratch.columns(slotCount * count);
    return encodeTile({ kind: 'aligned', slotCount, count, times, ...columns });
  }

  /** Whether a slot has an entry at or after `time` in the newest rows. */
  hasSince(slot: number, time: number, rowsMax: number): boolean {
    return this.#rows.hasSince(slot, time, rowsMax - this.#packedRows);
  }

  #pack(pinned: boolean, last: Float64Array): void {
    this.#rows.noteLast(last);
    this.#packs.push(new Pack(this.#rows.view()));
    this.#packedRows += this.#rows.count;
    if (pinned) this.#rows = new Rows(this.#rows.stride, this.#rows.rowsMax);
    else this.#rows.clear();
  }
}
