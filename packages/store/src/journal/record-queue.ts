/** Records that wait for their commit, oldest first, bounded by dropping the oldest frames. */
import {
  EntryKind,
  type GapRecord,
  type GroupId,
  type JournalEntry,
  type Milliseconds,
  invariant,
} from '@canopy/model';

/** One record on its way; `entry` has no position yet (epoch and sequence 0). */
export interface QueuedRecord {
  readonly entry: JournalEntry;
  /** Values and stale marks of a frame, else 0. */
  readonly samples: number;
  /** What a gap entry says, else undefined. */
  readonly gap: GapRecord | undefined;
  /** Of a frame or a gap of one group: the job it belongs to, else ''. */
  readonly job: string;
  /** Of a frame that a scrape became: '' as it came, else why it was refused. Undefined for others. */
  readonly scrape: string | undefined;
  /** Who wrote it; undefined for records of the whole journal. */
  readonly writer: FrameOwner | undefined;
}

/** What a group's writer is told when frames of it were dropped before they were synced. */
export interface FrameOwner {
  readonly job: string;
  /** All samples of its frames have the frame's time. */
  readonly isAligned: boolean;
  /** Time of its last frame that left the queue for a commit; undefined where there is none. */
  lastSentTime: Milliseconds | undefined;
  /** The frames from the first dropped one on, up to now, are gone: the next must be a key frame. */
  framesDropped(group: GroupId, from: Milliseconds, count: number): void;
  /** A record of the gap between two times of a group of this writer. */
  gapBetween(group: GroupId, from: Milliseconds, to: Milliseconds, frames: number): QueuedRecord;
}

interface Loss {
  readonly group: GroupId;
  from: Milliseconds;
  count: number;
}

export class RecordQueue {
  #records: QueuedRecord[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#records.length;
  }

  /** Undefined when empty. */
  get oldestTime(): Milliseconds | undefined {
    return this.#records[0]?.entry.time;
  }

  push(record: QueuedRecord): void {
    this.#records.push(record);
    this.#bytes += record.entry.bytes.length;
  }

  /** Takes the oldest records, at least one, up to `maxBytes`. */
  take(maxBytes: number): QueuedRecord[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#records.length) {
      const size = this.#records[count].entry.bytes.length;
      if (count > 0 && bytes + size > maxBytes) break;
      bytes += size;
      count++;
    }
    this.#bytes -= bytes;
    return this.#records.splice(0, count);
  }

  /**
   * Drops the oldest frames until about `bytesToFree` are free. With a frame go all that build
   * on it, up to the next key frame of its group; a gap record takes their place there. Returns the
   * frames dropped.
   */
  dropOldest(bytesToFree: number): QueuedRecord[] {
    const kept: QueuedRecord[] = [];
    const losses = new Map<FrameOwner, Loss>();
    const lastKept = new Map<FrameOwner, Milliseconds>();
    let freed = 0;
    const dropped: QueuedRecord[] = [];
    for (const record of this.#records) {
      const { entry, writer } = record;
      if (entry.kind !== EntryKind.frame) {
        kept.push(record);
        continue;
      }
      invariant(writer !== undefined, 'BUG: frame without its writer');
      const loss = losses.get(writer);
      if (freed < bytesToFree || (loss !== undefined && !entry.key)) {
        freed += entry.bytes.length;
        dropped.push(record);
        if (loss !== undefined) loss.count++;
        else losses.set(writer, newLoss(writer, lastKept, entry));
        continue;
      }
      if (loss !== undefined) {
        kept.push(writer.gapBetween(loss.group, loss.from, entry.time, loss.count));
        losses.delete(writer);
      }
      lastKept.set(writer, entry.time);
      kept.push(record);
    }
    this.#replace(kept);
    for (const [writer, loss] of losses) writer.framesDropped(loss.group, loss.from, loss.count);
    return dropped;
  }

  /** Puts records back that were taken, before all others. */
  putBack(records: readonly QueuedRecord[]): void {
    this.#replace([...records, ...this.#records]);
  }

  /** Drops all frames and layouts; gaps stay. Returns the frames. */
  dropAll(): QueuedRecord[] {
    this.#replace(this.#records.filter(({ entry }) => entry.kind !== EntryKind.layout));
    return this.dropOldest(Number.POSITIVE_INFINITY);
  }

  #replace(records: QueuedRecord[]): void {
    this.#records = records;
    this.#bytes = records.reduce((sum, { entry }) => sum + entry.bytes.length, 0);
  }
}

function newLoss(
  writer: FrameOwner,
  lastKept: ReadonlyMap<FrameOwner, Milliseconds>,
  { group, time }: JournalEntry,
): Loss {
  const from = lastKept.get(writer) ?? writer.lastSentTime ?? time;
  return { group, from, count: 1 };
}
