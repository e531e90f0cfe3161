/** One select: from series numbers to columns. */
import {
  FormatError,
  type JournalRef,
  SampleState,
  type SelectedSeries,
  type TileMeta,
  type TimeRange,
} from '@canopy/model';
import { TileReader } from '@canopy/encoding';
import type { ColumnCache, DecodedTile } from '../archive/column-cache.js';
import type { TileCache } from '../archive/tile-cache.js';
import type { Group } from '../group/group.js';
import type { Piece } from '../group/piece.js';
import type { Tile } from '../group/tile.js';
import type { TileSource } from '../options.js';
import type { Origins } from '../series/origins.js';
import type { SeriesIndex } from '../series/series-index.js';
import type { Breath } from './breath.js';
import {
  type Known,
  type ReadCounts,
  type Source,
  alignedPieces,
  joinTimes,
  lookAt,
  looseColumn,
  lowerBound,
  readPieces,
  runBreakOf,
  tilesIn,
  upperBound,
} from './gather.js';
import { type OriginColumn, mergeOrigins } from './merge.js';
import type { PinSet } from './pins.js';

/** What a select reads from. */
export interface SelectInput {
  readonly series: SeriesIndex;
  readonly origins: Origins;
  /** By handle; undefined where a group has gone. */
  readonly groups: ReadonlyArray<Group | undefined>;
  readonly tileSource: TileSource | null;
  readonly tileCache: TileCache;
  readonly columnCache: ColumnCache;
  readonly counts: ReadCounts;
}

/** Encoded tiles read back from the store at a time. */
const COLD_BYTES_MAX = 16 << 20;
/** Entries of one allocation that columns are cut from: 1 MiB of values. */
const SLAB_ENTRIES = 1 << 17;
/** Series that have their samples in the same groups. */
interface Bucket {
  /** By time of their oldest sample. */
  readonly sources: readonly Source[];
  readonly refs: number[];
  /** `sources.length` slots a series, in the order of `sources`. */
  readonly slots: number[];
  /** Newest time of all groups that have the series, also of those out of reach. */
  readonly newestTime: number;
}

/** Where the reading of a bucket stands whose groups come one after the other. */
interface AlignedReading {
  readonly bucket: Bucket;
  /** Of each source. */
  readonly parts: readonly Piece[][];
  /** Of all parts; those in the range are [from, to). */
  readonly times: Float64Array;
  readonly from: number;
  readonly to: number;
  /** Series to read, and those that have been. */
  readonly todo: number;
  done: number;
}

export class Selection {
  readonly #input: SelectInput;
  readonly #pins: PinSet;
  readonly #range: TimeRange;
  readonly #version: number;
  readonly #breath: Breath;
  readonly #onRead: ((entries: number) => void) | undefined;
  readonly #known = new Map<number, Known | null>();
  readonly #out: SelectedSeries[] = [];
  /** The series of each answer. */
  readonly refs: number[] = [];
  /** Of decoded columns that are kept. */
  #entries = 0;
  #cold = new Map<Tile, TileReader>();
  readonly #slab = new Slab();
  /** Series that are not read yet. */
  #left = 0;

  /** `version`: of the archive's catalogue. */
  constructor(
    input: SelectInput,
    pins: PinSet,
    version: number,
    range: TimeRange,
    breath: Breath,
    onRead?: (entries: number) => void,
  ) {
    this.#onRead = onRead;
    this.#version = version;
    this.#input = input;
    this.#pins = pins;
    this.#range = range;
    this.#breath = breath;
  }

  async run(refs: Uint32Array): Promise<SelectedSeries[]> {
    const buckets = await this.#plan(refs);
    this.#left = refs.length;
    // Fast path: many groups may have a series each, so there is no promise where nothing is waited for.
    for (let i = 0; i < buckets.length; i++) {
      const bucket = buckets[i];
      if (this.#breath.due) await this.#breath.take();
      let tiles = this.#tiles(bucket);
      if (this.#isMissing(tiles)) {
        await this.#fetchCold(buckets, i);
        tiles = this.#tiles(bucket);
      }
      const { sources } = bucket;
      if (sources.every(isAligned) && follow(bucket)) {
        const reading = this.#alignedReading(bucket, tiles);
        while (reading.done < reading.todo) {
          if (this.#breath.due) await this.#breath.take();
          this.#readAligned(reading);
        }
      } else {
        await this.#readMerged(bucket);
      }
      this.#left -= bucket.refs.length;
    }
    this.#input.columnCache.trim();
    return this.#out;
  }

  async #plan(refs: Uint32Array): Promise<Bucket[]> {
    const { origins } = this.#input;
    const buckets = new Map<number | string, Bucket>();
    const columns: Array<[known: Known, slot: number]> = [];
    for (let i = 0; i < refs.length; i++) {
      if ((i & 1023) === 1023) await this.#breath.take();
      const first = origins.first(refs[i]);
      if (first < 0) continue;
      // Fast path: nearly all series have one origin.
      if (origins.next(first) < 0) {
        this.#planAlone(buckets, refs[i], origins.group(first), origins.slot(first));
        continue;
      }
      columns.length = 0;
      for (let at = first; at >= 0; at = origins.next(at)) {
        const known = this.#group(origins.group(at));
        const slot = origins.slot(at);
        if (known?.group.layout.isSeen(slot, known.pin.rowCount)) columns.push([known, slot]);
      }
      if (!columns.some(([{ near }]) => near)) continue;
      if (columns.length > 1) columns.sort(([a], [b]) => a.minTime - b.minTime);
      const key =
        columns.length === 1
          ? columns[0][0].group.handle
          : columns.map(([{ group }]) => group.handle).join();
      let bucket = buckets.get(key);
      if (bucket === undefined) buckets.set(key, (bucket = newBucket(columns)));
      bucket.refs.push(refs[i]);
      for (const [{ near }, slot] of columns) if (near) bucket.slots.push(slot);
    }
    return [...buckets.values()];
  }

  #planAlone(
    buckets: Map<number | string, Bucket>,
    ref: number,
    handle: number,
    slot: number,
  ): void {
    const known = this.#group(handle);
    if (known === null || !known.near) return;
    if (!known.group.layout.isSeen(slot, known.pin.rowCount)) return;
    let bucket = buckets.get(handle);
    if (bucket === undefined) {
      bucket = { sources: [known], refs: [], slots: [], newestTime: known.lastTime };
      buckets.set(handle, bucket);
    }
    bucket.refs.push(ref);
    bucket.slots.push(slot);
  }

  /** Null where the snapshot sees nothing of the group at all. */
  #group(handle: number): Known | null {
    let known = this.#known.get(handle);
    if (known === undefined) {
      const group = this.#input.groups[handle];
      known = group === undefined ? null : lookAt(group, this.#pins, this.#version, this.#range);
      this.#known.set(handle, known);
    }
    return known;
  }

  /** Reads tiles of the bucket that only the store has, and of the next ones while there is room. */
  async #fetchCold(buckets: readonly Bucket[], from: number): Promise<void> {
    const { tileSource, counts } = this.#input;
    if (tileSource === null) return;
    const byRef = new Map<JournalRef, Set<Tile>>();
    const before = this.#cold;
    this.#cold = new Map();
    let bytes = 0;
    for (let i = from; i < buckets.length && (i === from || bytes < COLD_BYTES_MAX); i++) {
      for (const [ref, tile] of this.#missing(buckets[i])) {
        const known = before.get(tile);
        if (known !== undefined) {
          this.#cold.set(tile, known);
          continue;
        }
        let tiles = byRef.get(ref);
        if (tiles === undefined) byRef.set(ref, (tiles = new Set()));
        tiles.add(tile);
        bytes += tile.meta.byteLength;
      }
    }
    for (const [ref, tiles] of byRef) {
      await this.#readTiles(ref, [...tiles]);
      this.#breath.signal?.throwIfAborted();
    }
    for (const tiles of byRef.values()) {
      for (const tile of tiles) {
        if (this.#cold.has(tile)) counts.tilesRead++;
        else counts.tilesUnreadable++;
      }
    }
  }

  /** What a block has got meanwhile is read there. */
  async #readTiles(ref: JournalRef, tiles: readonly Tile[]): Promise<void> {
    const { tileCache, tileSource } = this.#input;
    const { forgets } = tileCache;
    const asked = tiles.filter((tile) => {
      const reader = tileCache.get(ref, tile);
      if (reader !== undefined) this.#cold.set(tile, reader);
      return reader === undefined;
    });
    const alone = asked.filter(({ place }) => place === null);
    if (alone.length > 0) {
      const metas: TileMeta[] = alone.map((tile) => tile.meta);
      this.#keep(ref, alone, await tileSource!.readTiles(ref, metas), forgets);
    }
    const placed = asked.filter((tile) => tile.place !== null && !this.#cold.has(tile));
    if (placed.length === 0) return;
    const pieces = placed.map(({ place, meta }) => ({ ...place!, byteLength: meta.byteLength }));
    this.#keep(ref, placed, await tileSource!.readBlocks(ref, pieces), forgets);
  }

  #keep(
    ref: JournalRef,
    tiles: readonly Tile[],
    read: ReadonlyArray<Uint8Array | undefined>,
    forgets: number,
  ): void {
    const { tileCache, counts } = this.#input;
    tiles.forEach((tile, i) => {
      const bytes = read[i];
      if (bytes === undefined) return;
      try {
        const reader = new TileReader(bytes);
        this.#cold.set(tile, reader);
        tileCache.add(ref, tile, reader, forgets);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        counts.onTileCorrupt(ref, tile);
      }
    });
  }

  #missing(bucket: Bucket): Array<[JournalRef, Tile]> {
    const missing: Array<[JournalRef, Tile]> = [];
    this.#tiles(bucket).forEach((tiles, k) => {
      for (const tile of tiles) {
        if (this.#isAway(tile)) missing.push([bucket.sources[k].group.ref, tile]);
      }
    });
    return missing;
  }

  #isMissing(tiles: readonly Tile[][]): boolean {
    for (const own of tiles) for (const tile of own) if (this.#isAway(tile)) return true;
    return false;
  }

  #isAway(tile: Tile): boolean {
    return tile.bytes === null && tile.log === null && !this.#cold.has(tile);
  }

  /** Of each source, as they are now: to be used before anything else has its turn. */
  #tiles(bucket: Bucket): Tile[][] {
    const [minTime, maxTime] = this.#reach(bucket);
    return bucket.sources.map((source) => tilesIn(source, minTime, maxTime));
  }

  /** What to read: with several origins beyond the range, so that runs of samples are seen whole. */
  #reach({ sources }: Bucket): [minTime: number, maxTime: number] {
    const { minTime, maxTime } = this.#range;
    if (sources.length === 1) return [minTime, maxTime];
    const margin = Math.max(...sources.map(({ group }) => runBreakOf(group)));
    return [minTime - margin, maxTime + margin];
  }

  /** What is to be read of groups that come one after the other. `tiles`: as `#tiles` has them now. */
  #alignedReading(bucket: Bucket, tiles: readonly Tile[][]): AlignedReading {
    const parts = this.#pieces(bucket.sources, tiles, this.#reach(bucket), bucket.refs.length);
    const times = joinTimes(parts.length === 1 ? parts[0] : parts.flat());
    const from = lowerBound(times, this.#range.minTime);
    const to = upperBound(times, this.#range.maxTime);
    const todo = from < to ? bucket.refs.length : 0;
    return { bucket, parts, times, from, to, todo, done: 0 };
  }

  /** Reads series as long as there is room in the slab, which is made where there is none. */
  #readAligned(reading: AlignedReading): void {
    const { bucket, parts, times, from, to, todo } = reading;
    const { sources, refs, slots } = bucket;
    const { counts } = this.#input;
    const { length } = times;
    const slab = this.#slab;
    const newest = sources[sources.length - 1].group;
    if (!slab.fits(length)) slab.renew(length, this.#left - reading.done);
    for (; reading.done < todo && slab.fits(length); reading.done++) {
      const i = reading.done;
      const start = slab.take(length);
      let offset = start;
      let allValues = true;
      for (let k = 0; k < parts.length; k++) {
        const slot = slots[i * parts.length + k];
        if (!readPieces(parts[k], slot, slab.values, slab.states, offset, counts)) {
          allValues = false;
        }
        for (const piece of parts[k]) offset += piece.count;
      }
      const own = allValues ? null : slab.states.subarray(start, start + length);
      if (own !== null && !hasSample(own, from, to)) continue;
      const slot = slots[(i + 1) * parts.length - 1];
      this.#add(refs[i], newest, slot, times, slab.valuesFrom(start, length), own, from, to);
    }
  }

  /** Of each of some aligned groups, in order of time. */
  #pieces(
    sources: readonly Source[],
    tiles: readonly Tile[][],
    [minTime, maxTime]: readonly [number, number],
    series: number,
  ): Piece[][] {
    const { counts, columnCache } = this.#input;
    const decoded = (reader: TileReader): DecodedTile | null => {
      const entries = this.#entries + series * reader.count;
      if (!columnCache.admits(entries)) return null;
      this.#entries = entries;
      return columnCache.tile(reader);
    };
    return sources.map((source, k) =>
      alignedPieces(source, tiles[k], minTime, maxTime, this.#cold, counts, decoded),
    );
  }

  async #readMerged(bucket: Bucket): Promise<void> {
    const { sources, refs, slots } = bucket;
    const { counts } = this.#input;
    const [minTime, maxTime] = this.#reach(bucket);
    const reads = sources.map((source) => {
      if (source.group.meta.kind === 'loose') {
        return (slot: number) => looseColumn(source, slot, minTime, maxTime, this.#cold, counts);
      }
      const tiles = [tilesIn(source, minTime, maxTime)];
      const [pieces] = this.#pieces([source], tiles, [minTime, maxTime], refs.length);
      const times = joinTimes(pieces);
      return (slot: number) => {
        const values = new Float64Array(times.length);
        const states = new Uint8Array(times.length).fill(SampleState.value);
        const allValues = readPieces(pieces, slot, values, states, 0, counts);
        return { times, values, states: allValues ? null : states };
      };
    });
    let sharedTimes = new Float64Array(0) as Float64Array;
    for (let i = 0; i < refs.length; i++) {
      if ((i & 63) === 0) await this.#breath.take();
      const own = slots.slice(i * sources.length, (i + 1) * sources.length);
      const columns = byPrecedence(sources, own).map((k): OriginColumn => {
        const { group, pin } = sources[k];
        return { ...reads[k](own[k]), runBreak: runBreakOf(group), open: !pin.ended };
      });
      const merged = mergeOrigins(columns, bucket.newestTime);
      counts.samplesHidden += merged.hidden;
      if (sameTimes(sharedTimes, merged.times)) merged.times = sharedTimes;
      sharedTimes = merged.times;
      const from = lowerBound(merged.times, this.#range.minTime);
      const to = upperBound(merged.times, this.#range.maxTime);
      if (from >= to) continue;
      const last = sources.length - 1;
      const { times, values, states } = merged;
      this.#add(refs[i], sources[last].group, own[last], times, values, states, from, to);
    }
  }

  #add(
    ref: number,
    group: Group,
    slot: number,
    times: Float64Array,
    values: Float64Array,
    states: Uint8Array | null,
    from: number,
    to: number,
  ): void {
    const labels = this.#input.series.labels(ref);
    const family = group.layout.family(slot);
    this.#onRead?.(values.length);
    this.refs.push(ref);
    this.#out.push({ labels, family, times, values, states, from, to });
  }
}

/** What columns are cut from: an allocation each would be most of what a group with one series costs. */
class Slab {
  values = new Float64Array(0);
  /** Those not taken yet are `value`. */
  states = new Uint8Array(0);
  #used = 0;

  fits(length: number): boolean {
    return this.#used + length <= this.values.length;
  }

  /** Room for as many columns as there are to come, if those are not too many. */
  renew(length: number, columns: number): void {
    const perSlab = Math.max(1, Math.min(columns, Math.floor(SLAB_ENTRIES / length)));
    this.values = new Float64Array(perSlab * length);
    this.states = new Uint8Array(perSlab * length).fill(SampleState.value);
    this.#used = 0;
  }

  /** Where a column of so many entries, which fit, begins. */
  take(length: number): number {
    this.#used += length;
    return this.#used - length;
  }

  /** Half of what `subarray` takes. */
  valuesFrom(start: number, length: number): Float64Array {
    return new Float64Array(this.values.buffer, start * Float64Array.BYTES_PER_ELEMENT, length);
  }
}

function newBucket(columns: ReadonlyArray<readonly [Known, number]>): Bucket {
  const sources = columns.map(([known]) => known).filter(({ near }) => near);
  const newestTime = Math.max(...columns.map(([{ lastTime }]) => lastTime));
  return { sources, refs: [], slots: [], newestTime };
}

const isAligned = ({ group }: Source): boolean => group.meta.kind === 'aligned';

/** Whether groups come one after the other and none may still go on: then nothing is hidden. */
function follow({ sources, newestTime }: Bucket): boolean {
  for (let i = 1; i < sources.length; i++) {
    const { group, pin, lastTime } = sources[i - 1];
    if (lastTime >= sources[i].minTime) return false;
    if (!pin.ended && newestTime <= lastTime + runBreakOf(group)) return false;
  }
  return true;
}

/** Indexes of sources, that which got the series first before the others. */
function byPrecedence(sources: readonly Source[], slots: readonly number[]): number[] {
  return [...sources.keys()].sort((a, b) => {
    const left = sources[a].group;
    const right = sources[b].group;
    return (
      left.layout.slotTime(slots[a]) - right.layout.slotTime(slots[b]) ||
      (left.ref < right.ref ? -1 : left.ref > right.ref ? 1 : 0) ||
      left.epoch - right.epoch ||
      left.id - right.id
    );
  });
}

function hasSample(states: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (states[i] !== SampleState.none) return true;
  return false;
}

function sameTimes(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
