/** Writes one block into the store: tiles end to end, chunk by chunk, then the index. */
import { type BlockGroup, BlockIndexWriter } from '@canopy/encoding';
import {
  BLOCK_CHUNK_BYTES,
  type BlockId,
  type BlockMeta,
  type BlockTile,
  type Clock,
  type DurationMs,
  JOURNAL_START,
  type JournalPosition,
  type Lease,
  type Milliseconds,
  type Store,
  type TileMeta,
  asDuration,
  asTime,
  comparePositions,
} from '@canopy/model';

/** The event loop is held no longer than this. Milliseconds. */
const HOLD_MS = 8;

/** Lets others have the event loop now and then. */
export class Pause {
  readonly #clock: Clock;
  #since: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  get due(): boolean {
    return this.#clock.monotonic() - this.#since >= HOLD_MS;
  }

  async take(): Promise<void> {
    if (!this.due) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#since = this.#clock.monotonic();
  }
}

export class BlockWriter {
  readonly #store: Store;
  /** A lease that is held, renewed where it has been some time. */
  readonly #lease: () => Promise<Lease>;
  readonly id: BlockId;
  readonly #pause: Pause;
  readonly #index = new BlockIndexWriter();
  #chunk = new Uint8Array(BLOCK_CHUNK_BYTES);
  #filled = 0;
  #chunks = 0;
  #position = 0;
  #tiles = 0;
  #series = 0;
  #minTime = Number.POSITIVE_INFINITY;
  #maxTime = Number.NEGATIVE_INFINITY;
  #intervalMax = 0;
  #last: JournalPosition = JOURNAL_START;

  private constructor(store: Store, lease: () => Promise<Lease>, id: BlockId, pause: Pause) {
    this.#store = store;
    this.#lease = lease;
    this.id = id;
    this.#pause = pause;
  }

  static async begin(
    store: Store,
    lease: () => Promise<Lease>,
    pause: Pause,
  ): Promise<BlockWriter> {
    return new BlockWriter(store, lease, await store.nextBlock(await lease()), pause);
  }

  get bytes(): number {
    return this.#position;
  }

  /** The next tile; bytes may be reused afterwards. */
  async addTile(
    extent: Omit<BlockTile, 'position' | 'byteLength'>,
    bytes: Uint8Array,
  ): Promise<BlockTile> {
    const { firstSequence, lastSequence, minTime, maxTime } = extent;
    const place = { position: this.#position, byteLength: bytes.length };
    await this.#append(bytes);
    this.#tiles++;
    return { ...place, firstSequence, lastSequence, minTime, maxTime };
  }

  /** The group whose tiles were added last; one without tiles is left out. */
  addGroup(group: BlockGroup): void {
    const { epoch, layout, tiles } = group;
    if (tiles.length === 0) return;
    this.#index.add(group);
    this.#series += layout.slots.length;
    this.#intervalMax = Math.max(this.#intervalMax, layout.meta.interval);
    for (const { minTime, maxTime, lastSequence } of tiles) {
      this.#minTime = Math.min(this.#minTime, minTime);
      this.#maxTime = Math.max(this.#maxTime, maxTime);
      const last = { epoch, sequence: lastSequence };
      if (comparePositions(last, this.#last) > 0) this.#last = last;
    }
  }

  /** Writes the index and what is left; the block still has to be finished. Null where it has no group. */
  async end(from: Milliseconds, to: Milliseconds): Promise<BlockMeta | null> {
    if (this.#index.groupCount === 0) return null;
    const steps = this.#index.finish();
    const tileBytes = this.#position;
    for (;;) {
      const step = steps.next();
      if (step.done) {
        await this.#append(step.value);
        break;
      }
      await this.#pause.take();
    }
    if (this.#filled > 0) await this.#flush();
    return {
      ...{ id: this.id, resolution: asDuration(0), from, to },
      minTime: asTime(this.#minTime),
      maxTime: asTime(this.#maxTime),
      intervalMax: this.#intervalMax as DurationMs,
      last: this.#last,
      tileBytes,
      indexBytes: this.#position - tileBytes,
      groups: this.#index.groupCount,
      tiles: this.#tiles,
      series: this.#series,
    };
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#position += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BLOCK_CHUNK_BYTES - this.#filled);
      this.#chunk.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BLOCK_CHUNK_BYTES) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const chunk = this.#chunk.subarray(0, this.#filled);
    await this.#store.putBlockChunks(await this.#lease(), this.id, this.#chunks, [chunk]);
    this.#chunks++;
    this.#filled = 0;
  }
}

/** Orders tiles as blocks have them: by group, then sequence. */
export function compareTiles(a: TileMeta, b: TileMeta): number {
  return a.epoch - b.epoch || a.group - b.group || a.firstSequence - b.firstSequence;
}
