/** A closed tile of a group, in memory or only in the store, alone or in a block. */
import { TileReader } from '@canopy/encoding';
import type { BlockId, TileMeta } from '@canopy/model';
import type { ArchivedBlock } from '../archive/archived-block.js';
import type { LooseLog } from './loose-log.js';

export class Tile {
  readonly meta: TileMeta;
  /** The group's number of its first row (aligned) or sample (loose); -1: from before this process. */
  readonly startRow: number;
  /** Sequence of the key frame its first frame builds on. */
  readonly keySequence: number;
  /** Null when only the store has it. */
  bytes: Uint8Array | null;
  /** The store has it. */
  stored: boolean;
  /** Loose: what it was made of, kept while a snapshot shows a part of it only. */
  log: LooseLog | null = null;
  /** Where in which block its bytes lie; null: they are among the store's tiles. */
  place: { readonly block: BlockId; readonly position: number } | null = null;
  /** The block whose mounting brought it; null: the head knows the tile of itself. */
  archived: ArchivedBlock | null = null;
  /** A finished block has it: once it leaves memory it is found there. */
  inBlock = false;
  #reader: TileReader | null = null;

  constructor(
    meta: TileMeta,
    startRow: number,
    keySequence: number,
    bytes: Uint8Array | null,
    stored: boolean,
  ) {
    this.meta = meta;
    this.startRow = startRow;
    this.keySequence = keySequence;
    this.bytes = bytes;
    this.stored = stored;
  }

  /** A reader over the bytes in memory; undefined where only the store has them. @throws FormatError */
  reader(): TileReader | undefined {
    if (this.bytes === null) return undefined;
    this.#reader ??= new TileReader(this.bytes);
    return this.#reader;
  }

  /**
   * Comes back into memory, unless it is there.
   * @throws FormatError where the bytes fail their checks.
   */
  warm(bytes: Uint8Array): void {
    if (this.bytes !== null) return;
    this.#reader = new TileReader(bytes);
    this.bytes = bytes;
  }

  /** Leaves memory; returns the bytes given back. */
  evict(): number {
    const size = this.bytes?.length ?? 0;
    this.bytes = null;
    this.#reader = null;
    return size;
  }
}
