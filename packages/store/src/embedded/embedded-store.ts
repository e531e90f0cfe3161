import {
  type BlockId,
  type BlockMeta,
  type BlockPiece,
  CanopyError,
  type Clock,
  type CommitOutcome,
  type DurationMs,
  type Epoch,
  type GroupId,
  JOURNAL_START,
  type JournalCommit,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Lease,
  type LeaseOutcome,
  type ReadLimits,
  type Replaced,
  type StoreUsage,
  type StoredTile,
  type TileMeta,
  EntryKind,
  asDuration,
  comparePositions,
  invariant,
} from '@canopy/model';
import { checkCommit, comparePlaces, fellBack, leaseLost } from '../commit.js';
import type { CorruptRecord, ReportingStore, StoreHealth, StoreLog } from '../health.js';
import { EmbeddedBlocks } from './blocks.js';
import type { FolderLock } from './folder-lock.js';
import { entryKey, groupKey, journalPrefix, keyAfterAll, refOfKey } from './keys.js';
import { Records, pointer } from './records.js';
import { type Table, corruptFile } from './table.js';
import { RECORD_OVERHEAD_BYTES, type Tables, type Write } from './tables.js';
import { type StoredState, publicState, wholeRecords } from './whole.js';
import { EmbeddedTiles } from './tiles.js';

export interface EmbeddedStoreOptions {
  /** Folder of the store; made when it is not there. */
  readonly path: string;
  /** Writes are refused (`storage_full`) where they would take the store over this many bytes. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: StoreLog;
  readonly onCorrupt: (record: CorruptRecord) => void;
}

export interface EmbeddedStore extends ReportingStore {
  readonly kind: 'embedded';
  /** Differs between a folder and a copy of it. */
  readonly identity: string;
  /** Another process has taken the folder. */
  readonly isLost: boolean;
  /** As `Tables.copyTo`: the folder can be opened as a store of its own. */
  backup(folder: string): Promise<void>;
}

const STEP_DELETIONS = 4000; // in one transaction

/** `openEmbeddedStore` makes it. */
export class LmdbStore implements EmbeddedStore {
  readonly kind = 'embedded';
  readonly identity: string;
  readonly backup: EmbeddedStore['backup'];
  readonly #options: EmbeddedStoreOptions;
  readonly #tables: Tables;
  /** Null for a look at a store beside the process that has it. */
  readonly #lock: FolderLock | null;
  readonly #entries: Table;
  readonly #layouts: Table;
  readonly #records: Records;
  readonly #tiles: EmbeddedTiles;
  readonly #blocks: EmbeddedBlocks;
  readonly #states = new Map<JournalRef, StoredState>();
  /** Fences outlive the process, holders do not: the folder lock says that all earlier ones are gone. */
  readonly #fences = new Map<JournalRef, number>();
  readonly #holders = new Map<JournalRef, { owner: string; until: number }>();
  /** The last write of each journal: writes of one journal follow one another. */
  readonly #turns = new Map<JournalRef, Promise<unknown>>();
  #failure = '';
  #closed: Promise<void> | undefined;

  constructor(
    options: EmbeddedStoreOptions,
    tables: Tables,
    lock: FolderLock | null,
    identity: string,
  ) {
    this.#options = options;
    this.backup = (folder) => tables.copyTo(folder);
    this.#tables = tables;
    this.#lock = lock;
    this.identity = identity;
    this.#entries = tables.get('entries');
    this.#layouts = tables.get('layouts');
    this.#records = new Records(tables, this.#states, options.onCorrupt);
    const write: Write = (added, puts, reserve) => this.#write(added, puts, reserve);
    this.#tiles = new EmbeddedTiles(tables, write, options.onCorrupt);
    this.#blocks = new EmbeddedBlocks(tables, options.clock, write, options.onCorrupt);
    for (const [key, text] of wholeRecords(tables, 'states')) {
      this.#states.set(refOfKey(key), JSON.parse(text) as StoredState);
    }
    for (const [key, text] of wholeRecords(tables, 'leases')) {
      this.#fences.set(refOfKey(key), Number(text));
    }
    // Under a damaged key a document would be missing without a word.
    wholeRecords(tables, 'documents');
  }

  get health(): StoreHealth {
    const trouble = this.#failure || this.#tables.refusal;
    if (trouble !== '') return { healthy: false, message: trouble };
    return { healthy: true, message: `embedded store in ${this.#options.path}` };
  }

  get isLost(): boolean {
    return this.#failure !== '';
  }

  /** Another process has taken the folder: writing on would damage its data. */
  loseFolder(): void {
    this.#failure = `${this.#options.path} was taken over by another process`;
    this.#options.log('error', 'the storage folder was taken over by another process', {
      path: this.#options.path,
    });
  }

  journals(): Promise<JournalState[]> {
    return Promise.resolve([...this.#states].map(([ref, state]) => publicState(ref, state)));
  }

  journal(ref: JournalRef): Promise<JournalState | undefined> {
    const state = this.#states.get(ref);
    return Promise.resolve(state === undefined ? undefined : publicState(ref, state));
  }

  acquireLease(ref: JournalRef, owner: string, ttl: DurationMs): Promise<LeaseOutcome> {
    return this.#inTurn(ref, async () => {
      const now = this.#options.clock.monotonic();
      const holder = this.#holders.get(ref);
      if (holder !== undefined && holder.owner !== owner && holder.until > now) {
        const expiresIn = asDuration(holder.until - now);
        return { granted: false, heldBy: holder.owner, expiresIn };
      }
      let fence = this.#fences.get(ref) ?? 0;
      if (holder?.owner !== owner) {
        fence++;
        const key = journalPrefix(ref);
        await this.#write(0, () => {
          this.#tables.get('leases').put(key, Buffer.from(String(fence)));
        });
        this.#fences.set(ref, fence);
      }
      this.#holders.set(ref, { owner, until: now + ttl });
      return { granted: true, lease: { journal: ref, owner, fence, ttl } };
    });
  }

  releaseLease(lease: Lease): Promise<void> {
    return this.#inTurn(lease.journal, () => {
      if (this.#holds(lease)) this.#holders.delete(lease.journal);
      return Promise.resolve();
    });
  }

  commit(commit: JournalCommit): Promise<CommitOutcome> {
    checkCommit(commit);
    return this.#inTurn(commit.lease.journal, async () => {
      const ref = commit.lease.journal;
      const stored = this.#states.get(ref);
      if (!this.#holds(commit.lease)) {
        const wiped = stored === undefined && commit.expected !== null && !this.#fences.has(ref);
        return { outcome: wiped ? 'absent' : 'fenced' };
      }
      const place = comparePlaces(stored?.position, commit.expected, commit.position);
      if (place === 'behind') return { outcome: place, state: publicState(ref, stored!) };
      if (place !== 'apply') return { outcome: place };
      await this.#applyCommit(commit, stored);
      this.#holders.get(ref)!.until = this.#options.clock.monotonic() + commit.lease.ttl;
      return { outcome: 'applied' };
    });
  }

  readEntries(
    ref: JournalRef,
    after: JournalPosition,
    limits: ReadLimits,
  ): Promise<JournalEntry[]> {
    const synced = this.#states.get(ref)?.position ?? JOURNAL_START;
    const newest = (): JournalPosition => {
      // Beside another process what was cut meanwhile is not known.
      const state = this.#lock === null ? undefined : this.#states.get(ref);
      const isThere = state !== undefined && comparePositions(state.trimmed, state.newest) < 0;
      // What came meanwhile was not looked for.
      return isThere && comparePositions(state.newest, synced) <= 0 ? state.newest : JOURNAL_START;
    };
    return this.#records.readEntries(ref, after, synced, newest, limits);
  }

  readLayouts(ref: JournalRef): Promise<JournalEntry[]> {
    return this.#records.readLayouts(ref, this.#states.get(ref)?.position ?? JOURNAL_START);
  }

  dropLayouts(
    lease: Lease,
    groups: ReadonlyArray<{ epoch: Epoch; group: GroupId }>,
    cut: JournalPosition,
  ): Promise<void> {
    return this.#held(lease, (ref) => {
      const trimmed = this.#states.get(ref)?.trimmed ?? JOURNAL_START;
      if (comparePositions(trimmed, cut) < 0) throw fellBack(ref, `the cut at ${cut.sequence}`);
      return this.#removeAll(this.#layouts, this.#records.layoutKeys(ref, groups));
    });
  }

  async trimJournal(lease: Lease, upTo: JournalPosition, behind?: TileMeta): Promise<number> {
    let freed = 0;
    for (let more = true; more; ) {
      // A turn a step, so that commits get in between.
      const step = await this.#held(lease, (ref) => {
        if (behind !== undefined && !this.#tiles.has(ref, behind)) throw fellBack(ref, 'its tiles');
        return this.#trimStep(ref, upTo);
      });
      freed += step.freed;
      more = step.more;
    }
    return freed;
  }

  dropJournal(lease: Lease): Promise<void> {
    return this.#inTurn(lease.journal, async () => {
      this.#checkLease(lease);
      const ref = lease.journal;
      const prefix = journalPrefix(ref);
      await this.#trimState(ref);
      const names = [
        'entries',
        'layouts',
        'tile-metas',
        'tiles',
        'blocks',
        'block-chunks',
      ] as const;
      for (const table of names.map((name) => this.#tables.get(name))) {
        for (;;) {
          const range = { start: prefix, end: keyAfterAll(prefix), limit: STEP_DELETIONS };
          const keys = table.keys(range);
          await this.#removeAll(table, keys);
          if (keys.length < STEP_DELETIONS) break;
        }
      }
      await this.#write(0, () => {
        this.#tables.get('states').remove(prefix);
        this.#tables.get('leases').remove(prefix);
      });
      this.#states.delete(ref);
      this.#fences.delete(ref);
      this.#holders.delete(ref);
    });
  }

  putTiles(lease: Lease, tiles: readonly StoredTile[]): Promise<void> {
    if (tiles.length === 0) return Promise.resolve();
    return this.#held(lease, (ref) => this.#tiles.put(ref, tiles));
  }

  tiles(ref: JournalRef): Promise<TileMeta[]> {
    return this.#tiles.list(ref);
  }

  readTiles(ref: JournalRef, tiles: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>> {
    return this.#tiles.read(ref, tiles);
  }

  dropTiles(lease: Lease, tiles: readonly TileMeta[]): Promise<void> {
    return this.#held(lease, (ref) => this.#tiles.drop(ref, tiles));
  }

  blocks(ref: JournalRef): Promise<BlockMeta[]> {
    return Promise.resolve(this.#blocks.list(ref));
  }

  nextBlock(lease: Lease): Promise<BlockId> {
    return this.#held(lease, (ref) => this.#blocks.next(ref));
  }

  putBlockChunks(
    lease: Lease,
    block: BlockId,
    first: number,
    chunks: readonly Uint8Array[],
  ): Promise<void> {
    return this.#held(lease, (ref) => this.#blocks.put(ref, block, first, chunks));
  }

  finishBlock(lease: Lease, meta: BlockMeta, replaced: Replaced): Promise<void> {
    return this.#held(lease, (ref) => this.#blocks.finish(ref, meta, replaced));
  }

  readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>> {
    return this.#blocks.read(ref, pieces);
  }

  dropBlocks(lease: Lease, blocks: readonly BlockMeta[]): Promise<void> {
    return this.#held(lease, (ref) => this.#blocks.drop(ref, blocks));
  }

  sweepBlocks(lease: Lease, grace: DurationMs): Promise<number> {
    return this.#held(lease, (ref) => this.#blocks.sweep(ref, grace));
  }

  getDocument(name: string): Promise<string | undefined> {
    const value = this.#tables.get('documents').get(Buffer.from(name));
    if (value === null) {
      const message = `document ${name} fails its checksum`;
      this.#options.onCorrupt({ journal: null, what: 'document', gap: null, place: name, message });
      return Promise.reject(corruptFile(this.#tables.file, message));
    }
    return Promise.resolve(value?.toString());
  }

  async putDocument(name: string, text: string | undefined): Promise<void> {
    const documents = this.#tables.get('documents');
    const key = Buffer.from(name);
    invariant(key.length > 0 && key.length <= 1024, 'BUG: document name of an impossible length');
    const value = text === undefined ? undefined : Buffer.from(text);
    await this.#write(value?.length ?? 0, () => {
      if (value === undefined) documents.remove(key);
      else documents.put(key, value);
    });
  }

  usage(): Promise<StoreUsage> {
    const usedBytes = this.#tables.usedBytes();
    return Promise.resolve({ usedBytes, limitBytes: this.#options.maxBytes });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.allSettled(this.#turns.values());
      try {
        await this.#tables.close();
      } finally {
        await this.#lock?.release();
      }
    })();
    return this.#closed;
  }

  async #applyCommit(commit: JournalCommit, stored: StoredState | undefined): Promise<void> {
    const prefix = journalPrefix(commit.lease.journal);
    let entryBytes = 0;
    for (const entry of commit.entries) entryBytes += entry.bytes.length;
    const next: StoredState = {
      position: positionOf(commit.position),
      trimmed: stored?.trimmed ?? commit.expected ?? JOURNAL_START,
      cursor: commit.cursor,
      ledger: commit.ledger,
      entryBytes: (stored?.entryBytes ?? 0) + entryBytes,
      newest: positionOf(commit.entries.at(-1) ?? stored?.newest ?? JOURNAL_START),
    };
    const value = Buffer.from(JSON.stringify(next));
    const size = entryBytes + commit.entries.length * RECORD_OVERHEAD_BYTES;
    await this.#write(size, () => {
      for (const { epoch, sequence, kind, group, bytes } of commit.entries) {
        const key = entryKey(prefix, epoch, sequence);
        if (kind === EntryKind.layout) {
          this.#layouts.put(groupKey(prefix, epoch, group, sequence), bytes);
          this.#entries.put(key, pointer(group));
        } else {
          this.#entries.put(key, bytes);
        }
      }
      this.#tables.get('states').put(prefix, value);
    });
    this.#states.set(commit.lease.journal, next);
  }

  /** Drops a bounded number of entries and moves `trimmed` with them, in one transaction. */
  async #trimStep(
    ref: JournalRef,
    upTo: JournalPosition,
  ): Promise<{ freed: number; more: boolean }> {
    const state = this.#states.get(ref);
    if (state === undefined) return { freed: 0, more: false };
    const limit = comparePositions(upTo, state.position) < 0 ? upTo : state.position;
    if (comparePositions(limit, state.trimmed) <= 0) return { freed: 0, more: false };
    const { keys, bytes, last } = this.#records.oldestEntries(ref, limit, STEP_DELETIONS);
    const trimmed = positionOf(last ?? limit);
    const next = { ...state, trimmed, entryBytes: Math.max(0, state.entryBytes - bytes) };
    const encoded = Buffer.from(JSON.stringify(next));
    await this.#write(0, () => {
      for (const key of keys) this.#entries.remove(key);
      this.#tables.get('states').put(journalPrefix(ref), encoded);
    });
    this.#states.set(ref, next);
    return { freed: bytes, more: last !== undefined };
  }

  /** Says that no entry is there any more, before that is made true. */
  async #trimState(ref: JournalRef): Promise<void> {
    const state = this.#states.get(ref);
    if (state === undefined) return;
    const next = { ...state, trimmed: state.position, entryBytes: 0 };
    const encoded = Buffer.from(JSON.stringify(next));
    await this.#write(0, () => {
      this.#tables.get('states').put(journalPrefix(ref), encoded);
    });
    this.#states.set(ref, next);
  }

  async #removeAll(table: Table, keys: readonly Uint8Array[]): Promise<void> {
    for (let from = 0; from < keys.length; from += STEP_DELETIONS) {
      const step = keys.slice(from, from + STEP_DELETIONS);
      await this.#write(0, () => {
        for (const key of step) table.remove(key);
      });
    }
  }

  async #write(addedBytes: number, puts: () => void, reserve = 0): Promise<void> {
    if (this.#closed !== undefined) {
      throw new CanopyError('storage_unavailable', 'the store is closed');
    }
    if (this.#failure !== '') throw new CanopyError('storage_unavailable', this.#failure);
    const { maxBytes } = this.#options;
    if (addedBytes > 0 && this.#tables.usedBytes() + addedBytes > maxBytes + reserve) {
      throw new CanopyError('storage_full', `the store has reached its limit of ${maxBytes} bytes`);
    }
    await this.#tables.write(puts, addedBytes);
  }

  #holds(lease: Lease): boolean {
    const holder = this.#holders.get(lease.journal);
    return holder?.owner === lease.owner && this.#fences.get(lease.journal) === lease.fence;
  }

  #checkLease(lease: Lease): void {
    if (!this.#holds(lease)) throw leaseLost(lease.journal);
  }

  /** Runs a task in the journal's turn, under its lease. */
  #held<T>(lease: Lease, task: (ref: JournalRef) => Promise<T>): Promise<T> {
    return this.#inTurn(lease.journal, () => {
      this.#checkLease(lease);
      return task(lease.journal);
    });
  }

  async #inTurn<T>(ref: JournalRef, task: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(ref);
    const turn = (before ?? Promise.resolve()).then(task, task);
    this.#turns.set(ref, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(ref) === turn) this.#turns.delete(ref);
    }
  }
}

const positionOf = ({ epoch, sequence }: JournalPosition): JournalPosition => ({ epoch, sequence });
