/** Where a tile stands in its journal. */
import type { JournalPosition, TileMeta } from '@canopy/model';

/** The same for the same tile, and for no other of its journal. */
export const nameOf = ({ epoch, group, firstSequence }: TileMeta): string =>
  `${epoch}-${group}-${firstSequence}`;

export const firstOf = ({ epoch, firstSequence }: TileMeta): JournalPosition => ({
  epoch,
  sequence: firstSequence,
});

export const lastOf = ({ epoch, lastSequence }: TileMeta): JournalPosition => ({
  epoch,
  sequence: lastSequence,
});
