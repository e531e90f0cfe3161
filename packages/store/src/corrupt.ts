/**
 * Entries that failed their checks: in their place stands a gap with that cause, at the entry's own
 * position, so that readers of the journal are told and none takes the next frame for the one it follows.
 */
import { gapInPlace } from '@canopy/encoding';
import {
  EntryKind,
  type GapRecord,
  type GroupId,
  type JournalEntry,
  type JournalPosition,
  type ReadLimits,
  asTime,
  comparePositions,
  parseLedger,
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

/** Entries of one journal, as a store has them. */
export interface EntrySource {
  /** As `Store.readEntries`, with corrupt ones as such. */
  read(after: JournalPosition, limits: ReadLimits): Promise<ReadEntry[]>;
  /** The journal's ledger, as it was stored last; '' where there is none. */
  ledger(): Promise<string>;
}

/** Sequences before, and entries after what is read, among which the neighbours of corrupt ones are looked for. */
const NEIGHBOURS = { maxEntries: 64, maxBytes: 1 << 20 };

const isWhole = (each: ReadEntry): each is JournalEntry => !('corruptAt' in each);
const isFrame = (each: ReadEntry): each is JournalEntry =>
  isWhole(each) && each.kind === EntryKind.frame;

/** As `Store.readEntries`: with gaps in the places of corrupt entries; `report` is told of each. */
export async function readFilled(
  source: EntrySource,
  after: JournalPosition,
  limits: ReadLimits,
  report: (at: JournalPosition, why: string, gap: GapRecord) => void,
): Promise<JournalEntry[]> {
  const read = await source.read(after, limits);
  if (read.every(isWhole)) return read;
  const { epoch, sequence } = after;
  const earlier = { epoch, sequence: Math.max(0, sequence - NEIGHBOURS.maxEntries) };
  const isEarlier = (each: JournalEntry): boolean => comparePositions(each, after) <= 0;
  const lead = (await source.read(earlier, NEIGHBOURS)).filter(isFrame).filter(isEarlier);
  // Read anew from there: the place of a corrupt one may be what is damaged.
  const rest = await source.read(read.findLast(isWhole) ?? after, NEIGHBOURS);
  const ledger = parseLedger(await source.ledger());
  let before = lead.at(-1);
  let last: JournalPosition | undefined;
  return read.map((each, i) => {
    if (isFrame(each)) before = each;
    if (isWhole(each)) return (last = each);
    const following = [...read.slice(i + 1), ...rest];
    const at = placeBetween(each.corruptAt, last, following.find(isWhole));
    const { gap, entry } = gapInPlace(at, { before, after: following.find(isFrame) }, ledger);
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
