/** Blocks in LMDB: records and chunks in a table each. Callers hold the lease and their turn. */
import {
  type BlockId,
  type BlockMeta,
  type BlockPiece,
  type Clock,
  type DurationMs,
  type JournalRef,
  type Milliseconds,
  type Replaced,
} from '@canopy/model';
import { chunkCount, gatherPieces } from '../chunks.js';
import { blockNotBegun } from '../commit.js';
import { timelessGap } from '../corrupt.js';
import type { CorruptRecord } from '../health.js';
import { blockKey, chunkKey, groupKey, journalPrefix, keyAfterAll, readBlockKey } from './keys.js';
import type { Table } from './table.js';
import type { Tables, Write } from './tables.js';

/** Bytes copied out of the file between two turns of the event loop. */
const STEP_BYTES = 8 * 1024 * 1024;
const NEXT: BlockId = 0;

/** What stands among the records. */
type BlockRecord =
  | BlockMeta
  | { readonly building: true }
  | { readonly gone: Milliseconds; readonly bytes: number }
  | { readonly next: BlockId };

export class EmbeddedBlocks {
  readonly #records: Table;
  readonly #chunks: Table;
  readonly #tiles: Table;
  readonly #tileMetas: Table;
  readonly #clock: Clock;
  readonly #write: Write;
  readonly #onCorrupt: (record: CorruptRecord) => void;

  constructor(
    tables: Tables,
    clock: Clock,
    write: Write,
    onCorrupt: (record: CorruptRecord) => void,
  ) {
    this.#onCorrupt = onCorrupt;
    this.#records = tables.get('blocks');
    this.#chunks = tables.get('block-chunks');
    this.#tiles = tables.get('tiles');
    this.#tileMetas = tables.get('tile-metas');
    this.#clock = clock;
    this.#write = write;
  }

  list(ref: JournalRef): BlockMeta[] {
    return this.#all(ref).flatMap(([, record]) => ('id' in record ? [record] : []));
  }

  async next(ref: JournalRef): Promise<BlockId> {
    let next = 1;
    for (const [block, record] of this.#all(ref)) {
      if ('building' in record) await this.#remove(ref, block);
      // The number itself may be what was damaged.
      next = Math.max(next, 'next' in record ? record.next : block + 1);
    }
    return next;
  }

  async put(
    ref: JournalRef,
    block: BlockId,
    first: number,
    chunks: readonly Uint8Array[],
  ): Promise<void> {
    const prefix = journalPrefix(ref);
    const record = this.#record(prefix, block);
    const next = this.#record(prefix, NEXT);
    const isKnown = record !== undefined && 'building' in record;
    if (first > 0 && !(isKnown && this.#hasChunk(prefix, block, first - 1))) {
      throw blockNotBegun(ref, block);
    }
    if (!isKnown && next !== undefined && 'next' in next && block < next.next) {
      throw blockNotBegun(ref, block);
    }
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    await this.#write(bytes, () => {
      this.#set(prefix, block, { building: true });
      this.#set(prefix, NEXT, { next: block + 1 });
      chunks.forEach((chunk, i) => {
        this.#chunks.put(chunkKey(prefix, block, first + i), chunk);
      });
    });
  }

  async finish(ref: JournalRef, meta: BlockMeta, { tiles, blocks }: Replaced): Promise<void> {
    const prefix = journalPrefix(ref);
    const record = this.#record(prefix, meta.id);
    if (record !== undefined && 'id' in record) return;
    const isBegun = record !== undefined && 'building' in record;
    if (!isBegun || !this.#hasChunk(prefix, meta.id, chunkCount(meta) - 1)) {
      throw blockNotBegun(ref, meta.id);
    }
    const gone = this.#clock.now();
    await this.#write(0, () => {
      this.#set(prefix, meta.id, meta);
      for (const { id, tileBytes, indexBytes } of blocks) {
        this.#set(prefix, id, { gone, bytes: tileBytes + indexBytes });
      }
      for (const { epoch, group, firstSequence } of tiles) {
        const key = groupKey(prefix, epoch, group, firstSequence);
        this.#tiles.remove(key);
        this.#tileMetas.remove(key);
      }
    });
  }

  read(ref: JournalRef, pieces: readonly BlockPiece[]): Promise<Array<Uint8Array | undefined>> {
    const prefix = journalPrefix(ref);
    return gatherPieces(pieces, STEP_BYTES, async (parts) => {
      await new Promise((resolve) => setImmediate(resolve));
      // Neighbours lie in the same chunk: each is fetched once.
      let last: { block: BlockId; chunk: number; bytes: Buffer | undefined } | undefined;
      return parts.map(({ block, chunk, from, to }) => {
        if (last?.block !== block || last.chunk !== chunk) {
          const bytes = this.#chunks.get(chunkKey(prefix, block, chunk));
          last = { block, chunk, bytes: bytes ?? undefined };
        }
        // A copy: a small tile must not keep a whole chunk alive.
        return last.bytes === undefined
          ? undefined
          : Uint8Array.prototype.slice.call(last.bytes, from, to);
      });
    });
  }

  async drop(ref: JournalRef, blocks: readonly BlockMeta[]): Promise<void> {
    for (const { id } of blocks) await this.#remove(ref, id);
  }

  async sweep(ref: JournalRef, grace: DurationMs): Promise<number> {
    let freed = 0;
    for (const [block, record] of this.#all(ref)) {
      if (!('gone' in record) || record.gone > this.#clock.now() - grace) continue;
      await this.#remove(ref, block);
      freed += record.bytes;
    }
    return freed;
  }

  async #remove(ref: JournalRef, block: BlockId): Promise<void> {
    const prefix = journalPrefix(ref);
    const start = blockKey(prefix, block);
    const keys = this.#chunks.keys({ start, end: keyAfterAll(start) });
    await this.#write(0, () => {
      this.#records.remove(start);
      for (const key of keys) this.#chunks.remove(key);
    });
  }

  /** Chunks follow one another: those before it are there as well. */
  #hasChunk(prefix: Uint8Array, block: BlockId, chunk: number): boolean {
    const start = chunkKey(prefix, block, chunk);
    return this.#chunks.keys({ start, end: chunkKey(prefix, block, chunk + 1) }).length > 0;
  }

  #all(ref: JournalRef): Array<[BlockId, BlockRecord]> {
    const prefix = journalPrefix(ref);
    const found: Array<[BlockId, BlockRecord]> = [];
    for (const { key, value } of this.#records.records({
      start: prefix,
      end: keyAfterAll(prefix),
    })) {
      const block = readBlockKey(key);
      if (value !== null) found.push([block, parse(value)]);
      else {
        const message = 'the record of a block fails its checksum';
        const rest = { place: `block ${block}`, message, gap: timelessGap(0) };
        this.#onCorrupt({ journal: ref, what: 'block', ...rest });
      }
    }
    return found;
  }

  /** Undefined, too, where it fails its check: `next` gives no such number again. */
  #record(prefix: Uint8Array, block: BlockId): BlockRecord | undefined {
    const value = this.#records.get(blockKey(prefix, block));
    return value ? parse(value) : undefined;
  }

  #set(prefix: Uint8Array, block: BlockId, record: BlockRecord): void {
    this.#records.put(blockKey(prefix, block), Buffer.from(JSON.stringify(record)));
  }
}

const parse = (value: Buffer): BlockRecord => JSON.parse(value.toString()) as BlockRecord;
