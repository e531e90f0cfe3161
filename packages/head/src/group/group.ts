/** One group of one journal: its layout, its tiles, and the tile that is being filled. */
import {
  type AlignedFrame,
  FrameDecoder,
  type LooseFrame,
  type TileReader,
  entryPayload,
} from '@canopy/encoding';
import {
  type Epoch,
  type GapCause,
  type GroupId,
  type GroupMeta,
  type JournalEntry,
  type JournalRef,
  type TileMeta,
  asTime,
} from '@canopy/model';
import type { GroupStatus } from '../options.js';
import { grownFloat64 } from '../series/grow.js';
import { AlignedTail } from './aligned-tail.js';
import type { ArchivedBlock } from '../archive/archived-block.js';
import { GroupLayout, type SharedIndex } from './layout.js';
import { LooseLog } from './loose-log.js';
import { type LooseLimits, LooseSlots } from './loose-slots.js';
import { Rows } from './rows.js';
import { Tile } from './tile.js';

/** What a snapshot sees of a group. */
export interface GroupPin {
  /** Rows (aligned) or samples (loose) taken in. */
  readonly rowCount: number;
  /** Time of the newest row or sample; -Infinity before the first. */
  readonly lastTime: number;
  readonly ended: boolean;
}

const NEVER = Number.NEGATIVE_INFINITY;

/** Rows that are kept uncompressed, as a part of a tile's. */
const TAIL_PARTS = 8;

export class Group implements GroupPin {
  readonly ref: JournalRef;
  readonly epoch: Epoch;
  readonly id: GroupId;
  readonly handle: number;
  readonly meta: GroupMeta;
  readonly layout: GroupLayout;
  /** Ascending by sequence. */
  tiles: Tile[] = [];
  /** Of mounted blocks, ascending by sequence; some may be among `tiles` as well. */
  archived: Tile[] = [];
  aligned: AlignedTail | null = null;
  /** Closed, but too wide to be encoded at once: between the tiles and `aligned`. */
  sealed: AlignedTail | null = null;
  loose: LooseLog | null = null;

  rowCount = 0;
  /** Time of the oldest row or sample; Infinity where there is none. */
  minTime = Number.POSITIVE_INFINITY;
  lastTime = NEVER;
  /** Nothing more is expected. */
  ended = false;
  /** Another group goes on in its place, or every series in it has ended: nothing will come. */
  finished = false;
  /** Closed because nothing came, though its journal may only be late. */
  silent = false;
  /** No base to decode on: everything up to the next key frame is undecodable. */
  waiting = true;
  /** Why it waits; undefined where it had no base yet. */
  brokenBy: GapCause | undefined;
  keySequence = 0;
  /** Newest entry of the group, layouts included. */
  lastSequence = 0;
  /** Newest frame that was in the store's tiles when this process began. */
  storedSequence = 0;
  /** Time of the newest entry of any kind. */
  touchedTime = NEVER;
  /** Out of the index: only its layout in the store is left. */
  released = false;
  activeSlots = 0;

  #decoder: FrameDecoder | null = null;
  /** Frames of stored tiles since the last key frame. */
  #deferred: JournalEntry[] = [];
  /** Aligned: time of each slot's newest entry, up to the packed rows. */
  #lastTimes = new Float64Array(0);
  #looseSlots = new LooseSlots();
  readonly #rowsMax: number;
  #spareRows: Rows | null = null;

  constructor(
    place: { ref: JournalRef; epoch: Epoch; id: GroupId },
    meta: GroupMeta,
    shared: SharedIndex,
    handle: number,
    tileFrames: number,
  ) {
    this.ref = place.ref;
    this.epoch = place.epoch;
    this.id = place.id;
    this.meta = meta;
    this.handle = handle;
    this.layout = new GroupLayout(shared, handle);
    this.#rowsMax = Math.max(1, Math.ceil(tileFrames / TAIL_PARTS));
  }

  get decoder(): FrameDecoder {
    this.#decoder ??= new FrameDecoder();
    return this.#decoder;
  }

  /** Nothing in memory, and nothing in the store that is not in a block. */
  get empty(): boolean {
    const open = this.aligned ?? this.sealed ?? this.loose;
    return open === null && this.tiles.length === 0 && this.archived.length === 0;
  }

  get tailBytes(): number {
    const aligned = (this.aligned?.rows.byteLength ?? 0) + (this.sealed?.rows.byteLength ?? 0);
    return aligned + (this.loose?.byteLength ?? 0);
  }

  get packedBytes(): number {
    return (this.aligned?.packedBytes ?? 0) + (this.sealed?.packedBytes ?? 0);
  }

  /** The oldest sequence that must stay in the journal; Infinity where none must. */
  get neededSequence(): number {
    let needed = Number.POSITIVE_INFINITY;
    for (const tile of this.tiles) if (!tile.stored) needed = Math.min(needed, tile.keySequence);
    const oldest = this.sealed ?? this.aligned;
    if (oldest !== null) needed = Math.min(needed, oldest.start.keySequence);
    if (this.loose !== null) needed = Math.min(needed, this.loose.startSequence);
    // What comes may build on it, though no tile does: it was refused, its tile is closed, or the store has that.
    const hasBase = !this.waiting || this.#deferred.length > 0;
    if (hasBase && !this.ended) needed = Math.min(needed, this.keySequence);
    return needed;
  }

  /**
   * Notes a frame that a stored tile holds. It is decoded only where a later one builds on it: nearly
   * always a key frame follows the tile.
   */
  defer(entry: JournalEntry): void {
    if (entry.key) {
      this.keySequence = entry.sequence;
      this.#deferred = [entry];
    } else if (this.#deferred.length > 0) {
      this.#deferred.push(entry);
    }
  }

  /** A key frame was decoded: what came before it is not built on any more. */
  begin(sequence: number): void {
    this.keySequence = sequence;
    this.brokenBy = undefined;
    this.#deferred = [];
  }

  /** Whether there is a base for a frame that is no key frame. @throws FormatError */
  takeUp(): boolean {
    const entries = this.#deferred;
    this.#deferred = [];
    for (const entry of entries) this.decoder.decodeAligned(entryPayload(entry), entry.key);
    if (entries.length > 0) this.waiting = false;
    return !this.waiting;
  }

  /** The chain of frames is broken: what comes before the next key frame cannot be decoded. */
  breakChain(cause: GapCause): void {
    this.brokenBy ??= cause;
    this.waiting = true;
    this.#deferred = [];
    this.#decoder?.reset();
  }

  /** What is missing may be the base of what comes: then that is lost for this reason. */
  mayHaveLost(cause: GapCause): void {
    if (this.waiting) this.brokenBy ??= cause;
  }

  /** Nothing more is expected; memory for decoding is given back. The open tile stays open. */
  end(): void {
    this.ended = true;
    this.layout.tell(false);
    this.waiting = true;
    this.#decoder = null;
    this.#spareRows = null;
    this.activeSlots = 0;
  }

  /** A frame came: it has not ended, whatever was thought. */
  goOn(): void {
    if (!this.ended) return;
    this.ended = false;
    this.layout.tell(true);
  }

  /** Out of the index: what it says of slots is of no use any more. */
  release(): void {
    this.end();
    this.released = true;
    this.#lastTimes = new Float64Array(0);
    this.#looseSlots = new LooseSlots();
  }

  /** Takes in tiles that the store has, from before this process. */
  restore(metas: readonly TileMeta[]): void {
    for (const meta of metas) {
      const same = this.tiles.find((tile) => tile.meta.firstSequence === meta.firstSequence);
      if (same !== undefined) continue;
      this.tiles.push(new Tile(meta, -1, meta.firstSequence, null, true));
      this.storedSequence = Math.max(this.storedSequence, meta.lastSequence);
      this.lastSequence = Math.max(this.lastSequence, meta.lastSequence);
      this.lastTime = Math.max(this.lastTime, meta.maxTime);
      this.minTime = Math.min(this.minTime, meta.minTime);
    }
    this.tiles.sort((a, b) => a.meta.firstSequence - b.meta.firstSequence);
    this.#boundLastTimes();
  }

  /** A finished block has frames up to here: what the journal still has of them is not added again. */
  restoreSealed(lastSequence: number, lastTime: number): void {
    this.storedSequence = Math.max(this.storedSequence, lastSequence);
    this.lastSequence = Math.max(this.lastSequence, lastSequence);
    this.lastTime = Math.max(this.lastTime, lastTime);
    this.#boundLastTimes();
  }

  /** Loose: whether a tile of before this process, with samples up to `maxTime`, may say what is not known yet. */
  isUnknown(maxTime: number, { windowMs }: LooseLimits): boolean {
    const { slotCount } = this.layout;
    this.#looseSlots.grow(slotCount);
    return this.#looseSlots.isUnknown(maxTime, this.lastTime - windowMs, slotCount);
  }

  /** Loose: notes what a tile of before this process says. @throws FormatError */
  recall(meta: TileMeta, reader: TileReader, { windowMs }: LooseLimits): void {
    this.#looseSlots.grow(this.layout.slotCount);
    const more = this.#looseSlots.recall(meta, reader, this.lastTime - windowMs);
    if (!this.ended) this.activeSlots += more;
  }

  /** Tiles of a block that was mounted. */
  archive(tiles: readonly Tile[]): void {
    this.archived.push(...tiles);
    this.archived.sort((a, b) => a.meta.firstSequence - b.meta.firstSequence);
  }

  unarchive(block: ArchivedBlock): void {
    this.archived = this.archived.filter((tile) => tile.archived !== block);
  }

  /**
   * Tiles whose newest sample is before `horizon` leave memory; where a store reads them back
   * (`cold`) only once it has them, and they stay known until a block has them. Returns their number.
   */
  expireTiles(horizon: number, cold: boolean): number {
    if (!cold) return this.dropTiles((tile) => tile.meta.maxTime < horizon);
    let expired = this.dropTiles((tile) => tile.inBlock && tile.meta.maxTime < horizon);
    for (const tile of this.tiles) {
      if (!tile.stored || tile.bytes === null || tile.meta.maxTime >= horizon) continue;
      tile.evict();
      expired++;
    }
    return expired;
  }

  status(): GroupStatus {
    const { kind, target, scrapeUrl, interval } = this.meta;
    const { activeSlots, ended } = this;
    const { slotCount } = this.layout;
    const lastFrameTime = asTime(Math.max(0, this.lastTime));
    const place = { epoch: this.epoch, group: this.id };
    return {
      ...place,
      kind,
      target,
      scrapeUrl,
      interval,
      activeSlots,
      slotCount,
      lastFrameTime,
      ended,
    };
  }

  /** Forgets the tiles that `gone` says. Returns their number. */
  dropTiles(gone: (tile: Tile) => boolean): number {
    const kept = this.tiles.filter((tile) => !gone(tile));
    const dropped = this.tiles.length - kept.length;
    if (dropped === 0) return 0;
    this.tiles = kept;
    const open = this.sealed ?? this.aligned ?? this.loose;
    this.minTime = open?.minTime ?? Number.POSITIVE_INFINITY;
    for (const tile of kept) this.minTime = Math.min(this.minTime, tile.meta.minTime);
    return dropped;
  }

  /** Adds one row. `pinned`: a snapshot is open. The frame must be newer than the last. */
  appendAligned(sequence: number, time: number, frame: AlignedFrame, pinned: boolean): void {
    this.#growSlots();
    const { slotCount, present } = frame;
    if (this.aligned === null) {
      const rows = this.#spareRows ?? new Rows(slotCount, this.#rowsMax);
      this.#spareRows = null;
      const { keySequence } = this;
      this.aligned = new AlignedTail({ row: this.rowCount, sequence, keySequence }, time, rows);
    }
    const allValues = present === slotCount;
    const last = this.#lastTimes;
    this.aligned.append(sequence, time, frame, allValues, pinned, last);
    this.rowCount++;
    this.minTime = Math.min(this.minTime, time);
    this.lastTime = time;
    this.activeSlots = present;
    this.silent = false;
    this.finished = present === 0;
  }

  /** Whether the open loose tile has to close before the next frame. */
  isLooseFull(framesMax: number): boolean {
    const { loose } = this;
    return loose !== null && (loose.frameCount >= framesMax || loose.isFull(this.layout.slotCount));
  }

  /** Adds a frame of loose samples; `refuse` is told of each one that is not taken. Returns those taken. */
  appendLoose(
    sequence: number,
    frame: LooseFrame,
    { windowMs, memoryMs }: LooseLimits,
    refuse: (reason: string) => void,
  ): number {
    this.#looseSlots.grow(this.layout.slotCount);
    this.loose ??= new LooseLog(this.rowCount, sequence);
    const log = this.loose;
    log.reserveSlots(this.layout.slotCount);
    log.lastSequence = sequence;
    log.frameCount++;
    const before = this.rowCount;
    // Of the frame as a whole, so that the order of its samples does not matter.
    const oldest = this.lastTime - windowMs;
    const past = { log, tiles: this.tiles, oldest, remembered: this.lastTime - memoryMs };
    this.#looseSlots.forgetBefore(oldest);
    for (let i = 0; i < frame.count; i++) {
      const slot = frame.slots[i];
      const state = frame.states[i];
      if (slot >= this.layout.slotCount) {
        refuse('unknown_slot');
        continue;
      }
      const verdict = this.#looseSlots.judge(past, slot, frame.times[i], state, frame.values[i]);
      if (verdict === 'repeated') continue;
      if (verdict !== null) refuse(verdict);
      else if (!log.append(slot, frame.times[i], state, frame.values[i])) refuse('tile_limit');
      else this.#noteLoose(slot, frame.times[i], state, frame.values[i]);
    }
    this.silent = false;
    return this.rowCount - before;
  }

  /** Time of a slot's newest entry up to what is packed; -Infinity where it never had one. */
  lastTimeOf(slot: number): number {
    if (this.meta.kind === 'loose') return this.#looseSlots.time(slot);
    return slot < this.#lastTimes.length ? this.#lastTimes[slot] : NEVER;
  }

  /**
   * Loose: the value of a slot's newest entry; undefined where that is a stale mark, or there is none. Of what was
   * before this process not all is known.
   */
  lastLooseValue(slot: number): number | undefined {
    return this.#looseSlots.value(slot);
  }

  /**
   * Ends what is open: a loose tile is there at once (null where it would be empty); an aligned one is
   * `sealed`, for `encodeSealed`. None may be yet. `pinned`: a snapshot is open.
   */
  seal(pinned: boolean): Tile | null {
    const tail = this.aligned;
    if (tail === null) return this.#closeLoose(pinned);
    const rows = tail.seal(pinned, this.#lastTimes);
    if (!this.ended) this.#spareRows = rows;
    this.sealed = tail;
    this.aligned = null;
    return null;
  }

  /** Encodes at least `cellsMax` cells of what is sealed; the tile when that is done. */
  encodeSealed(cellsMax: number): Tile | null {
    const tail = this.sealed;
    const bytes = tail?.encodeSome(cellsMax) ?? null;
    if (tail === null || bytes === null) return null;
    this.sealed = null;
    const tile = this.#alignedTile(tail, bytes);
    this.tiles.push(tile);
    return tile;
  }

  #alignedTile(tail: AlignedTail, bytes: Uint8Array): Tile {
    const { sequence, keySequence, row } = tail.start;
    const meta = this.#tileMeta(sequence, tail.lastSequence, tail.minTime, tail.maxTime, bytes);
    return new Tile(meta, row, keySequence, bytes, false);
  }

  #closeLoose(pinned: boolean): Tile | null {
    const log = this.loose;
    if (log === null) return null;
    this.loose = null;
    // Frames of nothing but repeats leave nothing to keep.
    if (log.count === 0) return null;
    const bytes = log.encode();
    const { startSequence, lastSequence, minTime, maxTime } = log;
    const meta = this.#tileMeta(startSequence, lastSequence, minTime, maxTime, bytes);
    const tile = new Tile(meta, log.startEntry, startSequence, bytes, false);
    if (pinned) tile.log = log;
    this.tiles.push(tile);
    return tile;
  }

  #tileMeta(
    firstSequence: number,
    lastSequence: number,
    minTime: number,
    maxTime: number,
    bytes: Uint8Array,
  ): TileMeta {
    return {
      epoch: this.epoch,
      group: this.id,
      firstSequence,
      lastSequence,
      minTime: asTime(minTime),
      maxTime: asTime(maxTime),
      byteLength: bytes.length,
    };
  }

  #noteLoose(slot: number, time: number, state: number, value: number): void {
    this.rowCount++;
    if (time > this.lastTime) this.lastTime = time;
    if (time < this.minTime) this.minTime = time;
    const more = this.#looseSlots.note(slot, time, state, value);
    this.activeSlots = Math.max(0, this.activeSlots + more);
  }

  /** Which slots had the newest sample from before this process is not known. */
  #boundLastTimes(): void {
    if (this.meta.kind === 'loose') return;
    this.#growSlots();
    this.#lastTimes.fill(this.lastTime);
  }

  #growSlots(): void {
    const { slotCount } = this.layout;
    if (this.#lastTimes.length >= slotCount) return;
    this.#lastTimes = grownFloat64(this.#lastTimes, slotCount, NEVER);
  }
}
