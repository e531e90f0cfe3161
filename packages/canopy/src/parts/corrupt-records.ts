/** What is said of tiles and blocks that fail their checks, and of the time that is missing for them. */
import {
  type BlockMeta,
  type GapRecord,
  type GroupId,
  type JournalRef,
  type TileMeta,
  asTime,
} from '@canopy/model';
import type { CorruptRecord } from '@canopy/store';

export function corruptTile(journal: JournalRef, meta: TileMeta): CorruptRecord {
  const { epoch, group, firstSequence } = meta;
  const place = `${epoch}-${group}-${firstSequence}`;
  const message = 'the tile fails its checks';
  return { journal, what: 'tile', place, message, gap: gapOf(group, meta) };
}

export function corruptBlock(journal: JournalRef, meta: BlockMeta): CorruptRecord {
  const message = 'the index of the block fails its checks';
  return { journal, what: 'block', place: `block ${meta.id}`, message, gap: gapOf(0, meta) };
}

/** Group 0: of all. */
function gapOf(
  group: GroupId,
  { minTime, maxTime }: Pick<TileMeta, 'minTime' | 'maxTime'>,
): GapRecord {
  const times = { from: asTime(minTime - 1), to: asTime(maxTime + 1) };
  return { group, ...times, cause: 'corrupt', frames: -1 };
}
