/** Makes one block of several: the index once, short tiles joined to longer ones. */
import { BlockIndex, TileJoin, TileReader } from '@canopy/encoding';
import {
  type BlockId,
  type BlockMeta,
  type BlockTile,
  CanopyError,
  FormatError,
  type JournalRef,
  type Milliseconds,
  type Store,
  type TileMeta,
} from '@canopy/model';
import type { BlockWriter, Pause } from './block-writer.js';

/** Frames of a joined tile: two hours at 15 s. Longer ones would make short ranges read more. */
const JOINED_FRAMES_MAX = 480;
const SLOTS_AT_ONCE = 32;
/** Tiles read from the store in one call. */
const READ_BYTES = 4 * 1024 * 1024;

interface GroupPlace {
  readonly block: BlockId;
  readonly index: BlockIndex;
  readonly number: number;
}

/** A tile and the block it is in. */
interface Part {
  readonly block: BlockId;
  readonly tile: BlockTile;
}

export interface MergeProgress {
  groups: number;
  groupsDone: number;
  /** Tiles that fail their checks. */
  readonly unreadable: TileMeta[];
}

/**
 * Writes the block; who sees it is the caller's business. Tiles that fail their checks are left out.
 * @throws DamagedBlock where an index cannot be read: then nothing may be replaced.
 */
export async function mergeBlocks(
  store: Store,
  ref: JournalRef,
  blocks: readonly BlockMeta[],
  window: { readonly from: Milliseconds; readonly to: Milliseconds },
  writer: BlockWriter,
  pause: Pause,
  progress: MergeProgress,
): Promise<BlockMeta | null> {
  const places = await groupPlaces(store, ref, blocks);
  const groups = [...places.values()];
  progress.groups = groups.length;
  for (let from = 0; from < groups.length; ) {
    const lists: Part[][] = [];
    let bytes = 0;
    while (from + lists.length < groups.length && (lists.length === 0 || bytes < READ_BYTES)) {
      const parts = partsOf(groups[from + lists.length]);
      for (const { tile } of parts) bytes += tile.byteLength;
      lists.push(parts);
    }
    const pieces = lists.flat().map(({ block, tile: { position, byteLength } }) => ({
      ...{ block, position, byteLength },
    }));
    const read = await store.readBlocks(ref, pieces);
    let at = 0;
    for (const [i, parts] of lists.entries()) {
      const own = read.slice(at, at + parts.length);
      at += parts.length;
      await mergeGroup(groups[from + i], parts, own, writer, pause, progress);
      progress.groupsDone++;
    }
    from += lists.length;
  }
  return writer.end(window.from, window.to);
}

/** By (epoch, group), ascending. */
async function groupPlaces(
  store: Store,
  ref: JournalRef,
  blocks: readonly BlockMeta[],
): Promise<Map<string, GroupPlace[]>> {
  const pieces = blocks.map(({ id, tileBytes, indexBytes }) => ({
    ...{ block: id, position: tileBytes, byteLength: indexBytes },
  }));
  const read = await store.readBlocks(ref, pieces);
  const all = blocks.flatMap(({ id }, i): GroupPlace[] => {
    const bytes = read[i];
    if (bytes === undefined) throw new DamagedBlock(ref, id);
    const index = openIndex(bytes, ref, id);
    return Array.from({ length: index.groupCount }, (_, number) => ({ block: id, index, number }));
  });
  all.sort(
    (a, b) =>
      a.index.epoch(a.number) - b.index.epoch(b.number) ||
      a.index.group(a.number) - b.index.group(b.number),
  );
  const places = new Map<string, GroupPlace[]>();
  for (const place of all) {
    const key = `${place.index.epoch(place.number)}-${place.index.group(place.number)}`;
    const list = places.get(key);
    if (list === undefined) places.set(key, [place]);
    else list.push(place);
  }
  return places;
}

/** Tiles of a group in order; frames that two tiles have count once, in the first. */
function partsOf(places: readonly GroupPlace[]): Part[] {
  const parts = places.flatMap(({ block, index, number }) =>
    index.tiles(number).map((tile): Part => ({ block, tile })),
  );
  parts.sort((a, b) => a.tile.firstSequence - b.tile.firstSequence);
  let last = -1;
  return parts.filter(({ tile }) => {
    if (tile.firstSequence <= last) return false;
    last = tile.lastSequence;
    return true;
  });
}

async function mergeGroup(
  places: readonly GroupPlace[],
  parts: readonly Part[],
  read: ReadonlyArray<Uint8Array | undefined>,
  writer: BlockWriter,
  pause: Pause,
  progress: MergeProgress,
): Promise<void> {
  const tiles: BlockTile[] = [];
  let run: Array<{ tile: BlockTile; reader: TileReader; bytes: Uint8Array }> = [];
  let frames = 0;
  const close = async (): Promise<void> => {
    if (run.length > 0) tiles.push(await addRun(run, writer, pause));
    run = [];
    frames = 0;
  };
  for (const [i, { tile }] of parts.entries()) {
    const bytes = read[i];
    const reader = bytes === undefined ? undefined : openTile(bytes);
    if (bytes === undefined || reader === undefined) {
      const { index, number } = places[0];
      progress.unreadable.push({ epoch: index.epoch(number), group: index.group(number), ...tile });
      continue;
    }
    const isJoined = reader.kind === 'aligned' && frames + reader.count <= JOINED_FRAMES_MAX;
    if (!isJoined) await close();
    run.push({ tile, reader, bytes });
    frames += reader.count;
    if (reader.kind === 'loose') await close();
  }
  await close();
  // The newest layout has all that the ones before it had.
  const layouts = places.map(({ index, number }) => index.layout(number));
  const newest = layouts.reduce((a, b) => (b.layout.version > a.layout.version ? b : a));
  writer.addGroup({ epoch: places[0].index.epoch(places[0].number), ...newest, tiles });
}

async function addRun(
  run: ReadonlyArray<{ tile: BlockTile; reader: TileReader; bytes: Uint8Array }>,
  writer: BlockWriter,
  pause: Pause,
): Promise<BlockTile> {
  const [first, last] = [run[0].tile, run[run.length - 1].tile];
  const extent = {
    ...{ firstSequence: first.firstSequence, lastSequence: last.lastSequence },
    ...{ minTime: first.minTime, maxTime: last.maxTime },
  };
  if (run.length === 1) return writer.addTile(extent, run[0].bytes);
  const join = new TileJoin(run.map(({ reader }) => reader));
  for (;;) {
    await pause.take();
    const bytes = join.step(SLOTS_AT_ONCE);
    if (bytes !== null) return writer.addTile(extent, bytes);
  }
}

function openTile(bytes: Uint8Array): TileReader | undefined {
  try {
    return new TileReader(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

function openIndex(bytes: Uint8Array, ref: JournalRef, block: BlockId): BlockIndex {
  try {
    return new BlockIndex(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new DamagedBlock(ref, block);
  }
}

export class DamagedBlock extends CanopyError {
  readonly block: BlockId;

  constructor(ref: JournalRef, block: BlockId) {
    super('storage_corrupt', `the index of block ${block} of ${ref} is damaged`);
    this.block = block;
  }
}
