/**
 * Carries closed tiles to the store and cuts the journal behind them; drops what is past its
 * retention. The parent's housekeeping: a leaf keeps no tiles.
 */
import type { Head } from '@canopy/head';
import {
  CanopyError,
  type DurationMs,
  type JournalPosition,
  type JournalRef,
  type Lease,
  type Milliseconds,
  type Store,
  type StoredTile,
  type TileMeta,
  comparePositions,
  errorText,
} from '@canopy/model';
import type { Log } from '../log.js';

export interface TileKeeperOptions {
  readonly store: Store;
  readonly head: () => Head;
  readonly owner: string;
  readonly leaseTtl: DurationMs;
  /** A reader that still needs entries after this position; undefined: none. */
  oldestReader(ref: JournalRef): JournalPosition | undefined;
  /** 0: no limit. */
  readonly retention: DurationMs;
  /** Bytes of the store above which the oldest tiles go; read each time, 0: no limit. */
  retentionBytes(): Promise<number>;
  readonly log: Log;
}

/** Bytes written to the store in one call. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Space is made below the limit, so that not every minute drops a little. */
const LOW_WATER = 0.95;

export class TileKeeper {
  readonly #options: TileKeeperOptions;
  readonly #pending: Array<{ readonly ref: JournalRef; readonly tile: StoredTile }> = [];
  #running: Promise<void> | undefined;
  readonly stats = {
    stored: 0,
    bytesStored: 0,
    failures: 0,
    droppedBytes: 0,
    droppedTiles: 0,
    trimmedBytes: 0,
  };

  constructor(options: TileKeeperOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Takes a closed tile; it is written at the next `write`. */
  add(ref: JournalRef, tile: StoredTile): void {
    this.#pending.push({ ref, tile });
  }

  /** Drops what is pending of a journal that is built up anew. */
  forget(ref: JournalRef): void {
    this.#remove(new Set(this.#pending.filter((item) => item.ref === ref)));
  }

  /** Writes what is pending, then trims. One run at a time; a failure leaves the rest for the next. */
  write(): Promise<void> {
    this.#running ??= this.#write().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #write(): Promise<void> {
    const { store, log } = this.#options;
    try {
      const touched = new Set<JournalRef>();
      while (this.#pending.length > 0) {
        const ref = this.#pending[0].ref;
        const batch = this.#batchOf(ref);
        const lease = await this.#lease(ref);
        if (lease === undefined) return;
        await store.putTiles(
          lease,
          batch.map((item) => item.tile),
        );
        for (const { tile } of batch) {
          this.#options.head().tileStored(ref, tile.meta);
          this.stats.bytesStored += tile.bytes.length;
        }
        this.stats.stored += batch.length;
        this.#remove(new Set(batch));
        touched.add(ref);
      }
      for (const ref of touched) await this.#trim(ref);
    } catch (error) {
      this.stats.failures++;
      log('warn', 'tiles could not be written; they are kept and written later', {
        pending: this.#pending.length,
        error: errorText(error),
      });
    }
  }

  /** Pending tiles of one journal, up to a batch. */
  #batchOf(ref: JournalRef): Array<{ readonly ref: JournalRef; readonly tile: StoredTile }> {
    const batch = [];
    let bytes = 0;
    for (const item of this.#pending) {
      if (item.ref !== ref) continue;
      batch.push(item);
      bytes += item.tile.bytes.length;
      if (bytes >= BATCH_BYTES) break;
    }
    return batch;
  }

  #remove(written: ReadonlySet<object>): void {
    const rest = this.#pending.filter((item) => !written.has(item));
    this.#pending.length = 0;
    this.#pending.push(...rest);
  }

  async #lease(ref: JournalRef): Promise<Lease | undefined> {
    const outcome = await this.#options.store.acquireLease(
      ref,
      this.#options.owner,
      this.#options.leaseTtl,
    );
    return outcome.granted ? outcome.lease : undefined;
  }

  /** Cuts the journal where nothing needs it: neither an open tile nor a reader of our own. */
  async #trim(ref: JournalRef): Promise<void> {
    const { store, head, oldestReader } = this.#options;
    let upTo = head().trimmable(ref);
    const reader = oldestReader(ref);
    if (reader !== undefined && comparePositions(reader, upTo) < 0) upTo = reader;
    const lease = await this.#lease(ref);
    if (lease === undefined) return;
    this.stats.trimmedBytes += await store.trimJournal(lease, upTo);
    const gone = head().groupsNotNeeded(ref, upTo);
    if (gone.length === 0) return;
    await store.dropLayouts(lease, gone);
    head().layoutsDropped(ref, gone);
  }

  /** Drops tiles past the retention, then the oldest ones until the store is below its limit. */
  async retain(now: Milliseconds): Promise<void> {
    const { store, retention, log } = this.#options;
    const before = this.stats.droppedBytes;
    const all: Array<{ readonly ref: JournalRef; readonly meta: TileMeta }> = [];
    for (const state of await store.journals()) {
      for (const meta of await store.tiles(state.ref)) all.push({ ref: state.ref, meta });
    }
    all.sort((a, b) => a.meta.maxTime - b.meta.maxTime);
    let keepFrom = 0;
    if (retention > 0) {
      while (keepFrom < all.length && all[keepFrom].meta.maxTime < now - retention) keepFrom++;
    }
    const limit = await this.#options.retentionBytes();
    if (limit > 0) {
      let used = (await store.usage()).usedBytes;
      for (let i = 0; i < keepFrom; i++) used -= all[i].meta.byteLength;
      const target = used > limit ? limit * LOW_WATER : limit;
      while (used > target && keepFrom < all.length) used -= all[keepFrom++].meta.byteLength;
    }
    await this.#drop(all.slice(0, keepFrom));
    const dropped = this.stats.droppedBytes - before;
    if (dropped > 0) log('info', 'retention dropped tiles', { tiles: keepFrom, bytes: dropped });
  }

  async #drop(
    tiles: ReadonlyArray<{ readonly ref: JournalRef; readonly meta: TileMeta }>,
  ): Promise<void> {
    const byJournal = new Map<JournalRef, TileMeta[]>();
    for (const { ref, meta } of tiles) {
      const metas = byJournal.get(ref);
      if (metas === undefined) byJournal.set(ref, [meta]);
      else metas.push(meta);
    }
    for (const [ref, metas] of byJournal) {
      const lease = await this.#lease(ref);
      if (lease === undefined)
        throw new CanopyError('storage_unavailable', `another process writes ${ref}`);
      await this.#options.store.dropTiles(lease, metas);
      this.#options.head().dropTiles(ref, metas);
      this.stats.droppedTiles += metas.length;
      for (const meta of metas) this.stats.droppedBytes += meta.byteLength;
    }
  }
}
