/** What a section's entries add to the ledger of their journal. */
import { decodeGap, entryPayload } from '@canopy/encoding';
import {
  type ApplyTotals,
  EntryKind,
  FormatError,
  addCount,
  addGap,
  addTime,
  addToWindow,
  jobIn,
  type JournalEntry,
  type Ledger,
} from '@canopy/model';
import type { GroupJobs } from './group-jobs.js';

/** By job, as the source counts what it hands over. */
export function countRefused(ledger: Ledger, refused: ReadonlyMap<string, number>): void {
  for (const [job, frames] of refused) {
    addCount(ledger.refused, 'forged_label', frames);
    addCount(jobIn(ledger, job).refused, 'forged_label', frames);
  }
}

export function countInto(ledger: Ledger, entries: readonly JournalEntry[], jobs: GroupJobs): void {
  for (const entry of entries) {
    ledger.bytes += entry.bytes.length;
    if (entry.kind === EntryKind.frame) {
      ledger.frames++;
      const { job, isAligned } = jobs.of(entry);
      jobIn(ledger, job).frames++;
      addTime(ledger, entry.time);
      if (isAligned) addToWindow(ledger.windows, entry.time, 0);
    }
    if (entry.kind !== EntryKind.gap) continue;
    try {
      const gap = decodeGap(entryPayload(entry));
      const { epoch } = entry;
      addGap(ledger, gap, gap.group === 0 ? '' : jobs.of({ epoch, group: gap.group }).job);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      addCount(ledger.refused, 'unknown_gap', 1);
    }
  }
}

/** Adds what the appender took in of a part. */
export function addApplied(sum: ApplyTotals, part: ApplyTotals): void {
  sum.frames += part.frames;
  sum.samples += part.samples;
  sum.repeated += part.repeated;
  sum.undecodable += part.undecodable;
  for (const [reason, count] of Object.entries(part.refused)) addCount(sum.refused, reason, count);
}
