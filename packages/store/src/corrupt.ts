/**
 * What stands in the place of an entry that failed its checks: a gap with that cause, at the entry's own
 * position, so that readers of the journal are told and none takes the next frame for the one it follows.
 */
import { encodeEntry, encodeGap } from '@canopy/encoding';
import {
  EntryKind,
  type GapRecord,
  type GroupId,
  type JournalEntry,
  type JournalPosition,
  asTime,
} from '@canopy/model';

/** An entry as it was read, or the place of one that cannot be. */
export type ReadEntry =
  | JournalEntry
  | { readonly corruptAt: JournalPosition; readonly why: string };

export interface InPlace {
  readonly gap: GapRecord;
  readonly entry: JournalEntry;
}

/**
 * The gap of a corrupt entry between two that could be read: what it said of its time and group cannot be
 * trusted, so the gap reaches from the one to the other, and names the whole journal.
 */
export function gapInPlace(
  at: JournalPosition,
  before: JournalEntry | undefined,
  after: JournalEntry | undefined,
): InPlace {
  const from = before?.time ?? (after === undefined ? 0 : after.time - 1);
  const to = Math.max(from + 1, after?.time ?? 0);
  const gap: GapRecord = {
    group: 0,
    from: asTime(from),
    to: asTime(to),
    cause: 'corrupt',
    frames: 1,
  };
  const { epoch, sequence } = at;
  const fields = { epoch, sequence, kind: EntryKind.gap, group: 0, time: gap.to, key: false };
  return { gap, entry: encodeEntry(fields, encodeGap(gap)) };
}

/** Of a layout that is gone: which time its samples had, nobody can know. */
export const layoutGap = (group: GroupId): GapRecord => ({
  ...{ group, from: asTime(0), to: asTime(0) },
  cause: 'corrupt',
  frames: -1,
});

/** Puts gaps in the places of corrupt entries; `report` is told of each. */
export function fillCorrupt(
  read: readonly ReadEntry[],
  report: (at: JournalPosition, why: string, gap: GapRecord) => void,
): JournalEntry[] {
  const isWhole = (each: ReadEntry): each is JournalEntry => !('corruptAt' in each);
  let before: JournalEntry | undefined;
  return read.map((each, i) => {
    if (isWhole(each)) return (before = each);
    const { gap, entry } = gapInPlace(each.corruptAt, before, read.slice(i + 1).find(isWhole));
    report(each.corruptAt, each.why, gap);
    return entry;
  });
}
