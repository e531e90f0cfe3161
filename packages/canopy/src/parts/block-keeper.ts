/**
 * Seals the tiles of a window into a block once its source is past it, and merges blocks to larger
 * ones. Safe to kill at any point: a block counts from the moment it is finished, in which what it
 * replaces counts no more; what was begun is swept by the next one.
 */
import type { Head } from '@canopy/head';
import {
  type BlockMeta,
  type Clock,
  type DurationMs,
  type JournalRef,
  type JournalState,
  type Lease,
  type Milliseconds,
  type Replaced,
  type Store,
  type TileMeta,
  asDuration,
  asTime,
  errorText,
} from '@canopy/model';
import type { Log } from '../log.js';
import { BlockWriter, Pause } from './block-writer.js';
import { isBehind, standing } from './fallen-store.js';
import type { JournalLeases } from './journal-leases.js';
import { DamagedBlock, type MergeProgress, mergeBlocks } from './merge.js';
import { type SealedTiles, sealTiles } from './seal.js';
import { nameOf } from './tile-places.js';

/** What is asked of the head. */
export type BlockHead = Pick<
  Head,
  'blocks' | 'dropTiles' | 'position' | 'storedTiles' | 'restoreLayouts' | 'restoreTiles'
>;

export interface BlockKeeperOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly head: () => BlockHead;
  readonly leases: JournalLeases;
  /** A source is complete up to here; 0: not known. */
  watermark(ref: JournalRef): Milliseconds;
  /** Windows are so long. */
  readonly window: DurationMs;
  /** Blocks are merged within spans of so long, the shortest first; multiples of one another and of `window`. */
  readonly spans: readonly DurationMs[];
  /**
   * A window is sealed when its source is past its end by so much: by then groups that fell silent in
   * it have closed their tiles, and loose ones are past their out-of-order window.
   */
  readonly sealDelay: DurationMs;
  /** A window of a source that says nothing is sealed at this age: nothing more can come. */
  readonly abandonedAfter: DurationMs;
  /** What was replaced can be read so much longer. */
  readonly grace: DurationMs;
  /** Tiles that cannot be read any more and are left out of a block. */
  onTileCorrupt(ref: JournalRef, meta: TileMeta): void;
  /** What was named of a journal is in no stored ledger yet. */
  hasUntoldGaps?(ref: JournalRef): boolean;
  /** A block whose index cannot be read. */
  onBlockCorrupt(ref: JournalRef, meta: BlockMeta): void;
  /** The store has not what it had of a journal. Whether its head has been built up anew. */
  onWentBack?(ref: JournalRef): Promise<boolean>;
  /** Larger blocks are not made. */
  mergeBytesMax(): Promise<number>;
  readonly log: Log;
}

const PROGRESS_MS = 5000;
/** A merge is not made where the store would be fuller than this while old and new are there. */
const FULL = 0.95;
/** A block that was merged before is written again for this share of its size, or once nothing more can come. */
const WORTH = 1 / 20;

interface Unsettled {
  readonly meta: BlockMeta;
  readonly replaced: Replaced;
  readonly placed: SealedTiles['placed'];
}

export class BlockKeeper {
  readonly #options: BlockKeeperOptions;
  /** Tiles of the own journal that the store has lost: the journal keeps what it still has of their frames. */
  readonly #gone = new Map<JournalRef, Set<string>>();
  /** Finished or not: the store's answer was lost. */
  readonly #unsettled = new Map<JournalRef, Unsettled>();
  /** How often the head of a journal was built up anew: tiles of an earlier one are not those of the next. */
  readonly #heads = new Map<JournalRef, number>();
  /** Journal and number of blocks whose index cannot be read. */
  readonly #damaged = new Set<string>();
  readonly stats = {
    sealed: 0,
    merged: 0,
    failures: 0,
    /** Bytes that merging made free. */
    reclaimedBytes: 0,
    unreadableTiles: 0,
  };

  constructor(options: BlockKeeperOptions) {
    this.#options = options;
  }

  /** Seals, merges and sweeps what is due. One run at a time. */
  async run(now: Milliseconds): Promise<void> {
    for (const { ref } of await this.#options.store.journals()) {
      try {
        await this.#settle(ref);
        if (!(await this.#stands(ref))) continue;
        await this.#seal(ref, now);
        await this.#merge(ref, now);
      } catch (error) {
        // One journal's trouble is not another's.
        this.stats.failures++;
        const fields = { journal: ref, error: errorText(error) };
        this.#options.log('warn', 'blocks could not be made; it is tried again', fields);
      }
    }
  }

  /** Forgets what was under way for a journal that is built up anew. */
  forget(ref: JournalRef): void {
    this.#unsettled.delete(ref);
    this.#gone.delete(ref);
    // Their numbers may be given to others.
    for (const name of this.#damaged) if (name.startsWith(`${ref}/`)) this.#damaged.delete(name);
    this.#heads.set(ref, this.#headOf(ref) + 1);
  }

  #headOf(ref: JournalRef): number {
    return this.#heads.get(ref) ?? 0;
  }

  /**
   * Whether what was read is to take the place of what it was read from. Not where the head was built up anew meanwhile, and
   * what cannot be read may be there no more because the store fell back: then the journal has it.
   */
  async #isSound(ref: JournalRef, asked: number, isAllRead: boolean): Promise<boolean> {
    const stands = isAllRead || (await this.#stands(ref));
    return stands && this.#headOf(ref) === asked;
  }

  /** Finds out how blocks went whose finishing was cut off. To be called before blocks are dropped. */
  async settle(): Promise<void> {
    for (const ref of this.#unsettled.keys()) await this.#settle(ref);
  }

  /** The store knows how it went. */
  async #settle(ref: JournalRef): Promise<void> {
    const unsettled = this.#unsettled.get(ref);
    if (unsettled === undefined) return;
    const blocks = await this.#options.store.blocks(ref);
    this.#unsettled.delete(ref);
    const isThere = blocks.some(({ id }) => id === unsettled.meta.id);
    const { blocks: known } = this.#options.head();
    if (isThere) known.finished(ref, unsettled.meta, unsettled.replaced);
    else known.placed(ref, null, unsettled.placed);
  }

  /** Whether the store has of a journal what its head knows of. */
  async #stands(ref: JournalRef): Promise<boolean> {
    const { store, head, onWentBack } = this.#options;
    const state = await store.journal(ref);
    if (state === undefined || isBehind(state, head(), ref)) return false;
    if (onWentBack === undefined) return true;
    const loose = head().blocks.looseTiles(ref);
    const blocks = head().blocks.list(ref);
    const stored = { blocks: await store.blocks(ref), tiles: await store.tiles(ref) };
    for (const tile of stored.tiles) this.#gone.get(ref)?.delete(nameOf(tile));
    const known = { tiles: this.#withoutGone(ref, loose), blocks };
    if (standing(known, stored, state.trimmed) === 'as known') return true;
    if (await onWentBack(ref)) return false;
    // The own journal, which goes on; its writer has named what is gone. Other blocks may have the numbers of those.
    this.forget(ref);
    head().blocks.restore(ref, stored.blocks);
    await this.#takeBack(state, stored.tiles);
    const there = new Set(stored.tiles.map(nameOf));
    const gone = loose.map(nameOf).filter((name) => !there.has(name));
    this.#gone.set(ref, new Set(gone));
    return true;
  }

  /** Tiles that were in a block of which the store knows nothing any more. */
  async #takeBack({ ref, trimmed }: JournalState, tiles: readonly TileMeta[]): Promise<void> {
    const { store, head } = this.#options;
    const back = tiles.filter((tile) => !head().storedTiles.knows(ref, tile));
    if (back.length === 0) return;
    head().restoreLayouts(ref, await store.readLayouts(ref));
    head().restoreTiles(ref, back, trimmed);
  }

  #withoutGone(ref: JournalRef, tiles: readonly TileMeta[]): readonly TileMeta[] {
    const gone = this.#gone.get(ref);
    return gone === undefined ? tiles : tiles.filter((tile) => !gone.has(nameOf(tile)));
  }

  async #seal(ref: JournalRef, now: Milliseconds): Promise<void> {
    const { window, head, store, leases, log } = this.#options;
    for (const [from, tiles] of this.#windows(
      this.#withoutGone(ref, head().blocks.looseTiles(ref)),
    )) {
      const to = asTime(from + window);
      if (!this.#isPast(ref, to, now, this.#options.sealDelay)) continue;
      const asked = this.#headOf(ref);
      const pause = new Pause(this.#options.clock);
      const lease = (): Promise<Lease> => leases.held(ref);
      const writer = await BlockWriter.begin(store, lease, pause);
      const sealed = await sealTiles(store, ref, tiles, { from, to }, writer, pause);
      const { meta, placed, unreadable } = sealed;
      if (!(await this.#isSound(ref, asked, unreadable.length === 0))) return;
      if (!this.#tell(ref, unreadable)) return;
      this.stats.unreadableTiles += unreadable.length;
      if (meta === null) {
        log('error', 'no tile of a window can be read', {
          journal: ref,
          from,
          tiles: tiles.length,
        });
        // The store has lost them: asking again would find the same.
        head().dropTiles(ref, tiles);
        continue;
      }
      await this.#finish(ref, { meta, placed, replaced: { tiles, blocks: [] } }, lease);
      this.stats.sealed++;
      const bytes = meta.tileBytes + meta.indexBytes;
      const { groups, series } = meta;
      const counts = { tiles: tiles.length, unreadable: unreadable.length };
      const fields = { journal: ref, from, groups, series, bytes, ...counts };
      log(unreadable.length > 0 ? 'error' : 'info', 'a window was sealed', fields);
    }
  }

  /** Tiles by the beginning of their window, the oldest first. */
  #windows(tiles: readonly TileMeta[]): Array<[Milliseconds, TileMeta[]]> {
    const { window } = this.#options;
    const windows = new Map<Milliseconds, TileMeta[]>();
    for (const tile of tiles) {
      const from = asTime(Math.floor(tile.maxTime / window) * window);
      const list = windows.get(from);
      if (list === undefined) windows.set(from, [tile]);
      else list.push(tile);
    }
    return [...windows].sort(([a], [b]) => a - b);
  }

  /** Whether a source is past a time, or so old that nothing more can come. */
  #isPast(ref: JournalRef, time: number, now: Milliseconds, delay: DurationMs): boolean {
    const { watermark, abandonedAfter } = this.#options;
    return watermark(ref) >= time + delay || now >= time + abandonedAfter;
  }

  async #merge(ref: JournalRef, now: Milliseconds): Promise<void> {
    const { spans, head, store, leases, grace } = this.#options;
    for (const span of spans) {
      const sound = head()
        .blocks.list(ref)
        .filter(({ id }) => !this.#damaged.has(`${ref}/${id}`));
      for (const [from, blocks] of this.#buckets(sound, span)) {
        const to = asTime(from + span);
        const isFinal = now >= to + this.#options.abandonedAfter;
        // Not before all of its windows are sealed, and their tiles have left memory.
        const delay = asDuration(this.#options.sealDelay + this.#options.window);
        if (!this.#isPast(ref, to, now, delay)) continue;
        if (!(await this.#isWorth(blocks, isFinal))) continue;
        const asked = this.#headOf(ref);
        await this.#mergeBucket(ref, blocks, { from, to }).catch(async (error: unknown) => {
          if (!(error instanceof DamagedBlock)) throw error;
          if (await this.#isSound(ref, asked, false)) this.#leaveOut(ref, blocks, error);
        });
        if (this.#headOf(ref) !== asked) return;
      }
    }
    if (head().blocks.isLate(ref)) return;
    await store.sweepBlocks(await leases.held(ref), grace);
  }

  /** A block whose index is damaged is merged with no other: what can be read of it stays as it is. */
  #leaveOut(ref: JournalRef, blocks: readonly BlockMeta[], error: DamagedBlock): void {
    this.#damaged.add(`${ref}/${error.block}`);
    for (const meta of blocks) {
      if (meta.id === error.block) this.#options.onBlockCorrupt(ref, meta);
    }
  }

  /** Blocks that lie within one span, by its beginning; those that are alone in theirs left out. */
  #buckets(blocks: readonly BlockMeta[], span: DurationMs): Array<[Milliseconds, BlockMeta[]]> {
    const buckets = new Map<Milliseconds, BlockMeta[]>();
    for (const block of blocks) {
      if (block.resolution !== 0) continue;
      const from = asTime(Math.floor(block.from / span) * span);
      if (block.to > from + span) continue;
      const list = buckets.get(from);
      if (list === undefined) buckets.set(from, [block]);
      else list.push(block);
    }
    return [...buckets].filter(([, list]) => list.length > 1).sort(([a], [b]) => a - b);
  }

  async #isWorth(blocks: readonly BlockMeta[], isFinal: boolean): Promise<boolean> {
    const sizes = blocks.map(({ tileBytes, indexBytes }) => tileBytes + indexBytes);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const largest = Math.max(...sizes);
    if (total - largest < largest * WORTH && !isFinal) return false;
    if (total > (await this.#options.mergeBytesMax())) return false;
    const { usedBytes, limitBytes } = await this.#options.store.usage();
    return limitBytes === 0 || usedBytes + total < limitBytes * FULL;
  }

  async #mergeBucket(
    ref: JournalRef,
    blocks: readonly BlockMeta[],
    window: { readonly from: Milliseconds; readonly to: Milliseconds },
  ): Promise<void> {
    const { store, clock, leases, log } = this.#options;
    const asked = this.#headOf(ref);
    const begun = clock.monotonic();
    const progress: MergeProgress = { groups: 0, groupsDone: 0, unreadable: [] };
    const pause = new Pause(this.#options.clock);
    let told = begun;
    const held = (): Promise<Lease> => leases.held(ref);
    const lease = (): Promise<Lease> => {
      if (clock.monotonic() - told > PROGRESS_MS) {
        told = clock.monotonic();
        const { groups, groupsDone } = progress;
        log('info', 'merging', { journal: ref, from: window.from, groupsDone, ofGroups: groups });
      }
      return held();
    };
    const writer = await BlockWriter.begin(store, lease, pause);
    const meta = await mergeBlocks(store, ref, blocks, window, writer, pause, progress);
    if (!(await this.#isSound(ref, asked, progress.unreadable.length === 0))) return;
    if (meta === null || !this.#tell(ref, progress.unreadable)) return;
    await this.#finish(ref, { meta, placed: [], replaced: { tiles: [], blocks } }, held);
    const before = blocks.reduce(
      (sum, { tileBytes, indexBytes }) => sum + tileBytes + indexBytes,
      0,
    );
    const bytes = meta.tileBytes + meta.indexBytes;
    this.stats.merged++;
    this.stats.unreadableTiles += progress.unreadable.length;
    this.stats.reclaimedBytes += Math.max(0, before - bytes);
    log(progress.unreadable.length > 0 ? 'error' : 'info', 'blocks were merged', {
      ...{ journal: ref, from: window.from, blocks: blocks.length, bytes },
      reclaimedBytes: before - bytes,
      unreadable: progress.unreadable.length,
      seconds: Number(((clock.monotonic() - begun) / 1000).toFixed(2)),
    });
  }

  /** Names what is left out. Not until a ledger has it may it go: a kill would forget that it was there. */
  #tell(ref: JournalRef, unreadable: readonly TileMeta[]): boolean {
    for (const tile of unreadable) this.#options.onTileCorrupt(ref, tile);
    return unreadable.length === 0 || !(this.#options.hasUntoldGaps?.(ref) ?? false);
  }

  /** The moment in which a block takes the place of what it was made of. */
  async #finish(ref: JournalRef, block: Unsettled, lease: () => Promise<Lease>): Promise<void> {
    const { store, head } = this.#options;
    // Selects that are under way read the tiles there as soon as the store has them nowhere else.
    head().blocks.placed(ref, block.meta.id, block.placed);
    this.#unsettled.set(ref, block);
    await store.finishBlock(await lease(), block.meta, block.replaced);
    this.#unsettled.delete(ref);
    head().blocks.finished(ref, block.meta, block.replaced);
  }
}
