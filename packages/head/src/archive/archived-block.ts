/** A block of the store, as far as a head knows it. */
import type { BlockIndex } from '@canopy/encoding';
import { type BlockMeta, type JournalRef, type TimeRange } from '@canopy/model';
import type { Group } from '../group/group.js';

/** A silence longer than this ends a run of samples where no interval is known. Milliseconds. */
const RUN_BREAK_UNKNOWN = 300_000;
/** Of a mounted series: its label set, postings, column; of a tile: its extent. Bytes, roughly. */
const SLOT_BYTES = 120;
const TILE_BYTES = 200;

export class ArchivedBlock {
  readonly ref: JournalRef;
  readonly meta: BlockMeta;
  /** Versions of the catalogue that have it: [since, until). */
  readonly since: number;
  until = Number.POSITIVE_INFINITY;
  /** All its tiles were in memory when it was made, and those that the window covers still are. */
  readonly local: boolean;
  /** Null until somebody asks. */
  index: BlockIndex | null = null;
  /** Number in the index → the group that has its tiles. */
  readonly mounted = new Map<number, Group>();
  /** Snapshots that have used it and are open. */
  uses = 0;
  /** Goes up with each use of any block. */
  lastUsed = 0;
  mountedBytes = 0;

  constructor(ref: JournalRef, meta: BlockMeta, since: number, local: boolean) {
    this.ref = ref;
    this.meta = meta;
    this.since = since;
    this.local = local;
  }

  get memoryBytes(): number {
    return (this.index?.memoryBytes ?? 0) + this.mountedBytes;
  }

  isSeen(version: number): boolean {
    return this.since <= version && version < this.until;
  }

  /** Whether something in it may matter for a range, runs of samples across its ends included. */
  concerns({ minTime, maxTime }: TimeRange, horizon: number): boolean {
    const margin = Math.max(RUN_BREAK_UNKNOWN, 2 * this.meta.intervalMax);
    if (this.local && minTime - margin >= horizon) return false;
    return this.meta.maxTime >= minTime - margin && this.meta.minTime <= maxTime + margin;
  }

  noteMounted(number: number, group: Group, slots: number, tiles: number): void {
    this.mounted.set(number, group);
    this.mountedBytes += slots * SLOT_BYTES + tiles * TILE_BYTES;
  }
}
