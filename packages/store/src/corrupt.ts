/**
 * Entries that failed their checks: in their place stands a gap with that cause, at the entry's own
 * position, so that readers of the journal are told and none takes the next frame for the one it follows.
 */
import { gapInPlace } from '@canopy/encoding';
import {
  type GapRecord,
  type GroupId,
  type JournalEntry,
  type JournalPosition,
  asTime,
  comparePositions,
} from '@canopy/model';

/** An entry as it was read, or the place of one that cannot be. */
export type ReadEntry =
  | JournalEntry
  | { readonly corruptAt: JournalPosition; readonly why: string };

/** Of a layout, a tile's extent or a block's record that is gone: which time its samples had, nobody can know. */
export const timelessGap = (group: GroupId): GapRecord => ({
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
  let last: JournalPosition | undefined;
  return read.map((each, i) => {
    if (isWhole(each)) return (last = before = each);
    const next = read.slice(i + 1).find(isWhole);
    const at = placeBetween(each.corruptAt, last, next);
    const { gap, entry } = gapInPlace(at, before, next);
    report(at, each.why, gap);
    last = entry;
    return entry;
  });
}

/** What is damaged may be the place itself: positions ascend all the same. */
function placeBetween(
  at: JournalPosition,
  before: JournalPosition | undefined,
  after: JournalPosition | undefined,
): JournalPosition {
  const isAfter = before === undefined || comparePositions(before, at) < 0;
  const isBefore = after === undefined || comparePositions(at, after) < 0;
  if (isAfter && isBefore) return at;
  if (before !== undefined) return { epoch: before.epoch, sequence: before.sequence + 1 };
  return { epoch: after!.epoch, sequence: Math.max(0, after!.sequence - 1) };
}
