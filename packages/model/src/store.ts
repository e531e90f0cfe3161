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
import type { DurationMs, Milliseconds } from './units.js';

/** The right to write one journal, fenced: a commit under an older lease is refused. */
export interface Lease {
  readonly journal: JournalRef;
  readonly owner: string;
  /** Goes up each time the lease changes hands. */
  readonly fence: number;
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
  /** Stored and, as far as the store promises, durable. */
  | { readonly outcome: 'applied' }
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

  /** Resolves after the store's own flush. Renews nothing but writes under `lease`. */
  commit(commit: JournalCommit): Promise<CommitOutcome>;

  /**
   * Entries after `after` in order; at least one where there is one, else up to the limits. In the place
   * of one that fails its checks stands a gap with cause `corrupt`.
   */
  readEntries(ref: JournalRef, after: JournalPosition, limits: ReadLimits): Promise<JournalEntry[]>;

  /** All layout entries kept that pass their checks, by (epoch, group, version): also of groups whose frames were trimmed. */
  readLayouts(ref: JournalRef): Promise<JournalEntry[]>;
  /** Forgets layouts of groups that no frame and no tile needs any more. */
  dropLayouts(lease: Lease, groups: ReadonlyArray<{ epoch: Epoch; group: GroupId }>): Promise<void>;

  /** Drops entries at or before `upTo` (layouts stay). Returns the bytes freed. */
  trimJournal(lease: Lease, upTo: JournalPosition): Promise<number>;
  /** Drops the journal with all that belongs to it. */
  dropJournal(lease: Lease): Promise<void>;

  /** Writing the same tile again replaces it. */
  putTiles(lease: Lease, tiles: readonly StoredTile[]): Promise<void>;
  /** Extents of all tiles of a journal, in no order. */
  tiles(ref: JournalRef): Promise<TileMeta[]>;
  /** Bytes of tiles, in the order asked for; undefined for one that is gone. */
  readTiles(ref: JournalRef, tiles: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>>;
  dropTiles(lease: Lease, tiles: readonly TileMeta[]): Promise<void>;

  /** Small documents by name (`registry`, `sources/…`); undefined where there is none. */
  getDocument(name: string): Promise<string | undefined>;
  /** Undefined removes it. */
  putDocument(name: string, text: string | undefined): Promise<void>;

  usage(): Promise<StoreUsage>;
}
