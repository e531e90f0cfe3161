/** A commit under way: records with their positions, and the ledger as it will be after them. */
import {
  EntryKind,
  type JournalEntry,
  type JournalPosition,
  type Ledger,
  type Milliseconds,
  addGap,
} from '@canopy/model';
import type { FrameOwner, QueuedRecord } from './record-queue.js';

/** Tried in the same form until its outcome is known: an earlier try may have got through. */
export interface Batch {
  readonly records: readonly QueuedRecord[];
  readonly entries: readonly JournalEntry[];
  readonly expected: JournalPosition | null;
  readonly position: JournalPosition;
  readonly ledger: Ledger;
  readonly bytes: number;
  /** What `lastSentTime` of the writers was before. */
  readonly sentBefore: ReadonlyMap<FrameOwner, Milliseconds | undefined>;
}

/** Entries get the sequences that follow `after`; `ledger` stays as it is. */
export function makeBatch(
  records: readonly QueuedRecord[],
  expected: JournalPosition | null,
  after: JournalPosition,
  ledgerBefore: Readonly<Ledger>,
  watermark: Milliseconds,
): Batch {
  const ledger = structuredClone(ledgerBefore) as Ledger;
  const sentBefore = new Map<FrameOwner, Milliseconds | undefined>();
  const entries: JournalEntry[] = [];
  const { epoch } = after;
  let { sequence } = after;
  let bytes = 0;
  for (const { entry, samples, gap, writer } of records) {
    entries.push({ ...entry, epoch, sequence: ++sequence });
    bytes += entry.bytes.length;
    if (gap !== undefined) addGap(ledger, gap);
    if (entry.kind !== EntryKind.frame || writer === undefined) continue;
    ledger.frames++;
    ledger.samples += samples;
    if (!sentBefore.has(writer)) sentBefore.set(writer, writer.lastSentTime);
    writer.lastSentTime = entry.time;
  }
  ledger.bytes += bytes;
  ledger.watermark = Math.max(ledger.watermark, watermark);
  return { records, entries, expected, position: { epoch, sequence }, ledger, bytes, sentBefore };
}
