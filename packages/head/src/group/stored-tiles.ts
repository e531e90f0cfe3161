/** Tiles of a head beside those that the store has: which are known, which are cold, and warming them. */
import {
  FormatError,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type Milliseconds,
  type StoredTile,
  type TileMeta,
  asTime,
  comparePositions,
} from '@canopy/model';
import type { JournalGroups } from '../journal-groups.js';
import type { ReadCounts } from '../select/gather.js';
import { LooseRecall } from './loose-recall.js';
import type { LooseLimits } from './loose-slots.js';
import type { TileClosing } from './tile-closing.js';

export interface PlacedTile {
  readonly ref: JournalRef;
  readonly meta: TileMeta;
}

/** What a head has of a journal in memory, in the form of a store. */
export interface HeldJournal {
  /** Of each group that has tiles, as they were journalled, in ascending positions. */
  readonly layouts: readonly JournalEntry[];
  /** By group, ascending. The head owns the bytes, and does not change them. */
  readonly tiles: readonly StoredTile[];
  /** Newest sample that is known of and not held; 0 where all is. */
  readonly lostUpTo: Milliseconds;
}

export class StoredTiles {
  readonly #journals: ReadonlyMap<JournalRef, JournalGroups>;
  readonly #counts: Pick<ReadCounts, 'tilesUnreadable' | 'onTileCorrupt'>;
  readonly #looseLimits: LooseLimits;
  readonly #closing: Pick<TileClosing, 'closeAll'>;

  constructor(
    journals: ReadonlyMap<JournalRef, JournalGroups>,
    counts: Pick<ReadCounts, 'tilesUnreadable' | 'onTileCorrupt'>,
    looseLimits: LooseLimits,
    closing: Pick<TileClosing, 'closeAll'>,
  ) {
    this.#journals = journals;
    this.#counts = counts;
    this.#looseLimits = looseLimits;
    this.#closing = closing;
  }

  /** Every journal that the head has something of. */
  refs(): JournalRef[] {
    return [...this.#journals.keys()];
  }

  /**
   * Closes the open tiles of a journal and gives out all that is in memory, for a store that has lost it. Nothing may be
   * applied to the journal meanwhile.
   */
  async held(ref: JournalRef): Promise<HeldJournal> {
    const layouts: JournalEntry[] = [];
    const tiles: StoredTile[] = [];
    let lostUpTo = 0;
    for (const group of this.#journals.get(ref) ?? []) {
      if (group.released) continue;
      await this.#closing.closeAll(group);
      const { epoch, id, meta } = group;
      const known = group.layout.entries({ epoch, group: id, meta });
      const first = tiles.length;
      for (const tile of group.tiles) {
        // Of what slots are unknown values say nothing.
        if (tile.bytes === null || known === undefined) {
          lostUpTo = Math.max(lostUpTo, tile.meta.maxTime);
        } else tiles.push({ meta: tile.meta, bytes: tile.bytes });
      }
      if (tiles.length > first) layouts.push(...known!);
      await new Promise((done) => setImmediate(done));
    }
    layouts.sort(comparePositions);
    return { layouts, tiles, lostUpTo: asTime(lostUpTo) };
  }

  /** In recovery, after tiles and records of blocks were restored: what groups have to know of them besides. */
  recall(ref: JournalRef): LooseRecall {
    return new LooseRecall(this.#journals.get(ref), this.#looseLimits);
  }

  /** Whether a tile with this extent is among those of its group. */
  knows(ref: JournalRef, meta: TileMeta): boolean {
    const tile = this.#journals.get(ref)?.tile(meta);
    return tile?.meta.lastSequence === meta.lastSequence;
  }

  /** Whether the store has a tile, as far as is known, and in no block. */
  isAlone(ref: JournalRef, meta: TileMeta): boolean {
    const tile = this.#journals.get(ref)?.tile(meta);
    return tile !== undefined && tile.stored && !tile.inBlock && tile.place === null;
  }

  /** Tiles with samples since `from` that only the store has; the newest first. */
  cold(from: Milliseconds): PlacedTile[] {
    const cold: PlacedTile[] = [];
    for (const journal of this.#journals.values()) {
      for (const { tiles } of journal) {
        for (const { bytes, meta } of tiles) {
          if (bytes === null && meta.maxTime >= from) cold.push({ ref: journal.ref, meta });
        }
      }
    }
    return cold.sort((a, b) => b.meta.maxTime - a.meta.maxTime);
  }

  /** Up to where a journal was cut when the head was restored from it; undefined where it was not. */
  restoredFrom(ref: JournalRef): JournalPosition | undefined {
    return this.#journals.get(ref)?.restoredFrom;
  }

  /**
   * Puts the bytes of a tile, read from the store, back into memory until it expires; the head owns them.
   * False where they fail their checks; then the tile stays with the store.
   */
  warm(ref: JournalRef, meta: TileMeta, bytes: Uint8Array): boolean {
    const tile = this.#journals.get(ref)?.tile(meta);
    try {
      tile?.warm(bytes);
      return true;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#counts.tilesUnreadable++;
      this.#counts.onTileCorrupt(ref, tile!);
      return false;
    }
  }
}
