/** What stands in the place of an entry that failed its checks. */
import {
  EntryKind,
  type GapRecord,
  type JournalEntry,
  type JournalPosition,
  type Ledger,
  asTime,
} from '@canopy/model';
import { encodeEntry } from './entry.js';
import { encodeGap } from './gap.js';

export interface InPlace {
  readonly gap: GapRecord;
  readonly entry: JournalEntry;
}

/** Frames that could be read, the nearest ones; undefined where there is none that can be. */
export interface Neighbours {
  readonly before: JournalEntry | undefined;
  readonly after: JournalEntry | undefined;
}

/**
 * The gap of a corrupt entry: what it said of its time and group cannot be trusted, so the gap names the whole
 * journal and all times the entry may have had. A frame is no more than `late` older than one before it in the journal,
 * and no younger than `newest`. Without a frame before it (it was cut off) the gap begins at time 0.
 */
export function gapInPlace(
  at: JournalPosition,
  { before, after }: Neighbours,
  { newest, late }: Pick<Ledger, 'newest' | 'late'>,
): InPlace {
  const times = [before, after].flatMap((frame) => (frame === undefined ? [] : [frame.time]));
  const from = before === undefined ? 0 : Math.min(...times) - late - 1;
  const to = after === undefined ? Math.max(newest, ...times) : Math.max(...times) + late;
  const gap: GapRecord = {
    group: 0,
    from: asTime(Math.max(0, from)),
    to: asTime(to + 1),
    cause: 'corrupt',
    frames: 1,
  };
  const { epoch, sequence } = at;
  const fields = { epoch, sequence, kind: EntryKind.gap, group: 0, time: gap.to, key: false };
  return { gap, entry: encodeEntry(fields, encodeGap(gap)) };
}
