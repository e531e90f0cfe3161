/**
 * Counts the frames and samples of one journal anew, from what a store holds of it: entries, tiles, blocks.
 * The store may be in use meanwhile.
 */
import {
  BlockIndex,
  FrameDecoder,
  TileReader,
  decodeLayoutMeta,
  entryPayload,
} from '@canopy/encoding';
import {
  BLOCK_WINDOW_MS,
  type BlockMeta,
  type BlockPiece,
  EntryKind,
  type Epoch,
  FormatError,
  type GroupId,
  JOURNAL_START,
  type JournalEntry,
  type JournalState,
  type Store,
  type TileMeta,
  comparePositions,
  tileWindow,
} from '@canopy/model';
import { DAMAGED, FrameLog, KEYLESS } from './frame-log.js';

/** What is in one window of two hours. */
export interface WindowCount {
  frames: number;
  samples: number;
}

export interface Recount {
  /** Aligned frames by the window of their time. */
  readonly windows: Map<number, WindowCount>;
  /** Windows from this one on are there in full, as far as retention goes. */
  completeFrom: number;
  looseFrames: number;
  /** Frames and tiles that are there and cannot be read. */
  undecodable: number;
  entries: number;
  tiles: number;
  /** The store moved on in a way that makes the counts wrong. */
  moved: boolean;
}

export type Progress = (text: string) => void;

/** A frame may stand in a journal that much behind one that is younger. Milliseconds. */
const REORDER_MS = 600_000;
const READ = { maxBytes: 1024 * 1024, maxEntries: 8192 };
/** Tiles read at once. */
const TILE_BYTES = 8 * 1024 * 1024;
interface GroupCount {
  readonly isAligned: boolean;
  readonly decoder: FrameDecoder;
  /** Null where no tile had the group when the count began: nothing of it need be remembered. */
  readonly log: FrameLog | null;
  /** Frames before it are in no tile. */
  readonly oldestTile: number;
  hasKey: boolean;
}

interface Piece {
  readonly epoch: Epoch;
  readonly group: GroupId;
  readonly meta: Pick<TileMeta, 'firstSequence' | 'lastSequence' | 'byteLength'>;
}

export class Recounter {
  readonly #store: Store;
  readonly #state: JournalState;
  readonly #progress: Progress;
  readonly #groups = new Map<string, GroupCount>();
  readonly #kinds = new Map<string, boolean>();
  /** By group: the first sequence of its oldest tile. */
  readonly #oldestTiles = new Map<string, number>();
  readonly #count: Recount = {
    ...{ windows: new Map(), completeFrom: 0, looseFrames: 0, undecodable: 0 },
    ...{ entries: 0, tiles: 0, moved: false },
  };
  /** The newest window with a frame whose key frame was cut off. */
  #keyless = -1;
  #values = new Float64Array(0);
  #states = new Uint8Array(0);

  constructor(store: Store, state: JournalState, progress: Progress) {
    this.#store = store;
    this.#state = state;
    this.#progress = progress;
  }

  /** @throws CanopyError of the store. */
  async run(): Promise<Recount> {
    const { ref, trimmed } = this.#state;
    for (const entry of await this.#store.readLayouts(ref)) this.#takeLayout(entry);
    for (const tile of await this.#store.tiles(ref)) this.#noteTile(tile, tile);
    for (const block of await this.#store.blocks(ref)) {
      await this.#eachBlockTile(block, (piece) => this.#noteTile(piece, piece.meta));
    }
    const oldest = await this.#countJournal();
    const oldestTile = await this.#countTiles();
    for (const { log } of this.#groups.values()) {
      log?.each((window, samples) => this.#addFrame(window, samples));
    }
    if (comparePositions(trimmed, JOURNAL_START) > 0) {
      const whole = Math.floor((oldest + REORDER_MS) / BLOCK_WINDOW_MS) + 1;
      this.#count.completeFrom = Math.max(this.#keyless + 1, Math.min(whole, oldestTile));
    }
    return this.#count;
  }

  #noteTile(
    { epoch, group }: { readonly epoch: Epoch; readonly group: GroupId },
    { firstSequence }: Pick<TileMeta, 'firstSequence'>,
  ): void {
    const key = `${epoch}/${group}`;
    const known = this.#oldestTiles.get(key) ?? Number.POSITIVE_INFINITY;
    this.#oldestTiles.set(key, Math.min(known, firstSequence));
  }

  /** Returns the time of the oldest frame, Infinity where there is none. */
  async #countJournal(): Promise<number> {
    const { ref, position, trimmed } = this.#state;
    let oldest = Number.POSITIVE_INFINITY;
    for (let after = trimmed; comparePositions(after, position) < 0; ) {
      const entries = await this.#store.readEntries(ref, after, READ);
      if (entries.length === 0) break;
      for (const entry of entries) {
        if (comparePositions(entry, position) > 0) break;
        this.#count.entries++;
        if (entry.kind === EntryKind.layout) this.#takeLayout(entry);
        else if (entry.kind === EntryKind.frame) {
          oldest = Math.min(oldest, entry.time);
          this.#takeFrame(entry);
        }
      }
      after = entries[entries.length - 1];
      this.#progress(`${this.#count.entries} entries`);
    }
    return oldest;
  }

  #takeLayout(entry: JournalEntry): void {
    const key = `${entry.epoch}/${entry.group}`;
    if (this.#kinds.has(key)) return;
    try {
      this.#kinds.set(key, decodeLayoutMeta(entryPayload(entry)).kind === 'aligned');
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#count.undecodable++;
    }
  }

  #takeFrame(entry: JournalEntry): void {
    const group = this.#group(`${entry.epoch}/${entry.group}`);
    if (!group.isAligned) {
      this.#count.looseFrames++;
      return;
    }
    const window = Math.floor(entry.time / BLOCK_WINDOW_MS);
    const samples = this.#decode(group, entry);
    if (group.log === null || entry.sequence < group.oldestTile) {
      this.#addFrame(window, samples);
    } else group.log.add(entry.sequence, window, samples);
  }

  #decode(group: GroupCount, entry: JournalEntry): number {
    group.hasKey ||= entry.key;
    if (!group.hasKey && comparePositions(this.#state.trimmed, JOURNAL_START) > 0) {
      // The journal was cut behind its key frame: older than what retention promises, or in a tile.
      return KEYLESS;
    }
    try {
      return group.decoder.decodeAligned(entryPayload(entry), entry.key).samples;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return DAMAGED;
    }
  }

  #group(key: string): GroupCount {
    let group = this.#groups.get(key);
    if (group === undefined) {
      const isAligned = this.#kinds.get(key) ?? true;
      const oldestTile = this.#oldestTiles.get(key) ?? Number.POSITIVE_INFINITY;
      const log = this.#oldestTiles.has(key) ? new FrameLog() : null;
      const decoder = new FrameDecoder();
      group = { isAligned, decoder, log, oldestTile, hasKey: false };
      this.#groups.set(key, group);
    }
    return group;
  }

  /** A frame that is in the journal only. */
  #addFrame(window: number, samples: number): void {
    if (samples === DAMAGED) this.#count.undecodable++;
    if (samples === KEYLESS) this.#keyless = Math.max(this.#keyless, window);
    this.#add(window, samples >= KEYLESS ? 0 : samples);
  }

  #add(window: number, samples: number): void {
    const count = this.#count.windows.get(window);
    if (count === undefined) this.#count.windows.set(window, { frames: 1, samples });
    else {
      count.frames++;
      count.samples += samples;
    }
  }

  /** Returns the first window of which tiles hold all that was settled, Infinity where there are none. */
  async #countTiles(): Promise<number> {
    const { ref } = this.#state;
    let oldest = Number.POSITIVE_INFINITY;
    const alone = await this.#store.tiles(ref);
    for (let from = 0; from < alone.length; ) {
      const part = take(alone, from);
      const read = await this.#store.readTiles(ref, part);
      part.forEach((meta, i) => {
        oldest = Math.min(oldest, tileWindow(meta));
        this.#takeTile({ epoch: meta.epoch, group: meta.group, meta }, read[i]);
      });
      from += part.length;
    }
    for (const block of await this.#store.blocks(ref)) {
      const pieces: Array<Piece & { readonly at: BlockPiece }> = [];
      // All of the windows it was made for, and older rows that stand in the same tiles.
      oldest = Math.min(oldest, Math.ceil(block.from / BLOCK_WINDOW_MS));
      await this.#eachBlockTile(block, (piece, at) => {
        pieces.push({ ...piece, at });
      });
      const metas = pieces.map(({ meta }) => meta);
      for (let from = 0; from < metas.length; ) {
        const part = take(metas, from).length;
        const asked = pieces.slice(from, from + part);
        const read = await this.#store.readBlocks(
          ref,
          asked.map(({ at }) => at),
        );
        asked.forEach((piece, i) => this.#takeTile(piece, read[i]));
        from += part;
      }
    }
    return oldest;
  }

  async #eachBlockTile(
    { id, tileBytes, indexBytes }: BlockMeta,
    visit: (piece: Piece, at: BlockPiece) => void,
  ): Promise<void> {
    const { ref } = this.#state;
    const place = { block: id, position: tileBytes, byteLength: indexBytes };
    const [bytes] = await this.#store.readBlocks(ref, [place]);
    if (bytes === undefined) {
      this.#count.moved = true;
      return;
    }
    const index = new BlockIndex(bytes);
    for (let number = 0; number < index.groupCount; number++) {
      const of = { epoch: index.epoch(number), group: index.group(number) };
      for (const tile of index.tiles(number)) {
        const { position, byteLength } = tile;
        visit({ ...of, meta: tile }, { block: id, position, byteLength });
      }
    }
  }

  #takeTile({ epoch, group: id, meta }: Piece, bytes: Uint8Array | undefined): void {
    const { position } = this.#state;
    const { firstSequence, lastSequence } = meta;
    this.#count.tiles++;
    if (this.#count.tiles % 256 === 0) this.#progress(`${this.#count.tiles} tiles`);
    if (comparePositions({ epoch, sequence: firstSequence }, position) > 0) return;
    const key = `${epoch}/${id}`;
    const group = this.#groups.get(key);
    if (comparePositions({ epoch, sequence: lastSequence }, position) > 0) {
      // It came after the ledger; what it has from before must have been in the journal.
      if (group === undefined || group.log === null) return;
      if (group.log.first > firstSequence) this.#count.moved = true;
      return;
    }
    if (bytes === undefined) {
      this.#count.moved = true;
      return;
    }
    // A tile that was not there when the count began, of frames that were counted.
    const isNew = group !== undefined && group.log === null;
    if (isNew) this.#count.moved = true;
    group?.log?.drop(firstSequence, lastSequence);
    this.#countRows(bytes);
  }

  #countRows(bytes: Uint8Array): void {
    try {
      const tile = new TileReader(bytes);
      if (tile.kind === 'loose') return;
      const { count, slotCount } = tile;
      if (this.#values.length < count) {
        this.#values = new Float64Array(count);
        this.#states = new Uint8Array(count);
      }
      const samples = new Uint32Array(count);
      for (let slot = 0; slot < slotCount; slot++) {
        tile.readSlot(slot, this.#values, this.#states, 0);
        for (let i = 0; i < count; i++) if (this.#states[i] !== 0) samples[i]++;
      }
      const times = tile.times();
      for (let i = 0; i < count; i++) {
        this.#add(Math.floor(times[i] / BLOCK_WINDOW_MS), samples[i]);
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#count.undecodable++;
    }
  }
}

/** From `from` on, at least one, about `TILE_BYTES`. */
function take<T extends { readonly byteLength: number }>(all: readonly T[], from: number): T[] {
  let to = from;
  for (let bytes = 0; to < all.length && (to === from || bytes < TILE_BYTES); to++) {
    bytes += all[to].byteLength;
  }
  return all.slice(from, to);
}
