/** The doors through which housekeeping tells a head of blocks, and asks what may become one. */
import type { BlockIndex } from '@canopy/encoding';
import type { BlockId, BlockMeta, JournalRef, Replaced, TileMeta } from '@canopy/model';
import type { Tile } from '../group/tile.js';
import type { JournalGroups } from '../journal-groups.js';
import type { Archive } from './archive.js';

/** Where a tile lies in a block. */
export interface PlacedTile {
  readonly meta: TileMeta;
  readonly position: number;
}

export class HeadBlocks {
  readonly #archive: Archive;
  readonly #journals: ReadonlyMap<JournalRef, JournalGroups>;
  readonly #journal: (ref: JournalRef) => JournalGroups;

  constructor(
    archive: Archive,
    journals: ReadonlyMap<JournalRef, JournalGroups>,
    journal: (ref: JournalRef) => JournalGroups,
  ) {
    this.#archive = archive;
    this.#journals = journals;
    this.#journal = journal;
  }

  /** Blocks of a journal, as far as this head knows. */
  list(ref: JournalRef): BlockMeta[] {
    return this.#archive.blocks(ref);
  }

  /**
   * The blocks the store has of a journal, in place of those known so far: in recovery, and wherever
   * another process may have made some.
   */
  restore(ref: JournalRef, metas: readonly BlockMeta[]): void {
    const journal = this.#journal(ref);
    this.#archive.restore(ref, metas);
    for (const meta of metas) journal.newestTime = Math.max(journal.newestTime, meta.maxTime);
  }

  /**
   * As `restore`, while the head goes on: `stored` are all tiles that the store has in no block. Others that were
   * stored are in blocks by now (or were dropped).
   */
  compare(ref: JournalRef, blocks: readonly BlockMeta[], stored: readonly TileMeta[]): void {
    this.restore(ref, blocks);
    const names = new Set(stored.map(nameOf));
    const gone: TileMeta[] = [];
    for (const group of this.#journals.get(ref) ?? []) {
      for (const tile of group.tiles) {
        if (!tile.stored || names.has(nameOf(tile.meta))) continue;
        tile.inBlock = true;
        if (tile.bytes === null) gone.push(tile.meta);
      }
    }
    this.#journals.get(ref)?.dropTiles(gone);
  }

  /** After `restoreLayouts`: frames that a block has are not added again by `apply`. */
  restoreSealed(ref: JournalRef, index: BlockIndex): void {
    const journal = this.#journal(ref);
    for (let i = 0; i < index.groupCount; i++) {
      const last = index.tiles(i).at(-1);
      if (last === undefined) continue;
      const group = journal.find(index.epoch(i), index.group(i));
      group?.restoreSealed(last.lastSequence, last.maxTime);
    }
  }

  /** Tiles that the store has, and that no block has yet. */
  looseTiles(ref: JournalRef): TileMeta[] {
    const metas: TileMeta[] = [];
    for (const group of this.#journals.get(ref) ?? []) {
      for (const tile of group.tiles) if (tile.stored && !tile.inBlock) metas.push(tile.meta);
    }
    return metas;
  }

  /**
   * Bytes of tiles can be read in a block from now on, though nobody else sees it yet; `block` null: not
   * any more.
   */
  placed(ref: JournalRef, block: BlockId | null, tiles: readonly PlacedTile[]): void {
    for (const { meta, position } of tiles) {
      const tile = this.#tile(ref, meta);
      if (tile !== undefined) tile.place = block === null ? null : { block, position };
    }
  }

  /** The store has a block in place of tiles (placed before) or of other blocks. */
  finished(ref: JournalRef, meta: BlockMeta, replaced: Replaced): void {
    let hadAllTiles = true;
    for (const tile of replaced.tiles) {
      const own = this.#tile(ref, tile);
      if (own !== undefined) own.inBlock = true;
      if (own === undefined || own.bytes === null) hadAllTiles = false;
    }
    const gone = replaced.blocks.map(({ id }) => id);
    this.#archive.replace(ref, meta, gone, hadAllTiles);
  }

  /** Whether some snapshot still reads blocks that were replaced: then they are not to be swept. */
  isLate(ref: JournalRef): boolean {
    return this.#archive.isLate(ref);
  }

  /** The store has dropped blocks, or is about to (retention). */
  dropped(ref: JournalRef, blocks: readonly BlockMeta[]): void {
    const gone = blocks.map(({ id }) => id);
    if (gone.length > 0) this.#archive.replace(ref, undefined, gone);
  }

  #tile(ref: JournalRef, meta: TileMeta): Tile | undefined {
    return this.#journals.get(ref)?.tile(meta);
  }
}

const nameOf = ({ epoch, group, firstSequence }: TileMeta): string =>
  `${epoch}-${group}-${firstSequence}`;
