/** Tiles of a head beside those that the store has: which are known, which are cold, and warming them. */
import {
  FormatError,
  type JournalPosition,
  type JournalRef,
  type Milliseconds,
  type TileMeta,
} from '@canopy/model';
import type { JournalGroups } from '../journal-groups.js';
import type { ReadCounts } from '../select/gather.js';
import { LooseRecall } from './loose-recall.js';
import type { LooseLimits } from './loose-slots.js';

export interface PlacedTile {
  readonly ref: JournalRef;
  readonly meta: TileMeta;
}

export class StoredTiles {
  readonly #journals: ReadonlyMap<JournalRef, JournalGroups>;
  readonly #counts: Pick<ReadCounts, 'tilesUnreadable' | 'onTileCorrupt'>;
  readonly #looseLimits: LooseLimits;

  constructor(
    journals: ReadonlyMap<JournalRef, JournalGroups>,
    counts: Pick<ReadCounts, 'tilesUnreadable' | 'onTileCorrupt'>,
    looseLimits: LooseLimits,
  ) {
    this.#journals = journals;
    this.#counts = counts;
    this.#looseLimits = looseLimits;
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
    try {
      this.#journals.get(ref)?.tile(meta)?.warm(bytes);
      return true;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#counts.tilesUnreadable++;
      this.#counts.onTileCorrupt(ref, meta);
      return false;
    }
  }
}
