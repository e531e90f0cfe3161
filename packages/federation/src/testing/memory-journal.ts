/** What the store in memory has of one journal, and how parts of it are damaged. */
import { decodeEntry } from '@canopy/encoding';
import {
  type BlockId,
  type BlockMeta,
  FormatError,
  JOURNAL_START,
  type JournalEntry,
  type JournalPosition,
  type StoredTile,
} from '@canopy/model';

export interface MemoryJournal {
  position: JournalPosition;
  trimmed: JournalPosition;
  cursor: string;
  ledger: string;
  entries: JournalEntry[];
  layouts: JournalEntry[];
  tiles: Map<string, StoredTile>;
  blocks: {
    next: BlockId;
    finished: Map<BlockId, BlockMeta>;
    /** When they were replaced. */
    gone: Map<BlockId, number>;
    /** Chunks of all of them, and of one that is being built. */
    bytes: Map<BlockId, Uint8Array[]>;
  };
}

/** What can be damaged where it lies. */
export type AtRest = 'tile' | 'block' | 'layout';
/** Damaged bytes in the place of what is given, which stays as it is: copies of the store have it, too. */
export type Spoil = (bytes: Uint8Array) => Uint8Array;
/** One of so many. */
export type Pick = (count: number) => number;

/** With lists of its own; what is in them nobody changes. */
export const copyOf = (journal: MemoryJournal): MemoryJournal => ({
  ...journal,
  entries: [...journal.entries],
  layouts: [...journal.layouts],
  tiles: new Map(journal.tiles),
  blocks: {
    next: journal.blocks.next,
    finished: new Map(journal.blocks.finished),
    gone: new Map(journal.blocks.gone),
    bytes: new Map(journal.blocks.bytes),
  },
});

/**
 * Damages a tile, a chunk of a block or a kept layout where it lies: whoever has read it before knows nothing of it.
 * Returns its place, for people; undefined where the journal has none.
 */
export function damageJournal(
  { tiles, layouts, blocks, entries }: MemoryJournal,
  what: AtRest,
  pick: Pick,
  spoil: Spoil,
): string | undefined {
  if (what === 'tile') {
    const place = oneOf([...tiles.keys()], pick);
    const tile = place === undefined ? undefined : tiles.get(place);
    if (tile !== undefined) tiles.set(place!, { ...tile, bytes: spoil(tile.bytes) });
    return place;
  }
  if (what === 'block') {
    const id = oneOf([...blocks.finished.keys()], pick);
    const chunks = id === undefined ? [] : [...blocks.bytes.get(id)!];
    if (chunks.length === 0) return undefined;
    const chunk = pick(chunks.length);
    chunks[chunk] = spoil(chunks[chunk]);
    blocks.bytes.set(id!, chunks);
    return `${id} chunk ${chunk}`;
  }
  const layout = oneOf(layouts, pick);
  if (layout === undefined) return undefined;
  const damaged = { ...layout, bytes: spoil(layout.bytes) };
  // One record, that the journal points to.
  for (const list of [layouts, entries]) {
    const at = list.indexOf(layout);
    if (at >= 0) list[at] = damaged;
  }
  return `${layout.epoch}-${layout.group}-${layout.sequence}`;
}

const oneOf = <T>(all: readonly T[], pick: Pick): T | undefined =>
  all.length === 0 ? undefined : all[pick(all.length)];

export function withFlippedBit(entry: JournalEntry): JournalEntry {
  const bytes = entry.bytes.slice();
  bytes[8] ^= 1;
  return { ...entry, bytes };
}

export function isWhole({ epoch, sequence, bytes }: JournalEntry): boolean {
  try {
    decodeEntry(epoch, sequence, bytes);
    return true;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return false;
  }
}

export function emptyJournal(): MemoryJournal {
  return {
    position: JOURNAL_START,
    trimmed: JOURNAL_START,
    cursor: '',
    ledger: '',
    entries: [],
    layouts: [],
    tiles: new Map(),
    blocks: { next: 1, finished: new Map(), gone: new Map(), bytes: new Map() },
  };
}
