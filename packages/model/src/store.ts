/**
 * Port: where journals, tiles and small documents are kept. Implemented by `store` (embedded, redis);
 * both pass the conformance suite in `@canopy/store/testing`.
 */
import type {
  Epoch,
  GroupId,
  JournalEntry,
  JournalPosition,
  JournalRef,
  Sequence,
} from './journal.js';
import { type DurationMs, type Milliseconds, asDuration } from './units.js';

/** The right to write one journal, fenced: a commit under an older lease is refused. */
export interface Lease {
  readonly journal: JournalRef;
  readonly owner: string;
  /** Goes up each time the lease changes hands. */
  readonly fence: number;
  /** It was taken for so long; each commit under it makes it last so long again. */
  readonly ttl: DurationMs;
}

export type LeaseOutcome =
  | { readonly granted: true; readonly lease: Lease }
  | { readonly granted: false; readonly heldBy: string; readonly expiresIn: DurationMs };

/** What the store knows of one journal. */
export interface JournalState {
  readonly ref: JournalRef;
  /** Position of the newest entry taken in; what was filtered out before it counts as taken in. */
  readonly position: JournalPosition;
  /** Position before the oldest entry still kept. */
  readonly trimmed: JournalPosition;
  /** The source's cursor as it was with `position`; '' for a journal of one's own. */
  readonly cursor: string;
  /** The journal's ledger, JSON, as of `position`. */
  readonly ledger: string;
  /** Bytes of the entries kept. */
  readonly entryBytes: number;
}

/** One atomic write: entries, position, cursor and ledger, or nothing. */
export interface JournalCommit {
  readonly lease: Lease;
  /** The position this commit follows; null where the journal must not be there yet. */
  readonly expected: JournalPosition | null;
  /** The position after it; at or after the last entry. */
  readonly position: JournalPosition;
  /** Ascending positions within (expected, position]; may be empty. Kept entries of kind layout outlive trimming. */
  readonly entries: readonly JournalEntry[];
  readonly cursor: string;
  readonly ledger: string;
}

export type CommitOutcome =
  /**
   * Stored and, as far as the store promises, durable. `beginEpoch`: it keeps them in memory for now, and may lose them: what
   * comes next should be of another epoch than this commit, so that no number is given again after that.
   */
  | { readonly outcome: 'applied'; readonly beginEpoch?: boolean }
  /** The stored position is `position` already: an earlier try had got through. */
  | { readonly outcome: 'already_applied' }
  /** The store is at another position (failover, restored backup, another writer's work). Go on from there. */
  | { readonly outcome: 'behind'; readonly state: JournalState }
  /** The store does not know the journal, though `expected` is not null (wiped). */
  | { readonly outcome: 'absent' }
  /** The lease is not held any more. */
  | { readonly outcome: 'fenced' };

/** A tile's place and extent; (epoch, group, firstSequence) is its identity within a journal. */
export interface TileMeta {
  readonly epoch: Epoch;
  readonly group: GroupId;
  /** Sequences of its first and last frame. */
  readonly firstSequence: Sequence;
  readonly lastSequence: Sequence;
  /** Times of the oldest and newest sample, inclusive. */
  readonly minTime: Milliseconds;
  readonly maxTime: Milliseconds;
  /** Size of the encoded tile. */
  readonly byteLength: number;
}

export interface StoredTile {
  readonly meta: TileMeta;
  /** As `encoding` wrote it. */
  readonly bytes: Uint8Array;
}

/** Tiles are sealed into blocks by windows of so long, which begin at multiples of it. */
export const BLOCK_WINDOW_MS = asDuration(2 * 3_600_000);
/** What a store keeps of a block in one piece: with its headers just below 256 KiB, an allocator's size. */
export const BLOCK_CHUNK_BYTES = 262_080;

/** The number of the window a tile belongs to: that of its newest sample. */
export const tileWindow = ({ maxTime }: Pick<TileMeta, 'maxTime'>): number =>
  Math.floor(maxTime / BLOCK_WINDOW_MS);

/** Counts from 1 within a source; a number is never given to two blocks that anyone could have seen. */
export type BlockId = number;

/**
 * The tiles of one source and a stretch of time, end to end, and behind them an index (encoding's
 * block.format.md). Never changed once it is there.
 */
export interface BlockMeta {
  readonly id: BlockId;
  /** Time between samples where they were thinned out; 0: as they came, the only kind so far. */
  readonly resolution: DurationMs;
  /** The windows it was made for, [from, to). */
  readonly from: Milliseconds;
  readonly to: Milliseconds;
  /** Times of the oldest and newest sample, inclusive; the oldest may be before `from`. */
  readonly minTime: Milliseconds;
  readonly maxTime: Milliseconds;
  /** The longest interval of its groups; 0 where none has one. */
  readonly intervalMax: DurationMs;
  /** Position of the newest frame in it. */
  readonly last: JournalPosition;
  readonly tileBytes: number;
  readonly indexBytes: number;
  readonly groups: number;
  readonly tiles: number;
  /** Series of all groups. */
  readonly series: number;
}

/** The same for the same block of a journal and for no other: a store that fell back may give its number again. */
export const blockName = ({ id, tileBytes, indexBytes, maxTime, last }: BlockMeta): string =>
  [id, tileBytes, indexBytes, maxTime, last.epoch, last.sequence].join();

/** A tile in a block; `position` counts bytes from the block's first. */
export interface BlockTile {
  readonly position: number;
  readonly byteLength: number;
  readonly firstSequence: Sequence;
  readonly lastSequence: Sequence;
  readonly minTime: Milliseconds;
  readonly maxTime: Milliseconds;
}

/** Some bytes of a block. */
export interface BlockPiece {
  readonly block: BlockId;
  readonly position: number;
  readonly byteLength: number;
}

/** What a block takes the place of, in the same moment. */
export interface Replaced {
  readonly tiles: readonly TileMeta[];
  readonly blocks: readonly BlockMeta[];
}

export interface StoreUsage {
  readonly usedBytes: number;
  /** 0 where there is no limit. */
  readonly limitBytes: number;
}

export interface ReadLimits {
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/**
 * Errors of all methods: `storage_unavailable` (try again later), `storage_full`, `storage_unsuitable`
 * (until a person mends it; try again, too), `storage_corrupt`; anything else is a bug. Buffers handed in may be reused after the promise
 * is settled; buffers handed out belong to the caller.
 */
export interface Store extends AsyncDisposable {
  readonly kind: 'embedded' | 'redis';

  /** States of all journals, in no order. */
  journals(): Promise<JournalState[]>;
  journal(ref: JournalRef): Promise<JournalState | undefined>;

  /** Takes or renews the lease on a journal (which need not exist yet) for `ttl` from now. */
  acquireLease(ref: JournalRef, owner: string, ttl: DurationMs): Promise<LeaseOutcome>;
  releaseLease(lease: Lease): Promise<void>;

  /**
   * Resolves after the store's own flush. Writes under `lease`, also where its time is over and nobody took it, and
   * renews it.
   */
  commit(commit: JournalCommit): Promise<CommitOutcome>;

  /**
   * Entries after `after` in order; at least one where there is one, else up to the limits. In the place
   * of one that fails its checks stands a gap with cause `corrupt`.
   */
  readEntries(ref: JournalRef, after: JournalPosition, limits: ReadLimits): Promise<JournalEntry[]>;

  /** All layout entries kept that pass their checks, by (epoch, group, version): also of groups whose frames were trimmed. */
  readLayouts(ref: JournalRef): Promise<JournalEntry[]>;
  /**
   * Forgets layouts of groups that no frame after `cut` and no tile needs any more. A store that is not cut so far (it fell
   * back meanwhile) still has frames that need them: it rejects with `storage_unavailable`, and forgets nothing.
   */
  dropLayouts(
    lease: Lease,
    groups: ReadonlyArray<{ epoch: Epoch; group: GroupId }>,
    cut: JournalPosition,
  ): Promise<void>;

  /**
   * Drops entries at or before `upTo` (layouts stay). Returns the bytes freed. `behind`: the tile written last, in place of
   * such entries: a store without it fell back meanwhile, rejects with `storage_unavailable` and drops nothing more.
   */
  trimJournal(lease: Lease, upTo: JournalPosition, behind?: TileMeta): Promise<number>;
  /** Drops the journal with all that belongs to it. */
  dropJournal(lease: Lease): Promise<void>;

  /**
   * Writing the same tile again replaces it; its `maxTime` stays within its window. Tiles are taken also where commits
   * are refused for want of room: the journal can be cut behind them.
   */
  putTiles(lease: Lease, tiles: readonly StoredTile[]): Promise<void>;
  /** Extents of all tiles of a journal, in no order. */
  tiles(ref: JournalRef): Promise<TileMeta[]>;
  /** Bytes of tiles, in the order asked for; undefined for one that is gone. */
  readTiles(ref: JournalRef, tiles: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>>;
  dropTiles(lease: Lease, tiles: readonly TileMeta[]): Promise<void>;

  /** Finished blocks, in no order; what was replaced or never finished is not among them. */
  blocks(ref: JournalRef): Promise<BlockMeta[]>;
  /** A number for the next block; what is left of one that was never finished is removed first. */
  nextBlock(lease: Lease): Promise<BlockId>;
  /**
   * Writes chunks of the block begun last, from chunk `first` on: BLOCK_CHUNK_BYTES each, the block's
   * last one what is left. Nobody sees them before `finishBlock`. Refused where those before are not there.
   */
  putBlockChunks(
    lease: Lease,
    block: BlockId,
    first: number,
    chunks: readonly Uint8Array[],
  ): Promise<void>;
  /**
   * Makes the block seen and what it replaces not seen any more, in one atomic write. Bytes of replaced
   * blocks can still be read, by those who saw them, until `sweepBlocks`. Repeating changes nothing. Refused where chunks of
   * it are not there: the store fell back while it was written.
   */
  finishBlock(lease: Lease, meta: BlockMeta, replaced: Replaced): Promise<void>;
  /** Bytes of blocks, in the order asked for; undefined for what is gone, too few of what was cut. */
  readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>>;
  dropBlocks(lease: Lease, blocks: readonly BlockMeta[]): Promise<void>;
  /** Removes blocks that were replaced `grace` ago or earlier. Returns their bytes. */
  sweepBlocks(lease: Lease, grace: DurationMs): Promise<number>;

  /** Small documents by name (`registry`, `sources/…`); undefined where there is none. */
  getDocument(name: string): Promise<string | undefined>;
  /** Undefined removes it. */
  putDocument(name: string, text: string | undefined): Promise<void>;

  usage(): Promise<StoreUsage>;
}
