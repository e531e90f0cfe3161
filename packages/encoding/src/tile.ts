/**
 * The columns of one group over a run of frames, compressed slot by slot, so that one series is
 * read without the others. See tile.format.md.
 */
import { FormatError, SampleState, invariant } from '@canopy/model';
import { bitsOf } from './bits.js';
import { integerScale, scaleOf } from './column-head.js';
import { decodeColumn, encodeColumn, isConstant, readConstant } from './column.js';
import { crc32c } from './crc32c.js';
import { ENTRIES_MAX, SLOTS_MAX } from './limits.js';
import { type SlotBlock, type SlotCoder, SlotForm } from './slot-block.js';
import { coderFor } from './slot-coders.js';
import {
  HAS_RELATION,
  RELATION_FIRST_MINUS,
  RELATION_SCALE_SHIFT,
  RELATION_SECOND,
  RELATION_SECOND_MINUS,
  SlotRelations,
} from './slot-relations.js';
import { SIZES_AT_ONCE, Section, writeOffsets, writeSizes } from './tile-sections.js';
import { HAS_STATES, encodeSlot } from './slot-twin.js';
import { readStates, spread } from './states.js';
import { ByteReader, ByteWriter } from './varint.js';

const MAGIC = 0x5443; // "CT"
const VERSION = 1;
/** Of tiles to be kept: what version 1 lacks is in them. */
const VERSION_KEPT = 2;
const FLAG_LOOSE = 1;
const CRC_SIZE = 4;

/**
 * Columns to encode; read during the call only. Aligned: `count` shared times, entry i of slot s
 * at `s * count + i`. Loose: times lie slot by slot too, and slot s has `lengths[s]` entries from
 * `s * count` on.
 */
export interface TileColumns {
  readonly kind: 'aligned' | 'loose';
  readonly slotCount: number;
  readonly count: number;
  /** Ascending (within a slot where loose). */
  readonly times: Float64Array;
  readonly states: Uint8Array;
  /** What stands where the state is not `value` is not kept. */
  readonly values: Float64Array;
  /** Loose only. */
  readonly lengths?: Uint32Array;
}

export interface SlotSummary {
  /** Entries that are not `none`. */
  readonly present: number;
  /** Every entry is a value. */
  readonly statesNull: boolean;
}

/** Columns of one slot, the caller's own. */
export interface LooseSlot {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly states: Uint8Array;
  readonly statesNull: boolean;
}

/** Scratch of one call. */
const SLOT_DATA = new ByteWriter(1 << 14);
let told = new Float64Array(256);

/** Fresh bytes. `coder` null: the quickest of the process; `kept`: as for `AlignedTileEncoder`. */
export function encodeTile(
  columns: TileColumns,
  coder: SlotCoder | null = null,
  kept = false,
): Uint8Array {
  const { kind, slotCount, count, times, states, values } = columns;
  const cells = slotCount * count;
  invariant(slotCount <= SLOTS_MAX && count <= ENTRIES_MAX, 'BUG: tile too large');
  invariant(times.length >= (kind === 'loose' ? cells : count), 'BUG: tile with too few times');
  invariant(states.length >= cells && values.length >= cells, 'BUG: tile with too few entries');
  if (kind === 'loose') return encodeLoose(columns);
  const encoder = new AlignedTileEncoder(slotCount, times.subarray(0, count), coder, kept);
  const { block } = encoder;
  for (let slot = 0; slot < slotCount; slot += encoder.slotsAtOnce) {
    const slots = Math.min(encoder.slotsAtOnce, slotCount - slot);
    const from = slot * count;
    block.values.set(values.subarray(from, from + slots * count));
    block.states.set(states.subarray(from, from + slots * count));
    block.forms.fill(SlotForm.states, 0, slots);
    encoder.add(slots);
  }
  return encoder.finish();
}

function encodeLoose(columns: TileColumns): Uint8Array {
  const { slotCount, count, times, states, values, lengths } = columns;
  invariant(lengths !== undefined, 'BUG: loose tile without lengths');
  const ends = new Uint32Array(slotCount);
  let minTime = Number.POSITIVE_INFINITY;
  let maxTime = Number.NEGATIVE_INFINITY;
  SLOT_DATA.clear();
  for (let slot = 0; slot < slotCount; slot++) {
    const from = slot * count;
    const length = lengths[slot];
    invariant(length <= count, 'BUG: loose slot longer than its column');
    SLOT_DATA.varint(length);
    if (length > 0) {
      minTime = Math.min(minTime, times[from]);
      maxTime = Math.max(maxTime, times[from + length - 1]);
      encodeColumn(SLOT_DATA, times.subarray(from, from + length), length);
    }
    encodeSlot(SLOT_DATA, states, values, from, length);
    ends[slot] = SLOT_DATA.length;
  }
  if (minTime > maxTime) minTime = maxTime = 0;
  return writeTile(VERSION, { slotCount, count, minTime, maxTime }, null, SLOT_DATA, ends);
}

/**
 * Encodes an aligned tile some slots at a time, to the same bytes as `encodeTile`: a wide one takes longer
 * than an event loop may be held. Fill `block` with up to `slotsAtOnce` slots, then `add` them: all
 * encoders share the block, so that must be one step.
 */
export class AlignedTileEncoder {
  readonly #times: Float64Array;
  readonly #coder: SlotCoder;
  readonly #data = new ByteWriter(1 << 12);
  readonly #ends: Uint32Array;
  readonly #kept: boolean;
  readonly #relations: SlotRelations | null;
  /** Slots added so far. */
  slots = 0;
  /** Slots that the block has room for. */
  readonly slotsAtOnce: number;

  /**
   * `times` ascend, one for each entry of a slot; kept until `finish`. `coder` null: the quickest. `kept`: for a
   * tile that is kept long. Slots are told by others where that takes fewer bytes; it takes longer.
   */
  constructor(
    slotCount: number,
    times: Float64Array,
    coder: SlotCoder | null = null,
    kept = false,
  ) {
    const count = times.length;
    invariant(slotCount <= SLOTS_MAX && count <= ENTRIES_MAX, 'BUG: tile too large');
    this.#times = times;
    this.#coder = coder !== null && count <= coder.countMax ? coder : coderFor(count);
    this.slotsAtOnce = Math.max(1, Math.floor(this.block.values.length / Math.max(1, count)));
    this.slotsAtOnce = Math.min(this.slotsAtOnce, this.block.forms.length);
    this.#ends = new Uint32Array(slotCount);
    this.#kept = kept;
    // One slot of the block is for relations.
    const hasRoom = kept && this.slotsAtOnce > 1;
    if (hasRoom) this.slotsAtOnce--;
    this.#relations = hasRoom ? new SlotRelations(count, this.#coder, this.slotsAtOnce) : null;
  }

  get slotCount(): number {
    return this.#ends.length;
  }

  /** What the next slots are filled into; entry i of the block's slot s stands at `s * count + i`. */
  get block(): SlotBlock {
    return this.#coder.reserve(this.#times.length);
  }

  /** The next `slots` slots, as they stand in the block. */
  add(slots: number): void {
    invariant(slots <= this.slotsAtOnce, 'BUG: more slots than fit the block');
    invariant(this.slots + slots <= this.#ends.length, 'BUG: tile with too many slots');
    const count = this.#times.length;
    const kept = this.#kept;
    const atOnce = this.#relations === null ? slots : 1;
    for (let done = 0; done < slots; ) {
      const some = Math.min(atOnce, slots - done);
      const from = this.#data.length;
      const at = this.slots + done;
      const coded = this.#coder.encode(done, some, count, this.#data, this.#ends, at, kept);
      if (this.#relations !== null) this.#relate(this.#relations, done, from);
      done += coded;
    }
    this.slots += slots;
  }

  /** The slot that was encoded last: `done` in the block, its bytes from `from` on. */
  #relate(relations: SlotRelations, done: number, from: number): void {
    const { values, forms } = this.block;
    if (forms[done] === SlotForm.constant) return;
    const count = this.#times.length;
    const column = values.subarray(done * count, (done + 1) * count);
    const slot = this.slots + done;
    relations.shorten(slot, column, this.#data, from);
    this.#ends[slot] = this.#data.length;
  }

  /** Fresh bytes; all slots must have been added. */
  finish(): Uint8Array {
    invariant(this.slots === this.#ends.length, 'BUG: tile with too few slots');
    const times = this.#times;
    const count = times.length;
    const [minTime, maxTime] = count > 0 ? [times[0], times[count - 1]] : [0, 0];
    const extent = { slotCount: this.slots, count, minTime, maxTime };
    const version = this.#kept ? VERSION_KEPT : VERSION;
    return writeTile(version, extent, times, this.#data, this.#ends);
  }
}

interface TileExtent {
  readonly slotCount: number;
  readonly count: number;
  readonly minTime: number;
  readonly maxTime: number;
}

/** `times` null: loose. */
function writeTile(
  version: number,
  { slotCount, count, minTime, maxTime }: TileExtent,
  times: Float64Array | null,
  data: ByteWriter,
  ends: Uint32Array,
): Uint8Array {
  const writer = new ByteWriter(data.length + 4 * slotCount + 2 * count + 64);
  writer.u8(MAGIC & 255);
  writer.u8(MAGIC >> 8);
  writer.u8(version);
  writer.u8(times === null ? FLAG_LOOSE : 0);
  writer.varint(slotCount);
  writer.varint(count);
  writer.f64(minTime);
  writer.f64(maxTime);
  if (times !== null) {
    const column = new ByteWriter(64);
    encodeColumn(column, times, times.length);
    writer.u8(Section.times);
    writer.bytes(column.view());
  }
  writer.u8(Section.slots);
  writer.bytes(data.view());
  if (version === VERSION_KEPT) writeSizes(writer, ends);
  else writeOffsets(writer, data.length, ends);
  writer.u32(crc32c(writer.view()));
  return writer.copy();
}

/** Reads single slots out of an encoded tile, whose bytes it keeps. */
export class TileReader {
  readonly kind: 'aligned' | 'loose';
  readonly slotCount: number;
  /** Entries of a slot; loose: of the longest. */
  readonly count: number;
  /** Times of the oldest and newest entry, inclusive; with no entries 0 and 0. */
  readonly minTime: number;
  readonly maxTime: number;
  readonly #bytes: Uint8Array;
  #timesFrom = -1;
  #timesTo = -1;
  #slotsFrom = -1;
  #slotsTo = -1;
  #offsetsFrom = -1;
  #offsetWidth = 0;
  /** Where slots end, where the tile tells their sizes. */
  #ends: Uint32Array | null = null;
  readonly #isKept: boolean;
  #times: Float64Array | null = null;
  readonly #coder: SlotCoder;

  /**
   * `coder` null: the quickest of the process.
   * @throws FormatError for bytes that are not a tile or have a wrong checksum.
   */
  constructor(bytes: Uint8Array, coder: SlotCoder | null = null) {
    this.#bytes = bytes;
    this.#coder = coder ?? coderFor(0);
    if (bytes.length < CRC_SIZE) throw new FormatError('tile is cut off', bytes.length);
    const end = bytes.length - CRC_SIZE;
    const reader = new ByteReader(bytes, 0, end);
    if ((reader.u8() | (reader.u8() << 8)) !== MAGIC) reader.fail('not a tile');
    const version = reader.u8();
    if (version !== VERSION && version !== VERSION_KEPT) reader.fail('tile of an unknown version');
    this.#isKept = version === VERSION_KEPT;
    const crc = new ByteReader(bytes, end).u32();
    if (crc32c(bytes, 0, end) !== crc) reader.fail('wrong checksum');
    this.kind = reader.u8() & FLAG_LOOSE ? 'loose' : 'aligned';
    this.slotCount = reader.count(SLOTS_MAX);
    this.count = reader.count(ENTRIES_MAX);
    this.minTime = reader.f64();
    this.maxTime = reader.f64();
    this.#findSections(reader);
  }

  /** What it holds in memory: the encoded tile, and where its slots end where that was decoded. */
  get byteLength(): number {
    return this.#bytes.length + (this.#ends?.byteLength ?? 0);
  }

  #findSections(reader: ByteReader): void {
    let sizes: ByteReader | null = null;
    while (reader.remaining > 0) {
      const type = reader.varint();
      const size = reader.varint();
      const from = reader.position;
      reader.raw(size);
      if (type === Section.times) [this.#timesFrom, this.#timesTo] = [from, from + size];
      else if (type === Section.slots) [this.#slotsFrom, this.#slotsTo] = [from, from + size];
      else if (type === Section.offsets) {
        this.#offsetsFrom = from;
        const width = this.slotCount === 0 ? 1 : size / this.slotCount;
        if (!Number.isInteger(width) || width < 1 || width > 4) reader.fail('offsets do not fit');
        this.#offsetWidth = width;
      } else if (type === Section.sizes && this.#isKept) {
        sizes = new ByteReader(this.#bytes, from, from + size);
      }
    }
    const hasPlaces = this.#offsetsFrom >= 0 || sizes !== null;
    if (this.#slotsFrom < 0 || !hasPlaces) reader.fail('tile without its slots');
    if (this.kind === 'aligned' && this.#timesFrom < 0) reader.fail('tile without times');
    if (sizes !== null) this.#ends = this.#readSizes(sizes);
  }

  #readSizes(reader: ByteReader): Uint32Array {
    const room = this.#slotsTo - this.#slotsFrom;
    // Each has a byte at least.
    if (this.slotCount > room) reader.fail('sizes do not fit');
    const ends = new Uint32Array(this.slotCount);
    let end = 0;
    if (told.length < SIZES_AT_ONCE) told = new Float64Array(SIZES_AT_ONCE);
    for (let from = 0; from < ends.length; from += SIZES_AT_ONCE) {
      const count = Math.min(SIZES_AT_ONCE, ends.length - from);
      const size = reader.varint();
      const start = reader.position;
      reader.skip(size);
      const column = new ByteReader(this.#bytes, start, start + size);
      this.#readColumn(column, column.u8(), count, told, 0);
      for (let i = 0; i < count; i++) {
        end += told[i];
        if (!(told[i] >= 1) || end !== Math.floor(end) || end > room)
          reader.fail('sizes do not fit');
        ends[from + i] = end;
      }
    }
    reader.end();
    return ends;
  }

  /**
   * The shared times of an aligned tile: one array for all calls, not to be written to.
   * @throws FormatError
   */
  times(): Float64Array {
    if (this.#times !== null) return this.#times;
    invariant(this.kind === 'aligned', 'BUG: a loose tile has no shared times');
    const times = new Float64Array(this.count);
    const reader = new ByteReader(this.#bytes, this.#timesFrom, this.#timesTo);
    decodeColumn(reader, this.#bytes, reader.u8(), this.count, times, bitsOf(times), 0);
    reader.end();
    this.#times = times;
    return times;
  }

  /**
   * Decodes a slot of an aligned tile into `count` entries of the out arrays from `offset` on;
   * values are 0 where the state is not `value`.
   * @throws FormatError
   */
  readSlot(
    slot: number,
    outValues: Float64Array,
    outStates: Uint8Array,
    offset: number,
  ): SlotSummary {
    invariant(this.kind === 'aligned', 'BUG: a loose tile read as an aligned one');
    invariant(offset + this.count <= outValues.length, 'BUG: no room for values');
    invariant(offset + this.count <= outStates.length, 'BUG: no room for states');
    const reader = this.#slotReader(slot);
    const isRelated = this.#isKept && this.#bytes[reader.position] === HAS_RELATION;
    if (!isRelated || reader.remaining === 0) {
      return this.#readEntries(reader, this.count, outValues, outStates, offset);
    }
    this.#readRelated(slot, reader, outValues, offset);
    outStates.fill(SampleState.value, offset, offset + this.count);
    return { present: this.count, statesNull: true };
  }

  /** All entries of a slot that is told by others. */
  #readRelated(slot: number, reader: ByteReader, out: Float64Array, offset: number): void {
    const count = this.count;
    reader.u8();
    const form = reader.u8();
    const scale = scaleOf(form >> RELATION_SCALE_SHIFT);
    if (scale === undefined) reader.fail('unknown scale of a column');
    const first = this.#toldBy(slot, reader);
    const second = form & RELATION_SECOND ? this.#toldBy(slot, reader) : null;
    const column = reader.u8();
    if (integerScale(column) === undefined) reader.fail('rest of a relation is not of integers');
    this.#readColumn(reader, column, count, out, offset);
    this.#addTold(first, form & RELATION_FIRST_MINUS ? -1 : 1, out, offset);
    if (second !== null) {
      this.#addTold(second, form & RELATION_SECOND_MINUS ? -1 : 1, out, offset);
    }
    if (scale !== 1) for (let i = offset; i < offset + count; i++) out[i] /= scale;
  }

  /** The column of a slot before `slot`. */
  #toldBy(slot: number, reader: ByteReader): ByteReader {
    const back = reader.varint();
    if (back >= slot) reader.fail('relation to a slot that is not before');
    return this.#slotReader(slot - 1 - back);
  }

  #addTold(reader: ByteReader, sign: 1 | -1, out: Float64Array, offset: number): void {
    const count = this.count;
    const first = reader.u8();
    const scale = integerScale(first);
    if (scale === undefined) reader.fail('relation to a slot that is not of integers');
    if (told.length < count) told = new Float64Array(2 * count);
    this.#readColumn(reader, first, count, told, 0);
    // Each is the integer that was divided, at most a rounding away.
    for (let i = 0; i < count; i++) out[offset + i] += sign * Math.round(told[i] * scale);
  }

  /**
   * Decodes a slot of a loose tile.
   * @throws FormatError
   */
  readLooseSlot(slot: number): LooseSlot {
    invariant(this.kind === 'loose', 'BUG: an aligned tile read as a loose one');
    const reader = this.#slotReader(slot);
    const length = reader.count(this.count);
    const times = new Float64Array(length);
    if (length > 0) {
      decodeColumn(reader, this.#bytes, reader.u8(), length, times, bitsOf(times), 0);
    }
    const values = new Float64Array(length);
    const states = new Uint8Array(length);
    const { statesNull } = this.#readEntries(reader, length, values, states, 0);
    return { times, values, states, statesNull };
  }

  #slotReader(slot: number): ByteReader {
    invariant(slot >= 0 && slot < this.slotCount, 'BUG: slot is not in the tile');
    const from = slot === 0 ? 0 : this.#slotEnd(slot - 1);
    const to = this.#slotEnd(slot);
    if (from > to || to > this.#slotsTo - this.#slotsFrom) {
      throw new FormatError('slot offsets do not ascend', this.#offsetsFrom);
    }
    return new ByteReader(this.#bytes, this.#slotsFrom + from, this.#slotsFrom + to);
  }

  #slotEnd(slot: number): number {
    if (this.#ends !== null) return this.#ends[slot];
    const width = this.#offsetWidth;
    const at = this.#offsetsFrom + slot * width;
    let end = 0;
    for (let i = width - 1; i >= 0; i--) end = end * 256 + this.#bytes[at + i];
    return end;
  }

  #readEntries(
    reader: ByteReader,
    count: number,
    outValues: Float64Array,
    outStates: Uint8Array,
    offset: number,
  ): SlotSummary {
    let first = reader.u8();
    if (first !== HAS_STATES) {
      outStates.fill(SampleState.value, offset, offset + count);
      this.#readColumn(reader, first, count, outValues, offset);
      return { present: count, statesNull: true };
    }
    const { values: kept, present } = readStates(reader, count, outStates, offset);
    first = reader.u8();
    this.#readColumn(reader, first, kept, outValues, offset);
    spread(count, kept, outValues, bitsOf(outValues), outStates, offset);
    return { present, statesNull: kept === count };
  }

  /** The rest of a slot: `count` values. */
  #readColumn(
    reader: ByteReader,
    first: number,
    count: number,
    out: Float64Array,
    offset: number,
  ): void {
    // Fast path: most columns stand still, and most others are quicker read by the kernel.
    if (isConstant(first)) readConstant(reader, first, out, offset, offset + count);
    else if (!this.#coder.decode(this.#bytes, reader, count, out, offset)) {
      decodeColumn(reader, this.#bytes, first, count, out, bitsOf(out), offset);
    }
    reader.end();
  }
}
