/** Tiles read back from blocks, the least recently used dropped first. */
import type { BlockId, JournalRef } from '@canopy/model';

export class TileCache {
  readonly #bytesMax: number;
  /** In order of use. */
  readonly #tiles = new Map<string, Uint8Array>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;

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

  get(ref: JournalRef, block: BlockId, position: number): Uint8Array | undefined {
    const key = keyOf(ref, block, position);
    const bytes = this.#tiles.get(key);
    if (bytes === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    this.#tiles.delete(key);
    this.#tiles.set(key, bytes);
    return bytes;
  }

  add(ref: JournalRef, block: BlockId, position: number, bytes: Uint8Array): void {
    const key = keyOf(ref, block, position);
    if (bytes.length > this.#bytesMax || this.#tiles.has(key)) return;
    this.#tiles.set(key, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#tiles) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#tiles.delete(oldest);
      this.#bytes -= length;
    }
  }
}

const keyOf = (ref: JournalRef, block: BlockId, position: number): string =>
  `${ref}/${block}/${position}`;
