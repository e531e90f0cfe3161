import type {
  Clock,
  DurationMs,
  JournalEntry,
  JournalPosition,
  JournalRef,
  JournalState,
  Ledger,
  Milliseconds,
  Store,
} from '@canopy/model';
import type { StoreLog } from '../health.js';

/**
 * Takes what the store has of the journal, once nobody else can write it and before anything is written. True where it
 * has put something there: then it is read anew.
 */
export type OnFound = (ref: JournalRef, state: JournalState | undefined) => Promise<boolean>;

export interface JournalWriterOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Cryptographically random bytes, for the journal id. */
  readonly randomBytes: (size: number) => Uint8Array;
  /** Holder of the lease; should differ between processes. */
  readonly owner: string;
  readonly leaseTtl: DurationMs;
  /** A record waits no longer for its commit, unless the store does not take it. */
  readonly commitInterval: DurationMs;
  /** A commit begins at once when so much waits, and holds about so much. */
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
  /**
   * The store may lose what it has acknowledged (a failover, a restored copy), also while nobody writes: each writer
   * begins an epoch above any that one before it can have used.
   */
  readonly mayGoBack?: boolean;
  /** The process before had entries in memory that the store never took: its end was not a clean one, whatever is stored. */
  readonly lostTail?: boolean;
  /** How far this process has seen the journal, which the store may have forgotten. */
  readonly seenUpTo?: (ref: JournalRef) => JournalPosition | undefined;
  /** Awaited before the writer is there. */
  readonly onFound?: OnFound | undefined;
}

/** Plain numbers; `canopy` gives them names. */
export interface JournalWriterStats {
  commits: number;
  commitFailures: number;
  /** Frames that a store did not take in time. */
  framesDropped: number;
  framesRefusedByClock: number;
  /** Waiting for a commit, the one under way included. */
  queueBytes: number;
  lastCommitDurationMs: number;
}

export const emptyStats = (): JournalWriterStats => ({
  commits: 0,
  commitFailures: 0,
  framesDropped: 0,
  framesRefusedByClock: 0,
  queueBytes: 0,
  lastCommitDurationMs: 0,
});
