/**
 * A store in a folder that goes on in memory while the disk takes no writes: the journal's newest entries, and documents.
 * Readers get both as one journal; once there is room again the disk gets what it lacks, under the same numbers.
 */
import {
  CanopyError,
  type Clock,
  type CommitOutcome,
  type DurationMs,
  type GapRecord,
  JOURNAL_START,
  type JournalCommit,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Lease,
  type LeaseOutcome,
  type ReadLimits,
  type Store,
  type StoreUsage,
  type StoredTile,
  type Timer,
  asDuration,
  comparePositions,
  errorText,
  invariant,
} from '@canopy/model';

import type { EmbeddedStore } from '../embedded/embedded-store.js';
import type { StoreHealth, StoreLog } from '../health.js';
import { AbsentStore } from './absent-store.js';
import { MemoryTail, type Segment } from './memory-tail.js';
import type { VolatileMark } from './volatile-mark.js';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5000;
/** A disk that takes nothing again so soon is tried less often: each time costs an epoch with all its layouts. */
const STEADY_MS = 60_000;
const HELP =
  'make room there, or give --storage.path another disk; parents can pull what is in memory';

export interface VolatileStoreOptions {
  /** Opens the store; asked again while there is no room to make it. */
  open(): Promise<EmbeddedStore>;
  /** Its folder, for people. */
  readonly path: string;
  readonly mark: Pick<VolatileMark, 'wasSet' | 'set' | 'settled'>;
  /** Most bytes of entries in memory; over it the oldest epoch there goes, and is a gap. */
  readonly tailBytesMax: number;
  readonly clock: Clock;
  readonly log: StoreLog;
}

/** Plain numbers; `canopy` gives them names. */
export interface VolatileStats {
  /** Since when commits are kept in memory, ms since epoch; 0: they are not. */
  since: number;
  /** Times it was begun. */
  outages: number;
  framesDropped: number;
}

/** For one journal, that of its process. */
export class VolatileStore implements EmbeddedStore {
  readonly kind = 'embedded';
  readonly #options: VolatileStoreOptions;
  #disk: EmbeddedStore;
  /** Why the disk takes nothing; '' where it does. */
  #refusal = '';
  #tail: MemoryTail | undefined;
  /** Of the newest commit kept. */
  #lease: Lease | undefined;
  /** Given here, to be had of the disk first of all. */
  #refusedLease: Parameters<Store['acquireLease']> | undefined;
  readonly #documents = new Map<string, string | undefined>();
  readonly #stats: VolatileStats = { since: 0, outages: 0, framesDropped: 0 };
  /** The mark says that a process kept entries in memory. */
  #isMarked: boolean;
  #retryMs = RETRY_MS_MIN;
  /** How long it is left alone when it begins to refuse. */
  #pauseMs = RETRY_MS_MIN;
  /** When it began to take writes the last time; `Clock.monotonic`. */
  #backAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #trying: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  /** Told what was dropped before the disk took it. Must not throw. */
  onDropped: (ref: JournalRef, gap: GapRecord) => void = () => {};

  private constructor(options: VolatileStoreOptions, disk: EmbeddedStore) {
    this.#options = options;
    this.#disk = disk;
    this.#isMarked = options.mark.wasSet;
  }

  /** The caller disposes of it. @throws CanopyError as `openEmbeddedStore`, but for want of room. */
  static async open(options: VolatileStoreOptions): Promise<VolatileStore> {
    try {
      const store = new VolatileStore(options, await options.open());
      // So that it is there when there is no room for it.
      if (!options.mark.wasSet) await options.mark.set(false).catch(() => {});
      return store;
    } catch (error) {
      if (!(error instanceof CanopyError) || error.code !== 'storage_full') throw error;
      const store = new VolatileStore(options, new AbsentStore(error.message));
      store.#goOut(error);
      return store;
    }
  }

  get identity(): string {
    return this.#disk.identity;
  }

  get isLost(): boolean {
    return this.#disk.isLost;
  }

  /** What the process before had in memory is lost: it did not end well, and readers may have more than the disk. */
  get lostTail(): boolean {
    return this.#options.mark.wasSet;
  }

  /** Commits are kept in memory. */
  get isVolatile(): boolean {
    return this.#refusal !== '';
  }

  get tailBytes(): number {
    return this.#tail?.bytes ?? 0;
  }

  get stats(): Readonly<VolatileStats> {
    return this.#stats;
  }

  get health(): StoreHealth {
    if (!this.isVolatile) return this.#disk.health;
    const { path, tailBytesMax } = this.#options;
    const { framesDropped } = this.#stats;
    const dropped = framesDropped === 0 ? '' : `; ${framesDropped} frames were dropped`;
    const kept = `the journal goes on in memory (${this.tailBytes} of ${tailBytesMax} bytes)`;
    const text = `the disk of ${path} takes no writes: ${this.#refusal}; ${kept}${dropped}: ${HELP}`;
    return { healthy: false, message: text };
  }

  backup(folder: string): Promise<void> {
    return this.#disk.backup(folder);
  }

  async commit(commit: JournalCommit): Promise<CommitOutcome> {
    if (!this.isVolatile) {
      try {
        const outcome = await this.#disk.commit(commit);
        if (outcome.outcome === 'applied') this.#setMark(false);
        return outcome;
      } catch (error) {
        if (!this.#goOut(error)) throw error;
      }
    }
    return this.#keep(commit);
  }

  async journals(): Promise<JournalState[]> {
    const states = await this.#disk.journals();
    const ref = this.#lease?.journal;
    if (this.#tail === undefined || ref === undefined) return states;
    const others = states.filter((state) => state.ref !== ref);
    const stored = states.find((state) => state.ref === ref);
    return [...others, ...this.#withTail(ref, stored)];
  }

  async journal(ref: JournalRef): Promise<JournalState | undefined> {
    const stored = await this.#disk.journal(ref);
    if (ref !== this.#lease?.journal) return stored;
    return this.#withTail(ref, stored).at(0);
  }

  async acquireLease(ref: JournalRef, owner: string, ttl: DurationMs): Promise<LeaseOutcome> {
    try {
      return await this.#disk.acquireLease(ref, owner, ttl);
    } catch (error) {
      // The folder's lock says that nobody else has it. The disk gives another one as soon as it takes writes.
      if (!this.#goOut(error)) throw error;
      this.#refusedLease = [ref, owner, ttl];
      return { granted: true, lease: { journal: ref, owner, fence: 0, ttl } };
    }
  }

  releaseLease(lease: Lease): Promise<void> {
    return this.#disk.releaseLease(lease);
  }

  async readEntries(
    ref: JournalRef,
    after: JournalPosition,
    limits: ReadLimits,
  ): Promise<JournalEntry[]> {
    const tail = ref === this.#lease?.journal ? this.#tail : undefined;
    if (tail === undefined) return this.#disk.readEntries(ref, after, limits);
    const { base } = tail;
    if (comparePositions(after, base) >= 0) return tail.read(after, limits);
    const stored = await this.#disk.readEntries(ref, after, limits);
    // The disk has got more meanwhile, and that has left the memory.
    if (tail.base !== base)
      return stored.length > 0 ? stored : this.readEntries(ref, after, limits);
    if (stored.length > 0 && comparePositions(stored.at(-1)!, base) < 0) return stored;
    const bytes = stored.reduce((sum, entry) => sum + entry.bytes.length, 0);
    const maxBytes = limits.maxBytes - bytes;
    const maxEntries = limits.maxEntries - stored.length;
    if (stored.length > 0 && (maxBytes <= 0 || maxEntries <= 0)) return stored;
    return [...stored, ...tail.read(stored.at(-1) ?? after, { maxBytes, maxEntries })];
  }

  async readLayouts(ref: JournalRef): Promise<JournalEntry[]> {
    const kept = ref === this.#lease?.journal ? (this.#tail?.layouts() ?? []) : [];
    const base = this.#tail?.base;
    const stored = await this.#disk.readLayouts(ref);
    if (kept.length === 0 || base === undefined) return stored;
    // What came to the disk meanwhile is among those of memory.
    return [...stored.filter((entry) => comparePositions(entry, base) <= 0), ...kept];
  }

  dropLayouts(...args: Parameters<Store['dropLayouts']>): Promise<void> {
    return this.#disk.dropLayouts(...args);
  }
  trimJournal(...args: Parameters<Store['trimJournal']>): Promise<number> {
    return this.#disk.trimJournal(...args);
  }
  dropJournal(lease: Lease): Promise<void> {
    return this.#disk.dropJournal(lease);
  }

  /** A tile on the disk of frames that are not would be taken for them after a kill. */
  async putTiles(lease: Lease, tiles: readonly StoredTile[]): Promise<void> {
    if (this.isVolatile) throw new CanopyError('storage_full', this.#refusal);
    await this.#disk.putTiles(lease, tiles);
  }

  tiles(...args: Parameters<Store['tiles']>): ReturnType<Store['tiles']> {
    return this.#disk.tiles(...args);
  }
  readTiles(...args: Parameters<Store['readTiles']>): ReturnType<Store['readTiles']> {
    return this.#disk.readTiles(...args);
  }
  dropTiles(...args: Parameters<Store['dropTiles']>): Promise<void> {
    return this.#disk.dropTiles(...args);
  }
  blocks(...args: Parameters<Store['blocks']>): ReturnType<Store['blocks']> {
    return this.#disk.blocks(...args);
  }
  nextBlock(lease: Lease): ReturnType<Store['nextBlock']> {
    return this.#disk.nextBlock(lease);
  }
  putBlockChunks(...args: Parameters<Store['putBlockChunks']>): Promise<void> {
    return this.#disk.putBlockChunks(...args);
  }
  finishBlock(...args: Parameters<Store['finishBlock']>): Promise<void> {
    return this.#disk.finishBlock(...args);
  }
  readBlocks(...args: Parameters<Store['readBlocks']>): ReturnType<Store['readBlocks']> {
    return this.#disk.readBlocks(...args);
  }
  dropBlocks(...args: Parameters<Store['dropBlocks']>): Promise<void> {
    return this.#disk.dropBlocks(...args);
  }
  sweepBlocks(...args: Parameters<Store['sweepBlocks']>): Promise<number> {
    return this.#disk.sweepBlocks(...args);
  }

  async getDocument(name: string): Promise<string | undefined> {
    return this.#documents.has(name) ? this.#documents.get(name) : this.#disk.getDocument(name);
  }

  async putDocument(name: string, text: string | undefined): Promise<void> {
    if (!this.isVolatile) {
      try {
        return await this.#disk.putDocument(name, text);
      } catch (error) {
        if (!this.#goOut(error)) throw error;
      }
    }
    this.#documents.set(name, text);
  }

  usage(): Promise<StoreUsage> {
    return this.#disk.usage();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    await this.#trying;
    if (this.isVolatile) await this.#tryDisk();
    if (this.isVolatile) {
      const { path, log } = this.#options;
      const text = 'the disk took no writes to the end: what was only in memory is lost';
      log('error', text, { path, reason: this.#refusal, bytes: this.tailBytes });
    }
    await this.#options.mark.settled();
    await this.#disk[Symbol.asyncDispose]();
  }

  /** What people and readers see of the journal: up to the end of what is in memory. */
  #withTail(ref: JournalRef, stored: JournalState | undefined): JournalState[] {
    const tail = this.#tail;
    const newest = tail?.newest;
    if (tail === undefined || newest === undefined) return stored === undefined ? [] : [stored];
    const { position, cursor, ledger } = newest;
    const trimmed = stored?.trimmed ?? JOURNAL_START;
    const entryBytes = (stored?.entryBytes ?? 0) + tail.bytes;
    return [{ ref, trimmed, position, cursor, ledger, entryBytes }];
  }

  /** True where writes go to memory because of this error. */
  #goOut(error: unknown): boolean {
    const isRefused =
      error instanceof CanopyError &&
      (error.code === 'storage_full' || error.code === 'storage_unavailable');
    if (!isRefused || this.isLost || this.#closed !== undefined) return false;
    const isNews = !this.isVolatile;
    this.#refusal = error.message;
    if (!isNews) return true;
    const { clock, log, path } = this.#options;
    this.#stats.since = clock.now();
    this.#stats.outages++;
    const text =
      'the disk takes no writes: the journal goes on in memory, and what is only there is lost if this process ends';
    log('error', text, { path, reason: error.message, help: HELP });
    this.#setMark(true);
    const isSteady = clock.monotonic() - this.#backAt >= STEADY_MS;
    this.#pauseMs = isSteady ? RETRY_MS_MIN : Math.min(STEADY_MS, this.#pauseMs * 4);
    this.#arm(this.#pauseMs);
    this.#retryMs = this.#pauseMs;
    return true;
  }

  #keep(commit: JournalCommit): CommitOutcome {
    this.#lease ??= commit.lease;
    this.#tail ??= new MemoryTail(commit.expected ?? JOURNAL_START, this.#options.tailBytesMax);
    const tail = this.#tail;
    const { journal: ref } = commit.lease;
    // A journal of another process is pulled again from there.
    if (ref !== this.#lease.journal) throw new CanopyError('storage_full', this.#refusal);
    this.#lease = commit.lease;
    const isNext = comparePositions(commit.expected ?? JOURNAL_START, tail.position) === 0;
    invariant(isNext, 'BUG: a commit that does not follow what is in memory');
    while (tail.isFull) {
      const gap = tail.dropOldest();
      // The writer drops what waits instead.
      if (gap === undefined) throw new CanopyError('storage_full', this.#refusal);
      this.#noteDropped(ref, gap);
    }
    tail.add(commit);
    // While the disk takes what there is nobody knows whether another epoch is needed.
    return { outcome: 'applied', beginEpoch: this.#trying === undefined && tail.asksForEpoch };
  }

  #noteDropped(ref: JournalRef, gap: GapRecord): void {
    this.#stats.framesDropped += gap.frames;
    const text = 'frames in memory that the disk did not take were dropped, the oldest first';
    this.#options.log('error', text, { ...gap });
    this.onDropped(ref, gap);
  }

  #arm(ms: number): void {
    if (this.#closed !== undefined) return;
    this.#timer = this.#options.clock.after(asDuration(ms), () => {
      this.#trying = this.#tryDisk().finally(() => {
        this.#trying = undefined;
        this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
        if (this.isVolatile) this.#arm(this.#retryMs);
      });
    });
  }

  /** Gives the disk what it lacks, in order; what it takes it has for good. */
  async #tryDisk(): Promise<void> {
    const { open, log, path, clock } = this.#options;
    try {
      if (this.#disk instanceof AbsentStore) this.#disk = await open();
      if (this.#refusedLease !== undefined) await this.#disk.acquireLease(...this.#refusedLease);
      this.#refusedLease = undefined;
      do {
        for (const [name, text] of this.#documents) {
          await this.#disk.putDocument(name, text);
          if (this.#documents.get(name) === text) this.#documents.delete(name);
        }
        for (let next = this.#tail?.first(); next !== undefined; next = this.#tail?.first()) {
          await this.#store(next, this.#tail!, this.#lease!);
        }
      } while (this.#documents.size > 0);
    } catch (error) {
      const reason = errorText(error);
      if (!(error instanceof CanopyError)) log('error', `BUG: going back to the disk: ${reason}`);
      this.#refusal = reason;
      return;
    }
    const seconds = (clock.now() - this.#stats.since) / 1000;
    log('info', 'the disk takes writes again, and has what was in memory', { path, seconds });
    this.#refusal = '';
    this.#tail = undefined;
    this.#stats.since = 0;
    this.#backAt = clock.monotonic();
    this.#setMark(false);
  }

  async #store(segment: Segment, tail: MemoryTail, { journal, owner, ttl }: Lease): Promise<void> {
    const outcome = await this.#disk.acquireLease(journal, owner, ttl);
    if (!outcome.granted) throw new CanopyError('storage_unavailable', 'the lease is not given');
    const stored = await this.#disk.journal(journal);
    const { entries, position, cursor, ledger } = segment;
    const expected = stored === undefined ? null : tail.base;
    const commit = { lease: outcome.lease, expected, position, entries, cursor, ledger };
    const done = await this.#disk.commit(commit);
    if (done.outcome !== 'applied' && done.outcome !== 'already_applied') {
      throw new CanopyError('storage_unavailable', `the disk is ${done.outcome}`);
    }
    tail.stored(position);
  }

  #setMark(isVolatile: boolean): void {
    if (this.#isMarked === isVolatile) return;
    this.#isMarked = isVolatile;
    const { mark, log, path } = this.#options;
    mark.set(isVolatile).catch((error: unknown) => {
      // Readers bring the evidence then: their cursors are from beyond the journal's end.
      log('warn', `the mark beside the store cannot be written: ${errorText(error)}`, { path });
    });
  }
}
