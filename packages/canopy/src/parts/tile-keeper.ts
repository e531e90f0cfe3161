/**
 * Carries closed tiles to the store and cuts the journal behind them. A failover may lose what was just written:
 * a round later it is looked for again. A leaf keeps its journal (`recent-tiles.ts`).
 */
import type { Head } from '@canopy/head';
import {
  JOURNAL_START,
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
import { isBehind, standing } from './fallen-store.js';
import type { JournalLeases } from './journal-leases.js';
import { firstOf } from './tile-places.js';

/** What is asked of the head. */
export type TileHead = Pick<
  Head,
  'position' | 'tileStored' | 'trimmable' | 'groupsNotNeeded' | 'layoutsDropped'
> & {
  readonly storedTiles: Pick<Head['storedTiles'], 'isAlone' | 'restoredFrom'>;
  readonly blocks: Pick<Head['blocks'], 'looseTiles'>;
};

export interface TileKeeperOptions {
  readonly store: Store;
  readonly head: () => TileHead;
  readonly leases: JournalLeases;
  /** A reader that still needs entries after this position; undefined: none. */
  oldestReader(ref: JournalRef): JournalPosition | undefined;
  /** Frames of it were found to be lost, and no stored ledger says so yet: it is not cut meanwhile. */
  hasUntoldGaps(ref: JournalRef): boolean;
  /** In place of cutting the journal: what a restart needs of entries up to `upTo` is in stored tiles. */
  onCovered?(ref: JournalRef, upTo: JournalPosition): Promise<void>;
  /** The store fell back to before the journal was last cut. Whether its head has been built up anew. */
  onWentBack?(ref: JournalRef): Promise<boolean>;
  readonly log: Log;
}

/** Bytes written to the store in one call. */
const BATCH_BYTES = 4 * 1024 * 1024;

interface Item {
  readonly ref: JournalRef;
  readonly tile: StoredTile;
}

export class TileKeeper {
  readonly #options: TileKeeperOptions;
  #pending: Item[] = [];
  /** Written in the last round; not found again yet. */
  #written: Item[] = [];
  /** Where each journal was cut. */
  readonly #cut = new Map<JournalRef, JournalPosition>();
  /** How often the head of a journal was built up anew: what was asked of an earlier one says nothing any more. */
  readonly #heads = new Map<JournalRef, number>();
  #running: Promise<void> | undefined;
  /** The last of what goes one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly stats = { stored: 0, bytesStored: 0, failures: 0, trimmedBytes: 0 };

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
    this.#pending = this.#pending.filter((item) => item.ref !== ref);
    this.#written = this.#written.filter((item) => item.ref !== ref);
    this.#cut.delete(ref);
    this.#heads.set(ref, this.#headOf(ref) + 1);
  }

  #headOf(ref: JournalRef): number {
    return this.#heads.get(ref) ?? 0;
  }

  /** Gives up what is not written and has no sample since `time`. */
  takeBefore(time: Milliseconds): readonly Item[] {
    const old = this.#pending.filter(({ tile }) => tile.meta.maxTime < time);
    if (old.length > 0) this.#remove(new Set(old));
    return old;
  }

  /** Hands out what is not known to be written, for good; waits for a run under way. */
  async giveUp(): Promise<readonly Item[]> {
    await this.#running;
    const items = [...this.#written, ...this.#pending];
    for (const { ref } of items) this.forget(ref);
    return items;
  }

  /** Writes what is pending, then trims. One run at a time; a failure leaves the rest for the next. */
  write(): Promise<void> {
    this.#running ??= this.hold(() => this.#write()).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Runs a task, which must not wait for `write`, while no tile is written. */
  hold<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #write(): Promise<void> {
    const items = [...this.#written, ...this.#pending];
    for (const ref of new Set(items.map((item) => item.ref))) {
      try {
        await this.#writeJournal(ref);
      } catch (error) {
        // One journal's trouble is not another's.
        this.stats.failures++;
        this.#options.log('warn', 'tiles could not be written; they are kept and written later', {
          journal: ref,
          pending: this.#pending.length,
          error: errorText(error),
        });
      }
    }
  }

  async #writeJournal(ref: JournalRef): Promise<void> {
    // A leaf's own store is under nobody else's hands.
    const isOwn = this.#options.onCovered !== undefined;
    if (!isOwn && !(await this.#stands(ref))) return;
    await this.#writePending(ref, isOwn || (await this.#findAgain(ref)));
    if (isOwn) this.#written = [];
  }

  /** Whether the store is where this process left it. */
  async #stands(ref: JournalRef): Promise<boolean> {
    const { store, head, onWentBack } = this.#options;
    const state = await store.journal(ref);
    if (isBehind(state, head(), ref)) return false;
    if (state === undefined) return true;
    if (comparePositions(state.trimmed, this.#cutOf(ref)) >= 0) {
      this.#cut.set(ref, state.trimmed);
      return true;
    }
    this.#cut.delete(ref);
    return !((await onWentBack?.(ref)) ?? false);
  }

  /** Whether what was written in the last round is there; what is gone is to be written again before anything is cut. */
  async #findAgain(ref: JournalRef): Promise<boolean> {
    const { store, head, log } = this.#options;
    const asked = this.#headOf(ref);
    const written = this.#written.filter((item) => item.ref === ref);
    // Those that are in a block by now, or dropped, are not looked for.
    const isAlone = ({ tile }: Item): boolean => head().storedTiles.isAlone(ref, tile.meta);
    const alone = written.filter(isAlone);
    const metas = alone.map(({ tile }) => tile.meta);
    const read = alone.length === 0 ? [] : await store.readTiles(ref, metas);
    if (this.#headOf(ref) !== asked) return false;
    // Nor those that came into a block while they were read: written again, they would be there twice.
    const gone = alone.filter((item, i) => read[i] === undefined && isAlone(item));
    this.#written = this.#written.filter((item) => item.ref !== ref);
    this.#pending.unshift(...gone);
    if (gone.length === 0) return true;
    const fields = { journal: ref, tiles: gone.length };
    log('warn', 'the store lost tiles that it had taken; they are written again', fields);
    return false;
  }

  async #writePending(ref: JournalRef, trims: boolean): Promise<void> {
    const { store, head, leases } = this.#options;
    const asked = this.#headOf(ref);
    for (;;) {
      const batch = this.#batchOf(ref);
      if (batch.length === 0) break;
      const lease = await leases.take(ref);
      if (this.#headOf(ref) !== asked) return;
      await store.putTiles(
        lease,
        batch.map((item) => item.tile),
      );
      if (this.#headOf(ref) !== asked) return;
      for (const { tile } of batch) {
        head().tileStored(ref, tile.meta);
        this.stats.bytesStored += tile.bytes.length;
      }
      this.stats.stored += batch.length;
      this.#remove(new Set(batch));
      this.#written.push(...batch);
      // After each of them: a store that is full takes tiles because the journal behind them goes.
      const newest = batch[batch.length - 1].tile.meta;
      if (trims && !(await this.#trim(ref, newest))) return;
    }
  }

  /** Pending tiles of one journal, up to a batch. */
  #batchOf(ref: JournalRef): Item[] {
    const batch: Item[] = [];
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
    this.#pending = this.#pending.filter((item) => !written.has(item));
  }

  /** Up to where the journal is known to be cut. */
  #cutOf(ref: JournalRef): JournalPosition {
    return (
      this.#cut.get(ref) ?? this.#options.head().storedTiles.restoredFrom(ref) ?? JOURNAL_START
    );
  }

  /**
   * Cuts the journal where nothing needs it: neither an open tile nor a reader of our own. `newest`: the tile written last.
   * False where the store fell back, and the head was built up anew.
   */
  async #trim(ref: JournalRef, newest: TileMeta): Promise<boolean> {
    const { store, head, oldestReader, onCovered, hasUntoldGaps } = this.#options;
    const asked = this.#headOf(ref);
    let upTo = head().trimmable(ref);
    if (onCovered !== undefined) {
      await onCovered(ref, upTo);
      return true;
    }
    if (hasUntoldGaps(ref)) return true;
    const reader = oldestReader(ref);
    if (reader !== undefined && comparePositions(reader, upTo) < 0) upTo = reader;
    if (await this.#lacksWhatIsCut(ref, upTo)) return false;
    const lease = await this.#options.leases.take(ref);
    if (this.#headOf(ref) !== asked) return false;
    // The store may fall back between these two: it compares what was written last in the moment in which it cuts.
    this.stats.trimmedBytes += await store.trimJournal(lease, upTo, newest);
    if (this.#headOf(ref) !== asked) return false;
    const cut = this.#cut.get(ref);
    if (cut === undefined || comparePositions(cut, upTo) < 0) this.#cut.set(ref, upTo);
    await this.#dropLayouts(ref, lease, upTo);
    return true;
  }

  /** Those of groups that nothing needs which comes after the cut. */
  async #dropLayouts(ref: JournalRef, lease: Lease, upTo: JournalPosition): Promise<void> {
    const { store, head } = this.#options;
    if (head().groupsNotNeeded(ref, upTo).length === 0) return;
    const asked = this.#headOf(ref);
    const cut = (await store.journal(ref))?.trimmed ?? JOURNAL_START;
    if (this.#headOf(ref) !== asked) return;
    const gone = head().groupsNotNeeded(ref, cut);
    if (gone.length === 0) return;
    await store.dropLayouts(lease, gone, cut);
    if (this.#headOf(ref) === asked) head().layoutsDropped(ref, gone);
  }

  /**
   * Whether the store has lost tiles behind which the journal is to be cut: it was seen with them, by this process or
   * the one before, and may have fallen back since. Then the head is built up anew from what is not cut yet.
   */
  async #lacksWhatIsCut(ref: JournalRef, upTo: JournalPosition): Promise<boolean> {
    const { store, head, onWentBack } = this.#options;
    const cut = this.#cutOf(ref);
    // What was written in this round is still in memory, too.
    const written = new Set(this.#written.map(({ tile }) => tile.meta));
    const metas = head()
      .blocks.looseTiles(ref)
      .filter((meta) => {
        const first = firstOf(meta);
        const isUncut = comparePositions(first, cut) > 0 && comparePositions(first, upTo) <= 0;
        return isUncut && !written.has(meta) && head().storedTiles.isAlone(ref, meta);
      });
    const read = metas.length === 0 ? [] : await store.readTiles(ref, metas);
    const isThere = (meta: TileMeta, i: number): boolean =>
      read[i] !== undefined || !head().storedTiles.isAlone(ref, meta);
    const there = { tiles: metas.filter(isThere), blocks: [] };
    if (standing({ tiles: metas, blocks: [] }, there, cut) === 'as known') return false;
    // The own journal is not built up anew: it keeps what the store lost of its tiles, for the next start to read.
    await onWentBack?.(ref);
    return true;
  }
}
