/** Drops what is past its retention, and makes room: whole blocks and single tiles, the oldest first. */
import type { Head, HeadBlocks } from '@canopy/head';
import {
  type BlockMeta,
  type DurationMs,
  type JournalRef,
  type Lease,
  type Milliseconds,
  type Store,
  type TileMeta,
  asDuration,
  errorText,
} from '@canopy/model';
import type { Log } from '../log.js';
import type { JournalLeases } from './journal-leases.js';
import type { TileKeeper } from './tile-keeper.js';

export interface RetentionOptions {
  readonly store: Store;
  readonly head: () => Pick<Head, 'dropTiles'> & {
    readonly blocks: Pick<HeadBlocks, 'dropped' | 'isLate'>;
  };
  readonly leases: JournalLeases;
  /** 0: no limit. */
  readonly retention: DurationMs;
  /** Bytes of the store above which the oldest samples go, of a store that takes so many; asked each time, 0: no limit. */
  bytesMax(limitBytes: number): number;
  /** Written before room is made, for the journal is cut behind them; not while the oldest are looked for. */
  readonly tiles: Pick<TileKeeper, 'write' | 'hold'>;
  readonly log: Log;
}

/** Space is made below the limit, so that not every minute drops a little. */
const LOW_WATER = 0.95;
/** What is younger is not dropped for want of room where others fill the store: they would fill that room, too. */
const KEPT_MS = 2 * 3_600_000;
/** Others: more than this share of the limit is neither a tile nor a block nor a journal. */
const OTHERS_MAX = 0.5;
/** Where others fill the store it is looked at again after this long: reading every extent is not cheap. */
const STUCK_MS = 60_000;

/** What is dropped whole. */
interface Dated {
  readonly ref: JournalRef;
  readonly maxTime: Milliseconds;
  readonly bytes: number;
  readonly block?: BlockMeta;
  readonly tile?: TileMeta;
}

export class Retention {
  readonly #options: RetentionOptions;
  /** When the oldest is past its retention. */
  #nextDue = 0;
  /** Others fill the store, and nothing can be done about it, until then. */
  #stuckUntil = 0;
  /** When it was said last that nothing more may be dropped. */
  #saidAt = Number.NEGATIVE_INFINITY;
  readonly stats = { droppedBytes: 0, droppedTiles: 0, droppedBlocks: 0, failures: 0 };

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  async run(now: Milliseconds): Promise<void> {
    const { bytesMax, tiles } = this.#options;
    const usage = await this.#options.store.usage();
    const limit = bytesMax(usage.limitBytes);
    let used = usage.usedBytes;
    if (limit > 0 && used > limit) {
      await tiles.write();
      used = (await this.#options.store.usage()).usedBytes;
      if (used > limit && now >= this.#stuckUntil) used -= await this.#sweep();
    }
    const isOver = limit > 0 && used > limit && now >= this.#stuckUntil;
    // Reading every extent is not cheap: not before the oldest is due.
    if (!isOver && now < this.#nextDue) return;
    await tiles.hold(() => this.#dropOldest(now, used, limit, isOver));
  }

  async #dropOldest(
    now: Milliseconds,
    used: number,
    limit: number,
    isOver: boolean,
  ): Promise<void> {
    const { all, journalBytes } = await this.#all();
    const { retention, log } = this.#options;
    const target = isOver ? limit * LOW_WATER : limit;
    const own = all.reduce((sum, { bytes }) => sum + bytes, journalBytes);
    const areOthers = used - own > limit * OTHERS_MAX;
    const keepFrom = areOthers ? now - KEPT_MS : Number.POSITIVE_INFINITY;
    let count = 0;
    let freed = 0;
    while (count < all.length) {
      const { maxTime, bytes } = all[count];
      const isPast = retention > 0 && maxTime < now - retention;
      const isTooMuch = isOver && used - freed > target && maxTime < keepFrom;
      if (!isPast && !isTooMuch) break;
      freed += bytes;
      count++;
    }
    if (isOver && used - freed > target) {
      if (areOthers) this.#stuckUntil = now + STUCK_MS;
      const fields = { usedBytes: used, limitBytes: limit, samplesBytes: own };
      const level = now >= this.#saidAt + STUCK_MS ? 'error' : 'debug';
      if (level === 'error') this.#saidAt = now;
      log(level, 'the store is over its limit with what retention may not drop', fields);
    }
    const before = { ...this.stats };
    await this.#drop(all.slice(0, count));
    const next = all[count]?.maxTime;
    this.#nextDue = next === undefined || retention === 0 ? now + KEPT_MS : next + retention;
    const bytes = this.stats.droppedBytes - before.droppedBytes;
    if (bytes === 0) return;
    const tiles = this.stats.droppedTiles - before.droppedTiles;
    const blocks = this.stats.droppedBlocks - before.droppedBlocks;
    log('info', 'retention dropped samples', { blocks, tiles, bytes });
  }

  /** What merged blocks replaced goes first: nobody misses it. */
  async #sweep(): Promise<number> {
    let freed = 0;
    for (const { ref } of await this.#options.store.journals()) {
      if (this.#options.head().blocks.isLate(ref)) continue;
      await this.#perJournal(ref, async (lease) => {
        freed += await this.#options.store.sweepBlocks(lease, asDuration(0));
      });
    }
    return freed;
  }

  /** Everything that can be dropped, the oldest first; and what cannot be, but is ours. */
  async #all(): Promise<{ readonly all: Dated[]; readonly journalBytes: number }> {
    const { store } = this.#options;
    const all: Dated[] = [];
    let journalBytes = 0;
    for (const { ref, entryBytes } of await store.journals()) {
      journalBytes += entryBytes;
      for (const block of await store.blocks(ref)) {
        const bytes = block.tileBytes + block.indexBytes;
        all.push({ ref, maxTime: block.maxTime, bytes, block });
      }
      for (const tile of await store.tiles(ref)) {
        all.push({ ref, maxTime: tile.maxTime, bytes: tile.byteLength, tile });
      }
    }
    return { all: all.sort((a, b) => a.maxTime - b.maxTime), journalBytes };
  }

  async #drop(items: readonly Dated[]): Promise<void> {
    const { store, head } = this.#options;
    for (const ref of new Set(items.map((item) => item.ref))) {
      const own = items.filter((item) => item.ref === ref);
      const blocks = own.flatMap(({ block }) => block ?? []);
      const tiles = own.flatMap(({ tile }) => tile ?? []);
      await this.#perJournal(ref, async (lease) => {
        // Selects look for them no more, then they go.
        head().blocks.dropped(ref, blocks);
        await store.dropBlocks(lease, blocks);
        await store.dropTiles(lease, tiles);
        head().dropTiles(ref, tiles);
        this.stats.droppedBlocks += blocks.length;
        this.stats.droppedTiles += tiles.length;
        for (const { bytes } of own) this.stats.droppedBytes += bytes;
      });
    }
  }

  /** One journal's trouble is not another's. */
  async #perJournal(ref: JournalRef, task: (lease: Lease) => Promise<void>): Promise<void> {
    const { leases, log } = this.#options;
    try {
      await task(await leases.take(ref));
    } catch (error) {
      this.stats.failures++;
      const fields = { journal: ref, error: errorText(error) };
      log('warn', 'samples past their retention could not be dropped', fields);
    }
  }
}
