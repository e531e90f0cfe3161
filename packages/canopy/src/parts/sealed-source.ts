/**
 * Tiles by their names, wherever they lie by now: the parent that writes the store may have sealed them into a
 * block that this head has not heard of yet.
 */
import { BlockIndex } from '@canopy/encoding';
import type { TileSource } from '@canopy/head';
import {
  type BlockMeta,
  type BlockPiece,
  FormatError,
  type JournalRef,
  type Store,
  type TileMeta,
  blockName,
} from '@canopy/model';

/** Indexes that are kept for the next tiles of the same select. */
const INDEXES_MAX = 4;

export class SealedSource implements TileSource {
  readonly #store: Pick<Store, 'readTiles' | 'readBlocks' | 'blocks'>;
  /** By journal, block and extent; the oldest goes. */
  readonly #indexes = new Map<string, BlockIndex>();

  constructor(store: Pick<Store, 'readTiles' | 'readBlocks' | 'blocks'>) {
    this.#store = store;
  }

  readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>> {
    return this.#store.readBlocks(ref, pieces);
  }

  async readTiles(
    ref: JournalRef,
    tiles: readonly TileMeta[],
  ): Promise<Array<Uint8Array | undefined>> {
    const found = await this.#store.readTiles(ref, tiles);
    const missing = tiles.flatMap((_, i) => (found[i] === undefined ? [i] : []));
    if (missing.length === 0) return found;
    const blocks = await this.#store.blocks(ref);
    const places: number[] = [];
    const pieces: BlockPiece[] = [];
    for (const i of missing) {
      const piece = await this.#find(ref, blocks, tiles[i]);
      if (piece === undefined) continue;
      places.push(i);
      pieces.push(piece);
    }
    const read = pieces.length === 0 ? [] : await this.#store.readBlocks(ref, pieces);
    read.forEach((bytes, i) => (found[places[i]] = bytes));
    return found;
  }

  async #find(
    ref: JournalRef,
    blocks: readonly BlockMeta[],
    tile: TileMeta,
  ): Promise<BlockPiece | undefined> {
    for (const block of blocks) {
      if (tile.maxTime < block.from || tile.maxTime >= block.to) continue;
      const index = await this.#index(ref, block);
      for (let number = 0; number < (index?.groupCount ?? 0); number++) {
        if (index!.group(number) !== tile.group || index!.epoch(number) !== tile.epoch) continue;
        const { firstSequence, lastSequence } = tile;
        const same = index!
          .tiles(number)
          .find(
            (each) => each.firstSequence === firstSequence && each.lastSequence === lastSequence,
          );
        if (same === undefined) continue;
        return { block: block.id, position: same.position, byteLength: same.byteLength };
      }
    }
    return undefined;
  }

  /** Undefined where it is gone or damaged: whoever asks for the block's own groups says so. */
  async #index(ref: JournalRef, meta: BlockMeta): Promise<BlockIndex | undefined> {
    const { id, tileBytes, indexBytes } = meta;
    const key = `${ref}/${blockName(meta)}`;
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const piece = { block: id, position: tileBytes, byteLength: indexBytes };
    const [bytes] = await this.#store.readBlocks(ref, [piece]);
    if (bytes === undefined) return undefined;
    try {
      const index = new BlockIndex(bytes);
      this.#indexes.set(key, index);
      const [oldest] = this.#indexes.keys();
      if (this.#indexes.size > INDEXES_MAX) this.#indexes.delete(oldest);
      return index;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return undefined;
    }
  }
}
