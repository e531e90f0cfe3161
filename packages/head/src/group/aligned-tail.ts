/** The open tile of an aligned group: packed runs of rows, then the newest rows as they came. */
import { type AlignedFrame, AlignedTileEncoder } from '@canopy/encoding';
import { invariant } from '@canopy/model';
import { Pack, PackPiece } from './pack.js';
import type { Piece } from './piece.js';
import { Rows, type RowsView } from './rows.js';

/** Cells of a tile at which it closes without a key frame. */
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
  /** Each slot's first value in the tile, where packs have begun; replaced when slots are added. */
  #firsts = new Float64Array(0);
  /** Slots whose value has changed since the first row. */
  #touched = new Uint8Array(0);
  /** The newest rows; when sealed none, kept for the next tile where nobody may read them. */
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
    return this.#packs.reduce((total, pack) => total + pack.byteLength, this.#firsts.byteLength);
  }

  /** Notes what a frame changed, also where its row is refused: later frames build on it. */
  touch({ slotCount, changed, changedSlots }: AlignedFrame): void {
    if (this.#touched.length < slotCount) {
      const touched = new Uint8Array(slotCount);
      touched.set(this.#touched);
      this.#touched = touched;
    }
    for (let i = 0; i < changed; i++) this.#touched[changedSlots[i]] = 1;
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
    if (this.rowCount > 0) this.touch(frame);
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
    const { times, count } = this.#rows;
    if (row >= rowsMax || count === 0) return;
    if (times[count - 1] >= minTime && times[0] <= maxTime)
      out.push(this.#rows.piece(rowsMax - row));
  }

  /** The newest rows up to `maxTime` among the first `rowsMax`; null where those are packed. */
  newest(maxTime: number, rowsMax: number): RowsView | null {
    return this.#rows.newest(rowsMax - this.#packedRows, maxTime);
  }

  get cells(): number {
    return this.rowCount * this.#rows.stride;
  }

  /**
   * No row will be added: packs what is left and brings `last` up to date; `encodeSome` may be called.
   * Returns the rows' memory for another tail, or null where somebody may read it (`pinned`).
   */
  seal(pinned: boolean, last: Float64Array): Rows | null {
    const rows = this.#rows;
    if (rows.count > 0) this.#pack(pinned, last);
    const times = new Float64Array(this.rowCount);
    let offset = 0;
    for (const pack of this.#packs) {
      times.set(pack.times, offset);
      offset += pack.count;
    }
    this.#encoder = new AlignedTileEncoder(rows.stride, times);
    this.#rows = NO_ROWS;
    return pinned ? null : rows;
  }

  /** Encodes at least `cellsMax` more cells; all of it as a tile, fresh bytes, when they are done. */
  encodeSome(cellsMax: number): Uint8Array | null {
    const encoder = this.#encoder;
    invariant(encoder !== null, 'BUG: a tile is encoded while it is filled');
    for (let cells = 0; cells < cellsMax && encoder.slots < encoder.slotCount; ) {
      const slots = Math.min(encoder.slotsAtOnce, encoder.slotCount - encoder.slots);
      const { block } = encoder;
      let offset = 0;
      for (const pack of this.#packs) {
        pack.fill(block, encoder.slots, slots, this.rowCount, offset);
        offset += pack.count;
      }
      encoder.add(slots);
      cells += slots * this.rowCount;
    }
    return encoder.slots === encoder.slotCount ? encoder.finish() : null;
  }

  /** Whether a slot has an entry at or after `time` in the newest rows. */
  hasSince(slot: number, time: number, rowsMax: number): boolean {
    return this.#rows.hasSince(slot, time, rowsMax - this.#packedRows);
  }

  #pack(pinned: boolean, last: Float64Array): void {
    const rows = this.#rows;
    rows.noteLast(last);
    const view = rows.view();
    const known = this.#firsts.length;
    if (known < view.stride) {
      const firsts = new Float64Array(view.stride);
      firsts.set(this.#firsts);
      firsts.set(view.values.subarray(known, view.stride), known);
      this.#firsts = firsts;
    }
    this.#packs.push(new Pack(view, this.#firsts, this.#touched));
    this.#packedRows += rows.count;
    if (pinned) this.#rows = new Rows(rows.stride, rows.rowsMax);
    else rows.clear();
  }
}

const NO_ROWS = new Rows(0, 1);
