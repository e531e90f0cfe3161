/** Makes a block of the tiles of one window. */
import { TileReader, decodeLayout, entryPayload, joinLayouts } from '@canopy/encoding';
import {
  type BlockMeta,
  type BlockTile,
  FormatError,
  type JournalEntry,
  type JournalRef,
  type Milliseconds,
  type Store,
  type TileMeta,
} from '@canopy/model';
import { type BlockWriter, type Pause, compareTiles } from './block-writer.js';

/** Read from the store in one call. */
const READ_TILES = 256;
const READ_BYTES = 4 * 1024 * 1024;

export interface SealedTiles {
  readonly meta: BlockMeta | null;
  /** Where each tile lies that could be read. */
  readonly placed: ReadonlyArray<{ readonly meta: TileMeta; readonly position: number }>;
  /** Tiles that were gone, failed their checks or have no layout. */
  readonly unreadable: readonly TileMeta[];
}

/** Writes the block; who sees it is the caller's business. `meta` null where no tile could be read. */
export async function sealTiles(
  store: Store,
  ref: JournalRef,
  tiles: readonly TileMeta[],
  window: { readonly from: Milliseconds; readonly to: Milliseconds },
  writer: BlockWriter,
  pause: Pause,
): Promise<SealedTiles> {
  const layouts = byGroup(await store.readLayouts(ref));
  const sorted = [...tiles].sort(compareTiles);
  const placed: Array<{ meta: TileMeta; position: number }> = [];
  const unreadable: TileMeta[] = [];
  let done: BlockTile[] = [];
  for (let from = 0; from < sorted.length; ) {
    const some = batch(sorted, from);
    const read = await store.readTiles(ref, some);
    for (const [i, meta] of some.entries()) {
      await pause.take();
      const bytes = read[i];
      if (bytes !== undefined && layouts.has(keyOf(meta)) && isSound(bytes)) {
        const tile = await writer.addTile(meta, bytes);
        placed.push({ meta, position: tile.position });
        done.push(tile);
      } else unreadable.push(meta);
      const next = sorted[from + i + 1];
      if (next !== undefined && keyOf(next) === keyOf(meta)) continue;
      if (done.length > 0) addGroup(writer, layouts.get(keyOf(meta))!, done);
      done = [];
    }
    from += some.length;
  }
  const meta = await writer.end(window.from, window.to);
  return { meta, placed, unreadable };
}

function batch(tiles: readonly TileMeta[], from: number): TileMeta[] {
  let to = from;
  let bytes = 0;
  while (to < tiles.length && to - from < READ_TILES && bytes < READ_BYTES) {
    bytes += tiles[to++].byteLength;
  }
  return tiles.slice(from, to);
}

/** Layouts made after the last tile say nothing of it. */
function addGroup(
  writer: BlockWriter,
  entries: readonly JournalEntry[],
  tiles: readonly BlockTile[],
): void {
  const { lastSequence } = tiles[tiles.length - 1];
  const known = entries.filter((entry, i) => i === 0 || entry.sequence <= lastSequence);
  const records = known.map((entry) => ({
    layout: decodeLayout(entryPayload(entry)),
    time: entry.time,
  }));
  writer.addGroup({ epoch: entries[0].epoch, ...joinLayouts(records), tiles });
}

function isSound(bytes: Uint8Array): boolean {
  try {
    return new TileReader(bytes).slotCount >= 0;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return false;
  }
}

const keyOf = ({ epoch, group }: { epoch: number; group: number }): string => `${epoch}-${group}`;

/** In order of version. */
function byGroup(entries: readonly JournalEntry[]): Map<string, JournalEntry[]> {
  const groups = new Map<string, JournalEntry[]>();
  for (const entry of entries) {
    const list = groups.get(keyOf(entry));
    if (list === undefined) groups.set(keyOf(entry), [entry]);
    else list.push(entry);
  }
  return groups;
}
