/** A commit under way: records with their positions, and the ledger as it will be after them. */
import {
  EntryKind,
  type JournalCommit,
  type JournalEntry,
  type JournalPosition,
  type Lease,
  type Ledger,
  type Milliseconds,
  addCount,
  addGap,
  addTime,
  addToWindow,
  jobIn,
} from '@canopy/model';
import type { FrameOwner, QueuedRecord } from './record-queue.js';
import type { Tally } from './tally.js';

/** Tried in the same form until its outcome is known: an earlier try may have got through. */
export interface Batch {
  readonly records: readonly QueuedRecord[];
  readonly entries: readonly JournalEntry[];
  readonly expected: JournalPosition | null;
  readonly position: JournalPosition;
  readonly ledger: Ledger;
  readonly tally: Tally;
  readonly bytes: number;
  /** What `lastSentTime` of the writers was before. */
  readonly sentBefore: ReadonlyMap<FrameOwner, Milliseconds | undefined>;
}

/** Entries get the sequences that follow `after`; `ledgerBefore` stays as it is. */
export function makeBatch(
  records: readonly QueuedRecord[],
  expected: JournalPosition | null,
  after: JournalPosition,
  ledgerBefore: Readonly<Ledger>,
  tally: Tally,
  watermark: Milliseconds,
): Batch {
  const ledger = tally.shownIn(ledgerBefore);
  const sentBefore = new Map<FrameOwner, Milliseconds | undefined>();
  const entries: JournalEntry[] = [];
  const { epoch } = after;
  let { sequence } = after;
  let bytes = 0;
  for (const record of records) {
    const { entry, gap, writer } = record;
    entries.push({ ...entry, epoch, sequence: ++sequence });
    bytes += entry.bytes.length;
    if (gap !== undefined) addGap(ledger, gap, record.job);
    if (entry.kind !== EntryKind.frame || writer === undefined) continue;
    countFrame(ledger, record, writer.isAligned);
    if (!sentBefore.has(writer)) sentBefore.set(writer, writer.lastSentTime);
    writer.lastSentTime = entry.time;
  }
  ledger.bytes += bytes;
  // A kill loses what came after this, by the clock as it is.
  if (watermark < ledger.watermark) ledger.setBackTo = watermark;
  else delete ledger.setBackTo;
  ledger.watermark = Math.max(ledger.watermark, watermark);
  const position = { epoch, sequence };
  return { records, entries, expected, position, ledger, tally, bytes, sentBefore };
}

function countFrame(
  ledger: Ledger,
  { entry, samples, job, scrape }: QueuedRecord,
  isAligned: boolean,
): void {
  const counts = jobIn(ledger, job);
  ledger.frames++;
  ledger.samples += samples;
  counts.frames++;
  counts.samples += samples;
  addTime(ledger, entry.time);
  if (isAligned) addToWindow(ledger.windows, entry.time, samples);
  if (scrape === undefined) return;
  counts.scraped++;
  if (scrape === '') {
    counts.journalled++;
    return;
  }
  addCount(counts.refused, scrape, 1);
  addCount(ledger.refused, scrape, 1);
}

export function commitOf(
  { entries, expected, position, ledger }: Batch,
  lease: Lease,
): JournalCommit {
  return { lease, expected, position, entries, cursor: '', ledger: JSON.stringify(ledger) };
}
