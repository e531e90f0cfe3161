/** Blocks of a journal: records in a hash, bytes in strings just below an allocator's size. */
import {
  type BlockId,
  type BlockMeta,
  type BlockPiece,
  CanopyError,
  type DurationMs,
  type JournalRef,
  type Lease,
  type Replaced,
  asDuration,
} from '@canopy/model';
import { type ChunkPart, chunkCount, gatherPieces } from '../chunks.js';
import { blockNotBegun, leaseLost } from '../commit.js';
import { timelessGap } from '../corrupt.js';
import type { CorruptRecord } from '../health.js';
import { sealText, unsealText } from '../seal.js';
import type { RedisConnection } from './connection.js';
import { type RedisKeys, tileField } from './keys.js';
import { type RunScript, type ScriptArgument, asBuffer } from './scripts.js';
import { byWindow } from './tiles.js';

/** Chunks unlinked in one script, and chunks or parts of them asked for at once. */
const REMOVED_AT_ONCE = 500;
const READ_BYTES_AT_ONCE = 8 * 1024 * 1024;
const GONE = 'gone:';
/** Longer than clocks differ. */
const EVER_MS = 1e12;

export class RedisBlocks {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #run: RunScript;
  readonly #onCorrupt: (record: CorruptRecord) => void;

  constructor(
    connection: RedisConnection,
    keys: RedisKeys,
    run: RunScript,
    onCorrupt: (record: CorruptRecord) => void,
  ) {
    this.#onCorrupt = onCorrupt;
    this.#connection = connection;
    this.#keys = keys;
    this.#run = run;
  }

  /** As in Store. */
  async list(ref: JournalRef): Promise<BlockMeta[]> {
    const fields = await this.#fields(ref);
    const known = Object.entries(fields).filter(([field]) => /^\d+$/.test(field));
    const key = this.#keys.blocks(ref);
    return known.flatMap(([field, sealed]) => {
      const text = unsealText(`${key} ${field}`, sealed);
      if (text !== undefined) return [JSON.parse(text) as BlockMeta];
      const message = `the record of a block in ${key} fails its check`;
      this.#onCorrupt({ journal: ref, what: 'block', place: field, message, gap: timelessGap(0) });
      return [];
    });
  }

  /** As in Store. */
  async next(lease: Lease): Promise<BlockId> {
    const fields = await this.#fields(lease.journal);
    const { building, next = '1' } = fields;
    const key = this.#keys.blocks(lease.journal);
    const numbers = Object.keys(fields).flatMap(
      (field) => /^(?:gone:)?(\d+)$/.exec(field)?.[1] ?? [],
    );
    const newest = Math.max(0, ...numbers.map(Number));
    if (!Number.isSafeInteger(Number(next)) || Number(next) <= newest) {
      throw damaged(key, 'next', `HSET it to ${newest + 1}`);
    }
    if (building !== undefined) {
      const [block, chunks] = building.split(' ').map(Number);
      if (!isNumber(building.split(' ')[0]) || fields[block] !== undefined || !isCount(chunks)) {
        throw damaged(
          key,
          'building',
          'HDEL it: chunks of a block that was never finished may stay',
        );
      }
      await this.#remove(lease, [['building', block, chunks]]);
    }
    return Number(next);
  }

  /** As in Store. */
  async put(
    lease: Lease,
    block: BlockId,
    first: number,
    chunks: readonly Uint8Array[],
  ): Promise<void> {
    const { journal, owner, fence } = lease;
    // A chunk a call: nobody waits longer for the server than for that.
    for (const [i, chunk] of chunks.entries()) {
      const number = first + i;
      const keys = [
        this.#keys.lease(journal),
        this.#keys.blocks(journal),
        this.#keys.chunk(journal, block, number),
      ];
      const args = [owner, fence, block, number + 1, asBuffer(chunk)];
      const reply = await this.#run('block_put', keys, args);
      if (reply === -1) throw leaseLost(journal);
      if (reply === -2) throw blockNotBegun(journal, block);
    }
  }

  /** As in Store. */
  async finish(lease: Lease, meta: BlockMeta, { tiles, blocks }: Replaced): Promise<void> {
    const { journal, owner, fence } = lease;
    const keys = [
      this.#keys.lease(journal),
      this.#keys.blocks(journal),
      this.#keys.windows(journal),
    ];
    const record = sealText(`${this.#keys.blocks(journal)} ${meta.id}`, JSON.stringify(meta));
    const args: ScriptArgument[] = [owner, fence, meta.id, record, chunkCount(meta), blocks.length];
    for (const block of blocks) args.push(block.id, chunkCount(block));
    for (const [window, places] of byWindow(tiles)) {
      keys.push(this.#keys.tiles(journal, window), this.#keys.extents(journal, window));
      args.push(window, places.length);
      for (const place of places) args.push(tileField(tiles[place]));
    }
    const reply = await this.#run('block_finish', keys, args);
    if (reply === -1) throw leaseLost(journal);
    if (reply === -2) throw blockNotBegun(journal, meta.id);
  }

  /** As in Store. */
  async read(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>> {
    return gatherPieces(pieces, READ_BYTES_AT_ONCE, (parts) =>
      this.#connection.run(
        (client) =>
          Promise.all(
            parts.map(async ({ block, chunk, from, to }: ChunkPart) => {
              const key = this.#keys.chunk(ref, block, chunk);
              const bytes = await client.getrangeBuffer(key, from, to - 1);
              // Nothing is what it gives for a key that is not there, and for one that ends before.
              const isGone = bytes.length === 0 && (await client.exists(key)) === 0;
              return isGone ? undefined : bytes;
            }),
          ),
        this.#keys.blocks(ref),
      ),
    );
  }

  /** As in Store. */
  async drop(lease: Lease, blocks: readonly BlockMeta[]): Promise<void> {
    await this.#remove(
      lease,
      blocks.map((block) => [String(block.id), block.id, chunkCount(block)]),
    );
  }

  /** As in Store. */
  async sweep(lease: Lease, grace: DurationMs): Promise<number> {
    const { journal, owner, fence } = lease;
    const keys = [this.#keys.lease(journal), this.#keys.blocks(journal)];
    const reply = await this.#run('block_gone', keys, [owner, fence, Math.floor(grace)]);
    if (reply === -1) throw leaseLost(journal);
    const parts = (reply as Array<string | Buffer>).map(String);
    const old: Leftover[] = [];
    for (let i = 0; i < parts.length; i += 2) {
      if (parts[i + 1] === '' || !isCount(Number(parts[i + 1]))) {
        throw damaged(keys[1], parts[i], 'HDEL it: chunks of a block that was replaced may stay');
      }
      old.push([parts[i], Number(parts[i].slice(GONE.length)), Number(parts[i + 1])]);
    }
    if (old.length === 0) return 0;
    const bytes = await this.#bytes(lease.journal, old);
    await this.#remove(lease, old);
    return bytes;
  }

  /** Everything: finished, replaced, begun. */
  async dropAll(lease: Lease): Promise<void> {
    await this.next(lease);
    await this.sweep(lease, asDuration(-EVER_MS));
    await this.drop(lease, await this.list(lease.journal));
  }

  async #fields(ref: JournalRef): Promise<Record<string, string>> {
    const key = this.#keys.blocks(ref);
    return this.#connection.run((client) => client.hgetall(key), key);
  }

  async #bytes(ref: JournalRef, blocks: readonly Leftover[]): Promise<number> {
    const keys = blocks.flatMap(([, block, chunks]) =>
      Array.from({ length: chunks }, (_, chunk) => this.#keys.chunk(ref, block, chunk)),
    );
    const sizes = await this.#connection.run(
      (client) => Promise.all(keys.map((key) => client.strlen(key))),
      this.#keys.blocks(ref),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** The record goes last: until then the next sweep, or retention, finds what is left. */
  async #remove(lease: Lease, blocks: readonly Leftover[]): Promise<void> {
    const { journal } = lease;
    for (const [field, block, chunks] of blocks) {
      const keys = Array.from({ length: chunks }, (_, i) => this.#keys.chunk(journal, block, i));
      for (let from = 0; from === 0 || from < keys.length; from += REMOVED_AT_ONCE) {
        const isLast = from + REMOVED_AT_ONCE >= keys.length;
        await this.#removeSome(lease, field, isLast, keys.slice(from, from + REMOVED_AT_ONCE));
      }
    }
  }

  async #removeSome(
    { journal, owner, fence }: Lease,
    field: string,
    isLast: boolean,
    chunkKeys: readonly string[],
  ): Promise<void> {
    const keys = [this.#keys.lease(journal), this.#keys.blocks(journal), ...chunkKeys];
    const reply = await this.#run('block_remove', keys, [owner, fence, field, isLast ? 1 : 0]);
    if (reply === -1) throw leaseLost(journal);
  }
}

/** Field of the record, number of the block, number of chunks. */
type Leftover = [field: string, block: BlockId, chunks: number];

/** Chunks of the largest block that could be: 16 GiB. */
const CHUNKS_MAX = 65_536;

const isNumber = (text: string): boolean => /^\d+$/.test(text);
const isCount = (chunks: number): boolean =>
  Number.isInteger(chunks) && chunks >= 0 && chunks <= CHUNKS_MAX;

/** What stands there could make blocks that are whole be written over or removed. */
function damaged(key: string, field: string, help: string): CanopyError {
  const text = `${key} in Redis is damaged (field ${field}). ${help}`;
  return new CanopyError('storage_corrupt', text);
}
