import type {
  Appender,
  ApplyTotals,
  Epoch,
  Family,
  GroupId,
  JournalEntry,
  JournalPosition,
  JournalRef,
  Milliseconds,
  Queryable,
  Snapshot,
  TileMeta,
} from '@canopy/model';
import type { Expired, GroupStatus, HeadOptions, HeadStats } from './options.js';

export declare class Head implements Appender, Queryable {
  constructor(options: HeadOptions);
  readonly stats: HeadStats;
  apply(ref: JournalRef, entries: readonly JournalEntry[]): ApplyTotals;
  restoreLayouts(ref: JournalRef, entries: readonly JournalEntry[]): void;
  restoreTiles(ref: JournalRef, metas: readonly TileMeta[]): void;
  position(ref: JournalRef): JournalPosition | undefined;
  trimmable(ref: JournalRef): JournalPosition;
  tileStored(ref: JournalRef, meta: TileMeta): void;
  dropTiles(ref: JournalRef, metas: readonly TileMeta[]): void;
  dropJournal(ref: JournalRef): void;
  expire(now: Milliseconds): Expired;
  groupsNotNeeded(
    ref: JournalRef,
    trimmed: JournalPosition,
  ): Array<{ epoch: Epoch; group: GroupId }>;
  layoutsDropped(ref: JournalRef, groups: ReadonlyArray<{ epoch: Epoch; group: GroupId }>): void;
  groups(ref: JournalRef): GroupStatus[];
  snapshot(): Snapshot;
  metadata(): ReadonlyMap<string, readonly Family[]>;
}
