/** Tiles read back from the store, checked and open; the least recently used are dropped first. */
import type { TileReader } from '@canopy/encoding';
import type { JournalRef } from '@canopy/model';
import type { Tile } from '../group/tile.js';

export class TileCache {
  readonly #bytesMax: number;
  /** In order of use. */
  readonly #tiles = new Map<string, TileReader>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  /** How often something was forgotten: what was read before is not added any more. */
  forgets = 0;

  constructor(bytesMax = 64 << 20) {
    this.#bytesMax = bytesMax;
  }

  /** Parts of HeadStats. */
  get stats() {
    return {
      tileCacheBytes: this.#bytes,
      tileCacheHits: this.#hits,
      tileCacheMisses: this.#misses,
    };
  }

  get(ref: JournalRef, tile: Tile): TileReader | undefined {
    const key = keyOf(ref, tile);
    const reader = this.#tiles.get(key);
    if (reader === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    this.#tiles.delete(key);
    this.#tiles.set(key, reader);
    return reader;
  }

  /** `forgets`: as it was when reading began. */
  add(ref: JournalRef, tile: Tile, reader: TileReader, forgets: number): void {
    if (forgets !== this.forgets) return;
    const key = keyOf(ref, tile);
    if (reader.byteLength > this.#bytesMax || this.#tiles.has(key)) return;
    this.#tiles.set(key, reader);
    this.#bytes += reader.byteLength;
    for (const [oldest, { byteLength }] of this.#tiles) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#tiles.delete(oldest);
      this.#bytes -= byteLength;
    }
  }

  /** A store that fell back may give names of tiles and numbers of blocks to others. */
  forget(ref: JournalRef): void {
    this.forgets++;
    for (const [key, { byteLength }] of this.#tiles) {
      if (!key.startsWith(`${ref}/`)) continue;
      this.#tiles.delete(key);
      this.#bytes -= byteLength;
    }
  }
}

/** By where the bytes lie: in a block, or among the store's tiles. */
function keyOf(ref: JournalRef, { place, meta }: Tile): string {
  return place === null
    ? `${ref}/${meta.epoch}/${meta.group}/${meta.firstSequence}`
    : `${ref}/${place.block}/${place.position}`;
}
