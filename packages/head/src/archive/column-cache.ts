/**
 * Columns of tiles as they were decoded last, the least recently used tiles dropped first: what is asked again
 * (a dashboard, a rule) is copied instead.
 */
import type { TileReader } from '@canopy/encoding';

/** Columns that share one allocation. */
const SLAB_COLUMNS = 64;
/** Of a column beside its entries. Bytes, roughly. */
const COLUMN_BYTES = 160;

/** States of one call. */
let scratch = new Uint8Array(0);

export interface DecodedColumn {
  readonly values: Float64Array;
  /** Null: all are values. */
  readonly states: Uint8Array | null;
}

/** The columns of one tile that somebody has read. */
export class DecodedTile {
  readonly reader: TileReader;
  bytes = 0;
  readonly #columns: Array<DecodedColumn | undefined>;
  #slab = new Float64Array(0);
  #slabUsed = 0;

  constructor(reader: TileReader) {
    this.reader = reader;
    this.#columns = Array.from({ length: reader.slotCount });
  }

  /** A column of `reader.count` entries, not to be written to. @throws FormatError */
  column(slot: number): DecodedColumn {
    return this.#columns[slot] ?? this.#decode(slot);
  }

  #decode(slot: number): DecodedColumn {
    const { count, slotCount } = this.reader;
    if (this.#slabUsed === this.#slab.length) {
      this.#slab = new Float64Array(count * Math.min(SLAB_COLUMNS, slotCount));
      this.#slabUsed = 0;
      this.bytes += this.#slab.byteLength;
    }
    const from = this.#slabUsed;
    if (scratch.length < this.#slab.length) scratch = new Uint8Array(this.#slab.length);
    const { statesNull } = this.reader.readSlot(slot, this.#slab, scratch, from);
    this.#slabUsed += count;
    const column: DecodedColumn = {
      values: this.#slab.subarray(from, from + count),
      states: statesNull ? null : scratch.slice(from, from + count),
    };
    this.bytes += COLUMN_BYTES + (statesNull ? 0 : count);
    this.#columns[slot] = column;
    return column;
  }
}

export class ColumnCache {
  readonly #bytesMax: number;
  /** In order of use. */
  readonly #tiles = new Map<TileReader, DecodedTile>();

  constructor(bytesMax = 96 << 20) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of all columns and what they were decoded of. Part of HeadStats. */
  get bytes(): number {
    let bytes = 0;
    for (const tile of this.#tiles.values()) bytes += tile.bytes + tile.reader.byteLength;
    return bytes;
  }

  /** Whether so many entries fit without driving out all others: one large read must not. */
  admits(entries: number): boolean {
    return entries * Float64Array.BYTES_PER_ELEMENT <= this.#bytesMax / 2;
  }

  /** What is known of a tile; it grows as columns are asked for. */
  tile(reader: TileReader): DecodedTile {
    let tile = this.#tiles.get(reader);
    if (tile === undefined) tile = new DecodedTile(reader);
    else this.#tiles.delete(reader);
    this.#tiles.set(reader, tile);
    return tile;
  }

  /** To be called after reading: forgets tiles that were not used for long while there are too many bytes. */
  trim(): void {
    let { bytes } = this;
    for (const [reader, tile] of this.#tiles) {
      if (bytes <= this.#bytesMax) return;
      this.#tiles.delete(reader);
      bytes -= tile.bytes + reader.byteLength;
    }
  }
}
