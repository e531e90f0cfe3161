/** Tiles in a map, for tests. */
import type { BlockId, BlockPiece, JournalRef, StoredTile, TileMeta } from '@canopy/model';
import type { TileSource } from '../options.js';

export class TileStore implements TileSource {
  readonly #tiles = new Map<string, StoredTile>();
  readonly #blocks = new Map<string, Uint8Array>();
  blockReads = 0;
  /** Number of calls of `readTiles`, and of tiles asked for. */
  reads = 0;
  tilesRead = 0;

  put(ref: JournalRef, tile: StoredTile): void {
    this.#tiles.set(keyOf(ref, tile.meta), tile);
  }

  drop(ref: JournalRef, meta: TileMeta): void {
    this.#tiles.delete(keyOf(ref, meta));
  }

  metas(ref: JournalRef): TileMeta[] {
    const own = [...this.#tiles].filter(([key]) => key.startsWith(ref));
    return own.map(([, tile]) => tile.meta);
  }

  /** Bytes of a block, finished or not. */
  putBlock(ref: JournalRef, block: BlockId, bytes: Uint8Array): void {
    this.#blocks.set(`${ref}/${block}`, bytes);
  }

  dropBlock(ref: JournalRef, block: BlockId): void {
    this.#blocks.delete(`${ref}/${block}`);
  }

  async readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>> {
    this.blockReads++;
    await new Promise((resolve) => setImmediate(resolve));
    return pieces.map(({ block, position, byteLength }) =>
      this.#blocks.get(`${ref}/${block}`)?.slice(position, position + byteLength),
    );
  }

  async readTiles(
    ref: JournalRef,
    tiles: readonly TileMeta[],
  ): Promise<Array<Uint8Array | undefined>> {
    this.reads++;
    this.tilesRead += tiles.length;
    await new Promise((resolve) => setImmediate(resolve));
    return tiles.map((meta) => this.#tiles.get(keyOf(ref, meta))?.bytes);
  }
}

const keyOf = (ref: JournalRef, meta: TileMeta): string =>
  `${ref}/${meta.epoch}/${meta.group}/${meta.firstSequence}`;
