/** What a puller is made of. */
import type {
  Appender,
  Clock,
  DurationMs,
  Epoch,
  GroupId,
  GroupMeta,
  JournalId,
  JournalRef,
  JournalState,
  Milliseconds,
  PullTarget,
  Store,
} from '@canopy/model';
import type { Log } from '../log.js';
import type { SourceTrust } from './trust.js';

export interface FramePullerOptions {
  readonly store: Store;
  readonly appender: Appender;
  readonly clock: Clock;
  /** Owner of the leases: another one in each process. */
  readonly owner: string;
  /** What sources call their reader: the same after a restart, so that they keep what it needs. */
  readonly readerName: string;
  readonly leaseTtl: DurationMs;
  /** Journals this process writes; a source that hands them back is part of a loop. */
  ownJournals(): ReadonlySet<JournalId>;
  /** What is known of a group whose layout was taken in before; undefined: nothing. */
  groupOf(ref: JournalRef, epoch: Epoch, group: GroupId): GroupMeta | undefined;
  /** A journal is complete up to `watermark`, in the store and in the appender. */
  onWatermark(ref: JournalRef, watermark: Milliseconds): void;
  /**
   * The state of a journal was read from the store, where another process may have written since, or which may have lost it
   * (undefined: there is nothing): awaited before the journal is pulled from there; afterwards the appender has whatever
   * the store has, and nothing else.
   */
  onLoaded(ref: JournalRef, state: JournalState | undefined): Promise<void>;
  /**
   * The store has lost what it had of a journal (wiped, an older copy): `state` is what is left, undefined:
   * nothing. What the appender has of it must not be taken for stored any more. Awaited before the journal
   * is pulled again from there. Where it fails the journal is loaded again before anything else of it is taken: `onLoaded`
   * makes up for it.
   */
  onStoreWentBack(ref: JournalRef, state: JournalState | undefined): Promise<void>;
  /** What a source may hand over; default: everything. */
  trust?(target: PullTarget): SourceTrust;
  /** A larger page is refused. Bytes, before compression. */
  readonly pageBytesMax: number;
  /** Journals one source may have. */
  readonly journalsMax: number;
  readonly log: Log;
}
