/** What stands in the place of an entry that failed its checks. */
import {
  EntryKind,
  type GapRecord,
  type JournalEntry,
  type JournalPosition,
  asTime,
} from '@canopy/model';
import { encodeEntry } from './entry.js';
import { encodeGap } from './gap.js';

export interface InPlace {
  readonly gap: GapRecord;
  readonly entry: JournalEntry;
}

/**
 * The gap of a corrupt entry between two that could be read: what it said of its time and group cannot be
 * trusted, so the gap reaches from the one to the other, whose times it may have had, and names the whole journal.
 */
export function gapInPlace(
  at: JournalPosition,
  before: JournalEntry | undefined,
  after: JournalEntry | undefined,
): InPlace {
  const from = (before ?? after)?.time ?? 1;
  const to = Math.max(from, after?.time ?? 0);
  const gap: GapRecord = {
    group: 0,
    from: asTime(from - 1),
    to: asTime(to + 1),
    cause: 'corrupt',
    frames: 1,
  };
  const { epoch, sequence } = at;
  const fields = { epoch, sequence, kind: EntryKind.gap, group: 0, time: gap.to, key: false };
  return { gap, entry: encodeEntry(fields, encodeGap(gap)) };
}
