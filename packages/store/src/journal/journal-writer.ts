import type {
  Clock,
  DurationMs,
  GroupMeta,
  GroupWriter,
  Journal,
  JournalEntry,
  JournalId,
  JournalPosition,
  JournalRef,
  Lease,
  Ledger,
  Milliseconds,
  Store,
} from '@canopy/model';
import type { StoreHealth, StoreLog } from '../health.js';

export interface JournalWriterOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Cryptographically random bytes, for the journal id. */
  readonly randomBytes: (size: number) => Uint8Array;
  /** Holder of the lease; should differ between processes. */
  readonly owner: string;
  readonly leaseTtl: DurationMs;
  readonly commitInterval: DurationMs;
  readonly commitBytes: number;
  /** Every so many frames of a group one needs no earlier one. */
  readonly keyFrameEvery: number;
  /** What waits for a store that does not take it; over it the oldest frames are dropped and named. */
  readonly queueBytesMax: number;
  /** Synced entries in order, and the ledger after them. Called synchronously; must not throw. */
  readonly onCommitted: (
    ref: JournalRef,
    entries: readonly JournalEntry[],
    ledger: Readonly<Ledger>,
  ) => void;
  /** Everything up to this time has been written or never will be; the watermark of a commit. */
  readonly completeUpTo: () => Milliseconds;
  readonly log: StoreLog;
  /** Identity of the place (`EmbeddedStore.identity`); another one than stored: a copied folder. '' where there is none. */
  readonly pathIdentity: string;
}

/** Plain numbers; `canopy` gives them names. */
export interface JournalWriterStats {
  commits: number;
  commitFailures: number;
  framesDropped: number;
  framesRefusedByClock: number;
  queueBytes: number;
  lastCommitDurationMs: number;
}

export declare class JournalWriter implements Journal {
  static open(options: JournalWriterOptions): Promise<JournalWriter>;
  readonly id: JournalId;
  readonly ref: JournalRef;
  readonly stats: Readonly<JournalWriterStats>;
  readonly health: StoreHealth;
  /** Newest synced. */
  readonly position: JournalPosition;
  readonly ledger: Readonly<Ledger>;
  readonly lease: Lease;
  /** Complete and synced up to this time. */
  readonly watermark: Milliseconds;
  openGroup(meta: Omit<GroupMeta, 'continues'>): GroupWriter;
  flush(): Promise<void>;
  /** Starts a new epoch above `above` and the own one, with the next write. */
  breakEpoch(above: JournalPosition): void;
  /** The next frame of every group is a key frame. */
  requestKeyFrames(): void;
  /** Flushes (one try where the store does not answer), marks the stop as clean, releases the lease. */
  close(): Promise<void>;
}
