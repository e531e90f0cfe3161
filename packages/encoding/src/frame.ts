/**
 * The payload of a frame entry: what one write of one group says beyond the write before it.
 * See frame.format.md.
 */
import { SampleState, invariant } from '@canopy/model';
import { bitsOf, setNormalNan } from './bits.js';
import { ENTRIES_MAX, SLOTS_MAX } from './limits.js';
import { SlotSet, chooseMethod, readSet, writeSet } from './slot-set.js';
import {
  CLASS_NAN,
  CLASS_NONE,
  CLASS_STALE,
  FIRST_FORGOTTEN,
  ValueReader,
  ValueWriter,
} from './values.js';
import { ByteReader, ByteWriter } from './varint.js';

const VERSION = 1;
/** Low half of the first byte; an aligned frame has the method of its changed set there. */
const LOOSE = 8;
const TIMES_DELTA = 0;
const TIMES_RAW = 1;
const STATES_VALUES = 0;
const STATES_BITMAP = 1;
/** Times that differ by less than 2^53 whatever they are. */
const DELTA_TIME_MAX = 2 ** 52 - 1;

/**
 * One aligned frame with what earlier frames said filled in. Arrays belong to the decoder, must
 * not be written to and are valid until its next call; both have `slotCount` entries.
 */
export interface AlignedFrame {
  readonly slotCount: number;
  /** SampleState of each slot in this frame. */
  readonly states: Uint8Array;
  /** 0 where the state is not `value`. */
  readonly values: Float64Array;
  /** Slots that are not the same as in the frame before; of a key frame all that have an entry. */
  readonly changed: number;
  /** Which they are: the first `changed`, valid until any decoder's next call. */
  readonly changedSlots: Uint32Array;
  /** Values and stale marks. */
  readonly samples: number;
  /** Values alone. */
  readonly present: number;
}

/** Samples with times of their own, in the order they were written. Arrays are the caller's. */
export interface LooseFrame {
  readonly count: number;
  readonly slots: Uint32Array;
  readonly times: Float64Array;
  /** `value` or `stale`. */
  readonly states: Uint8Array;
  /** 0 where the state is not `value`. */
  readonly values: Float64Array;
}

/** What both ends remember of a group between aligned frames. */
class Memory {
  slotCount = 0;
  /** Frames since the key frame; -1 where the next must be one. */
  step = -1;
  /** Exactly `slotCount` entries; `value` or `none` between frames. */
  states = new Uint8Array(0);
  /** 0 where the state is not `value`. */
  values = new Float64Array(0);
  bits: Uint32Array = new Uint32Array(0);
  /** Class of the slot's last value. */
  classes = new Uint8Array(0);
  /** Bitmap of the slots that changed in the last frame. */
  changed: Uint32Array = new Uint32Array(0);
  #capacity = 0;

  /** As before a key frame: no slots. */
  clear(): void {
    this.states.fill(SampleState.none);
    this.values.fill(0);
    this.classes.fill(0);
    this.changed.fill(0);
    this.#resize(0);
  }

  grow(slotCount: number): void {
    if (slotCount === this.slotCount) return;
    if (slotCount > this.#capacity) {
      this.#capacity = Math.max(slotCount, Math.min(SLOTS_MAX, this.#capacity * 2));
      const states = new Uint8Array(this.#capacity);
      states.set(this.states);
      this.states = states;
      const values = new Float64Array(this.#capacity);
      // As halves, so that a NaN keeps its bits.
      bitsOf(values).set(this.bits);
      this.values = values;
      const classes = new Uint8Array(this.#capacity);
      classes.set(this.classes);
      this.classes = classes;
      const changed = new Uint32Array((this.#capacity + 31) >> 5);
      changed.set(this.changed);
      this.changed = changed;
    }
    this.#resize(slotCount);
  }

  /** Keeps which slots changed for the next frame. */
  keep(changed: SlotSet): void {
    const words = (this.slotCount + 31) >> 5;
    for (let w = 0; w < words; w++) this.changed[w] = changed.words[w];
  }

  #resize(slotCount: number): void {
    this.slotCount = slotCount;
    this.states = new Uint8Array(this.states.buffer, 0, slotCount);
    this.values = new Float64Array(this.values.buffer, 0, slotCount);
    this.bits = bitsOf(this.values);
  }
}

/** Scratch of all groups, in use during one call only: groups are many, calls do not overlap. */
const CHANGED = new SlotSet();
const TOGGLED = new SlotSet();
const COLUMN = new ValueWriter();

/** Writes the frames of one group, one after the other. */
export class FrameEncoder {
  readonly #memory = new Memory();
  readonly #writer = new ByteWriter(1024);

  /**
   * Payload of one aligned frame; valid until the next call (encodeEntry copies it). The columns
   * hold at least `slotCount` entries and are read during the call only. Slots are only added
   * from one frame to the next, except by a key frame.
   */
  encodeAligned(
    layoutVersion: number,
    slotCount: number,
    states: Uint8Array,
    values: Float64Array,
    key: boolean,
  ): Uint8Array {
    const memory = this.#memory;
    invariant(slotCount <= SLOTS_MAX, 'BUG: frame with too many slots');
    invariant(states.length >= slotCount, 'BUG: frame with too few states');
    invariant(values.length >= slotCount, 'BUG: frame with too few values');
    invariant(key || memory.step >= 0, 'BUG: the first frame is not a key frame');
    if (key) memory.clear();
    invariant(slotCount >= memory.slotCount, 'BUG: frame with fewer slots than before');
    memory.grow(slotCount);
    memory.step = key ? 0 : memory.step + 1;

    findChanged(memory, slotCount, states, values);
    const method = chooseMethod(CHANGED, memory.changed, TOGGLED, slotCount);
    const writer = this.#writer;
    writer.clear();
    writer.u8((VERSION << 4) | method);
    writer.varint(layoutVersion);
    writer.varint(memory.step);
    writer.varint(slotCount);
    writeSet(writer, method, CHANGED, TOGGLED, slotCount);
    this.#putChanged(states, values);
    COLUMN.finish(writer);
    memory.keep(CHANGED);
    return writer.view();
  }

  #putChanged(states: Uint8Array, values: Float64Array): void {
    const { classes, states: known, values: bases, bits } = this.#memory;
    const { list, count } = CHANGED;
    const column = COLUMN;
    column.begin(count);
    for (let i = 0; i < count; i++) {
      const slot = list[i];
      if (states[slot] === SampleState.value) {
        const value = values[slot];
        const kind = column.put(value, bases[slot], classes[slot]);
        known[slot] = SampleState.value;
        if (kind < FIRST_FORGOTTEN) {
          classes[slot] = kind;
          bases[slot] = value;
        } else setNormalNan(bits, slot);
      } else {
        column.mark(states[slot] === SampleState.stale ? CLASS_STALE : CLASS_NONE);
        known[slot] = SampleState.none;
        bases[slot] = 0;
      }
    }
  }

  /**
   * Payload of one loose frame, which needs no other; valid until the next call. Columns of
   * `count` entries, read during the call only. `baseTime` is the entry's time.
   */
  encodeLoose(
    layoutVersion: number,
    baseTime: number,
    count: number,
    slots: Uint32Array,
    times: Float64Array,
    states: Uint8Array,
    values: Float64Array,
  ): Uint8Array {
    invariant(count <= ENTRIES_MAX, 'BUG: loose frame with too many samples');
    const writer = this.#writer;
    writer.clear();
    writer.u8((VERSION << 4) | LOOSE);
    writer.varint(layoutVersion);
    writer.varint(count);
    let next = 0;
    for (let i = 0; i < count; i++) {
      writer.signed(slots[i] - next);
      next = slots[i] + 1;
    }
    writeTimes(writer, baseTime, count, times);
    writeStates(writer, count, states);
    const column = COLUMN;
    column.begin(count);
    for (let i = 0; i < count; i++) {
      if (states[i] === SampleState.stale) column.mark(CLASS_STALE);
      else column.put(values[i], looseBase(i, slots, values, states), 0);
    }
    column.finish(writer);
    return writer.view();
  }

  /** The frame encoded last will not be there: the next one must be a key frame. */
  forget(): void {
    this.#memory.step = -1;
  }
}

/** Fills CHANGED with the slots that are not the same as in the frame before. */
function findChanged(
  memory: Memory,
  slotCount: number,
  states: Uint8Array,
  values: Float64Array,
): void {
  const { states: known, bits, values: bases } = memory;
  const changed = CHANGED;
  const newBits = bitsOf(values);
  changed.begin(slotCount);
  for (let slot = 0, at = 0; slot < slotCount; slot++, at += 2) {
    const state = states[slot];
    if (state !== known[slot]) changed.push(slot);
    else if (state === SampleState.value) {
      // Fast path: the halves as they lie, no reading of doubles.
      if (newBits[at] === bits[at] && newBits[at + 1] === bits[at + 1]) continue;
      const value = values[slot];
      const base = bases[slot];
      if (value === value || base === base) changed.push(slot); // one NaN is as good as another
    }
  }
}

/** The value before in the same slot, where it stands right before; else 0. */
function looseBase(
  i: number,
  slots: Uint32Array,
  values: Float64Array,
  states: Uint8Array,
): number {
  if (i === 0 || slots[i] !== slots[i - 1] || states[i - 1] !== SampleState.value) return 0;
  return values[i - 1];
}

function writeTimes(
  writer: ByteWriter,
  baseTime: number,
  count: number,
  times: Float64Array,
): void {
  let near = Number.isInteger(baseTime) && Math.abs(baseTime) <= DELTA_TIME_MAX;
  for (let i = 0; i < count; i++) {
    invariant(Number.isInteger(times[i]), 'BUG: sample time is not an integer');
    near &&= Math.abs(times[i]) <= DELTA_TIME_MAX;
  }
  writer.u8(near ? TIMES_DELTA : TIMES_RAW);
  let before = baseTime;
  for (let i = 0; i < count; i++) {
    if (near) writer.signed(times[i] - before);
    else writer.f64(times[i]);
    before = times[i];
  }
}

function writeStates(writer: ByteWriter, count: number, states: Uint8Array): void {
  let stale = 0;
  for (let i = 0; i < count; i++) {
    const state = states[i];
    invariant(state === SampleState.value || state === SampleState.stale, 'BUG: no loose sample');
    if (state === SampleState.stale) stale++;
  }
  writer.u8(stale === 0 ? STATES_VALUES : STATES_BITMAP);
  if (stale === 0) return;
  for (let at = 0; at < count; at += 8) {
    let byte = 0;
    for (let i = at; i < at + 8 && i < count; i++) {
      if (states[i] === SampleState.stale) byte |= 1 << (i - at);
    }
    writer.u8(byte);
  }
}

/** Reads the frames of one group, one after the other. */
export class FrameDecoder {
  readonly #memory = new Memory();
  readonly #values = new ValueReader();
  /** Slots whose state is `value`. */
  #present = 0;
  /** Slots shown as stale in the last frame. */
  #stale: number[] = [];

  /**
   * A frame that needs no earlier one, or the one after the frame decoded last. `slotCountMax` is
   * how many slots the group's layouts describe, where the caller knows: memory is taken for no more.
   * @throws FormatError for anything else, and for malformed bytes; then the next must be a key frame.
   */
  decodeAligned(payload: Uint8Array, key: boolean, slotCountMax = SLOTS_MAX): AlignedFrame {
    const memory = this.#memory;
    const expected = key ? 0 : memory.step + 1;
    const known = key || memory.step >= 0;
    memory.step = -1; // until all of it was read
    const reader = new ByteReader(payload);
    const first = readFirst(reader);
    if (first === LOOSE) reader.fail('a loose frame where an aligned one is expected');
    if (!known) reader.fail('a frame without the frame before it');
    reader.varint();
    if (reader.varint() !== expected) reader.fail('a frame is missing before this one');
    const slotCount = reader.count(slotCountMax);
    for (const slot of this.#stale) memory.states[slot] = SampleState.none;
    this.#stale.length = 0;
    if (key) {
      memory.clear();
      this.#present = 0;
    }
    if (slotCount < memory.slotCount) reader.fail('fewer slots than before');
    memory.grow(slotCount);
    readSet(reader, first, CHANGED, memory.changed, slotCount);
    this.#values.begin(payload, reader);
    this.#takeChanged();
    this.#values.finish();
    skipSections(new ByteReader(payload, this.#values.position));
    memory.keep(CHANGED);
    memory.step = expected;
    const changed = CHANGED.count;
    const samples = this.#present + this.#stale.length;
    const { states, values } = memory;
    const present = this.#present;
    const changedSlots = CHANGED.list;
    return { slotCount, states, values, changed, changedSlots, samples, present };
  }

  #takeChanged(): void {
    const { states, values, bits, classes } = this.#memory;
    const { list, count } = CHANGED;
    const column = this.#values;
    let present = this.#present;
    for (let i = 0; i < count; i++) {
      const slot = list[i];
      const kind = column.next(classes[slot]);
      if (kind <= CLASS_NAN) {
        if (states[slot] !== SampleState.value) present++;
        states[slot] = SampleState.value;
        if (kind < FIRST_FORGOTTEN) {
          const value = column.read(kind, values[slot]);
          values[slot] = value;
          if (value !== value) setNormalNan(bits, slot);
          classes[slot] = kind;
        } else setNormalNan(bits, slot);
        continue;
      }
      if (states[slot] === SampleState.value) present--;
      values[slot] = 0;
      states[slot] = SampleState.none;
      if (kind === CLASS_STALE) {
        states[slot] = SampleState.stale;
        this.#stale.push(slot);
      }
    }
    this.#present = present;
  }

  /**
   * `baseTime` is the entry's time.
   * @throws FormatError
   */
  decodeLoose(payload: Uint8Array, baseTime: number): LooseFrame {
    const reader = new ByteReader(payload);
    if (readFirst(reader) !== LOOSE) reader.fail('an aligned frame where a loose one is expected');
    reader.varint();
    const count = reader.count(Math.min(ENTRIES_MAX, reader.remaining));
    const slots = new Uint32Array(count);
    let next = 0;
    for (let i = 0; i < count; i++) {
      const slot = next + reader.signed();
      if (slot < 0 || slot >= SLOTS_MAX) reader.fail('slot out of range');
      slots[i] = slot;
      next = slot + 1;
    }
    const times = readTimes(reader, baseTime, count);
    const states = readStates(reader, count);
    const values = new Float64Array(count);
    const bits = bitsOf(values);
    const column = this.#values;
    column.begin(payload, reader);
    for (let i = 0; i < count; i++) {
      const kind = column.next(0);
      if (kind < FIRST_FORGOTTEN) {
        values[i] = column.read(kind, looseBase(i, slots, values, states));
        if (values[i] !== values[i]) setNormalNan(bits, i);
      } else if (kind === CLASS_NAN) setNormalNan(bits, i);
      if (kind > CLASS_STALE || (kind === CLASS_STALE) !== (states[i] === SampleState.stale)) {
        reader.fail('states and classes do not agree');
      }
    }
    column.finish();
    skipSections(new ByteReader(payload, column.position));
    return { count, slots, times, states, values };
  }

  /** The next frame must be a key frame. */
  reset(): void {
    this.#memory.step = -1;
  }
}

/** Low half of the first byte. */
function readFirst(reader: ByteReader): number {
  const first = reader.u8();
  if (first >> 4 !== VERSION) reader.fail('frame of an unknown version');
  return first & 15;
}

function readTimes(reader: ByteReader, baseTime: number, count: number): Float64Array {
  const method = reader.u8();
  if (method > TIMES_RAW) reader.fail('unknown coding of times');
  const times = new Float64Array(count);
  let before = baseTime;
  for (let i = 0; i < count; i++) {
    const time: number = method === TIMES_RAW ? reader.f64() : before + reader.signed();
    if (!Number.isInteger(time)) reader.fail('time out of range');
    times[i] = time;
    before = time;
  }
  return times;
}

function readStates(reader: ByteReader, count: number): Uint8Array {
  const method = reader.u8();
  if (method > STATES_BITMAP) reader.fail('unknown coding of states');
  const states = new Uint8Array(count).fill(SampleState.value);
  if (method === STATES_VALUES) return states;
  const bitmap = reader.raw((count + 7) >> 3);
  for (let i = 0; i < count; i++) {
    if ((bitmap[i >> 3] >> (i & 7)) & 1) states[i] = SampleState.stale;
  }
  return states;
}

/** What later versions add: type, length, bytes. */
function skipSections(reader: ByteReader): void {
  while (reader.remaining > 0) {
    reader.varint();
    reader.bytes();
  }
}

/**
 * The layout version that a frame of either kind was written with.
 * @throws FormatError
 */
export function frameLayoutVersion(payload: Uint8Array): number {
  const reader = new ByteReader(payload);
  readFirst(reader);
  return reader.varint();
}
