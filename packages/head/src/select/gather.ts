/** Columns of one group in a stretch of time, wherever they lie. */
import type { TileReader } from '@canopy/encoding';
import {
  FormatError,
  type JournalRef,
  SampleState,
  type TileMeta,
  type TimeRange,
} from '@canopy/model';
import type { DecodedTile } from '../archive/column-cache.js';
import type { Group, GroupPin } from '../group/group.js';
import type { LooseColumn } from '../group/loose-log.js';
import { DecodedPiece, type Piece, SHORT, TilePiece } from '../group/piece.js';
import type { Tile } from '../group/tile.js';
import type { PinSet } from './pins.js';

/** Groups without an interval: a series is gone after PromQL's usual lookback. Milliseconds. */
const RUN_BREAK_UNKNOWN = 300_000;

/** A group as one snapshot sees it. */
export interface Source {
  readonly group: Group;
  readonly pin: GroupPin;
  /** Version of the archive's catalogue that it sees. */
  readonly version: number;
  /** Extent of what it sees, what is mounted of blocks included. */
  readonly minTime: number;
  readonly lastTime: number;
}

/** A group that the snapshot sees something of. */
export interface Known extends Source {
  /** In the range, or so near that it matters there. */
  readonly near: boolean;
}

/** A silence longer than this ends a run of samples. Milliseconds. */
export const runBreakOf = ({ meta }: Group): number =>
  meta.interval > 0 ? meta.interval * 2 : RUN_BREAK_UNKNOWN;

/** `version`: of the archive's catalogue. Null where the snapshot sees nothing of the group at all. */
export function lookAt(
  group: Group,
  pins: PinSet,
  version: number,
  range: TimeRange,
): Known | null {
  // A copy: a group that has not changed yet may do so before all of it is read.
  const { rowCount, lastTime: pinnedTime, ended } = pins.view(group);
  const pin: GroupPin = { rowCount, lastTime: pinnedTime, ended };
  let lastTime = pinnedTime;
  let { minTime } = group;
  for (const { meta, archived } of group.archived) {
    if (!archived!.isSeen(version)) continue;
    lastTime = Math.max(lastTime, meta.maxTime);
    minTime = Math.min(minTime, meta.minTime);
  }
  if (lastTime === Number.NEGATIVE_INFINITY) return null;
  const margin = runBreakOf(group);
  const near = lastTime >= range.minTime - margin && minTime <= range.maxTime + margin;
  return { group, pin, version, minTime, lastTime, near };
}

/** Tiles that have been read back from the store for this select. */
export type ColdTiles = ReadonlyMap<Tile, TileReader>;

/** What a select counts. */
export interface ReadCounts {
  tilesRead: number;
  tilesUnreadable: number;
  samplesHidden: number;
  /** A tile failed its checks. */
  onTileCorrupt(ref: JournalRef, tile: Tile): void;
}

/** Rows (samples) of a tile that a snapshot sees; those from before this process all. */
function visibleRows(tile: Tile, pin: GroupPin): number {
  return tile.startRow < 0 ? Number.POSITIVE_INFINITY : pin.rowCount - tile.startRow;
}

/** Tiles of a source that have something in [minTime, maxTime], in order, each frame in one of them. */
export function tilesIn(source: Source, minTime: number, maxTime: number): Tile[] {
  const { group, pin, version } = source;
  const isIn = ({ meta }: Tile): boolean => meta.maxTime >= minTime && meta.minTime <= maxTime;
  const own: Tile[] = [];
  for (const tile of group.tiles) {
    if (isIn(tile) && visibleRows(tile, pin) > 0) own.push(tile);
  }
  if (group.archived.length === 0) return own;
  const archived = group.archived.filter((tile) => isIn(tile) && tile.archived!.isSeen(version));
  // A tile may be in memory and in a block; in a merged block as a part of a longer one. What has left
  // memory is read in the block: where it lay before, it may be gone.
  const kept = own.filter(({ meta, bytes, inBlock }) => {
    const isAway = bytes === null && inBlock;
    return !archived.some((tile) => isPart(meta, tile.meta, isAway));
  });
  for (const tile of archived) {
    const { firstSequence, lastSequence } = tile.meta;
    const isOwn = kept.some(
      ({ meta }) => meta.firstSequence === firstSequence && meta.lastSequence === lastSequence,
    );
    if (!isOwn) kept.push(tile);
  }
  return kept.sort((a, b) => a.meta.firstSequence - b.meta.firstSequence);
}

/** Whether a tile is a part of another one; all of it only counts with `orAll`. */
function isPart(part: TileMeta, whole: TileMeta, orAll: boolean): boolean {
  const { firstSequence: first, lastSequence: last } = whole;
  if (part.firstSequence < first || part.lastSequence > last) return false;
  return orAll || part.firstSequence > first || part.lastSequence < last;
}

/** Undefined, and counted, where a tile cannot be read, or has slots of which no layout tells: half a scrape is none. */
function openTile(
  { group }: Source,
  tile: Tile,
  cold: ColdTiles,
  counts: ReadCounts,
): TileReader | undefined {
  try {
    const reader = tile.reader() ?? cold.get(tile);
    if (reader === undefined || reader.slotCount <= group.layout.slotCount) return reader;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  counts.tilesUnreadable++;
  counts.onTileCorrupt(group.ref, tile);
  return undefined;
}

/** Pieces of an aligned group, in order of time. `tiles`: those of `tilesIn`; `decoded` gives what is kept of a tile's columns. */
export function alignedPieces(
  source: Source,
  tiles: readonly Tile[],
  minTime: number,
  maxTime: number,
  cold: ColdTiles,
  counts: ReadCounts,
  decoded: (reader: TileReader) => DecodedTile | null,
): Piece[] {
  const pieces: Piece[] = [];
  for (const tile of tiles) {
    const reader = openTile(source, tile, cold, counts);
    if (reader === undefined) continue;
    const rows = visibleRows(tile, source.pin);
    const known = decoded(reader);
    if (known === null) pieces.push(new TilePiece(reader, rows));
    else {
      const times = reader.times();
      const from = lowerBound(times, minTime);
      const to = Math.min(rows, upperBound(times, maxTime));
      if (from < to) pieces.push(new DecodedPiece(known, from, to));
    }
  }
  const { sealed, aligned } = source.group;
  const { rowCount } = source.pin;
  sealed?.pieces(minTime, maxTime, rowCount - sealed.start.row, pieces);
  aligned?.pieces(minTime, maxTime, rowCount - aligned.start.row, pieces);
  return pieces;
}

/** The times of pieces one after another: one array for all series that are read from them. */
export function joinTimes(pieces: readonly Piece[]): Float64Array {
  if (pieces.length === 1) {
    const [{ times, from, count }] = pieces;
    return count === times.length ? times : times.subarray(from, from + count);
  }
  let total = 0;
  for (const { count } of pieces) total += count;
  const joined = new Float64Array(total);
  let offset = 0;
  for (const { times, from, count } of pieces) {
    // Fast path: as with values, a view costs more than to copy a few.
    if (count < SHORT) for (let i = 0; i < count; i++) joined[offset + i] = times[from + i];
    else joined.set(times.subarray(from, from + count), offset);
    offset += count;
  }
  return joined;
}

/**
 * Reads one slot from pieces, from entry `offset` on; states, which come filled with `value`, where they are others.
 * Returns whether all are values.
 */
export function readPieces(
  pieces: readonly Piece[],
  slot: number,
  values: Float64Array,
  states: Uint8Array,
  offset: number,
  counts: ReadCounts,
): boolean {
  let allValues = true;
  let at = offset;
  for (const piece of pieces) {
    try {
      if (!piece.read(slot, values, states, at)) allValues = false;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      counts.tilesUnreadable++;
      states.fill(SampleState.none, at, at + piece.count);
      allValues = false;
    }
    at += piece.count;
  }
  return allValues;
}

/** One slot of a loose group, in order of time; of samples of one time the first that came. */
export function looseColumn(
  source: Source,
  slot: number,
  minTime: number,
  maxTime: number,
  cold: ColdTiles,
  counts: ReadCounts,
): LooseColumn {
  const parts: LooseColumn[] = [];
  for (const tile of tilesIn(source, minTime, maxTime)) {
    if (tile.log !== null) {
      parts.push(tile.log.column(slot, visibleRows(tile, source.pin)));
      continue;
    }
    const reader = openTile(source, tile, cold, counts);
    if (reader === undefined || slot >= reader.slotCount) continue;
    try {
      parts.push(reader.readLooseSlot(slot));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      counts.tilesUnreadable++;
    }
  }
  const log = source.group.loose;
  if (log !== null) parts.push(log.column(slot, source.pin.rowCount - log.startEntry));
  return parts.length === 1 ? parts[0] : sortParts(parts);
}

function sortParts(parts: readonly LooseColumn[]): LooseColumn {
  const order: Array<readonly [part: LooseColumn, index: number]> = [];
  for (const part of parts) for (let i = 0; i < part.times.length; i++) order.push([part, i]);
  // Stable: of one time, the sample that came first stays first.
  order.sort(([a, i], [b, j]) => a.times[i] - b.times[j]);
  const kept = order.filter(
    ([part, i], at) => at === 0 || order[at - 1][0].times[order[at - 1][1]] !== part.times[i],
  );
  return {
    times: Float64Array.from(kept, ([part, i]) => part.times[i]),
    values: Float64Array.from(kept, ([part, i]) => part.values[i]),
    states: Uint8Array.from(kept, ([part, i]) => part.states[i]),
  };
}

/** First index with `times[index] >= time`. */
export function lowerBound(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** First index with `times[index] > time`. */
export function upperBound(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
