/**
 * Which slots of a frame changed. Four ways to write it, the smallest is taken.
 * See frame.format.md, "Changed slots".
 */
import type { ByteReader, ByteWriter } from './varint.js';
import { varintSize } from './varint.js';

/** Numbers are part of the format. */
export const SetMethod = { gaps: 0, toggles: 1, runs: 2, bitmap: 3 } as const;
export type SetMethod = (typeof SetMethod)[keyof typeof SetMethod];

/** Slots as a bitmap and as an ascending list. Scratch: made once, used again. */
export class SlotSet {
  /** Bit i of word w is slot 32 w + i. */
  words: Uint32Array = new Uint32Array(0);
  list = new Uint32Array(0);
  count = 0;

  /** Empties it and makes room for slots below `slotCount`. */
  begin(slotCount: number): void {
    this.count = 0;
    if (slotCount > this.list.length) {
      const capacity = Math.max(slotCount, 2 * this.list.length, 32);
      this.words = new Uint32Array((capacity + 31) >> 5);
      this.list = new Uint32Array(capacity);
    } else this.words.fill(0, 0, (slotCount + 31) >> 5);
  }

  /** Adds a slot above all that are there. */
  push(slot: number): void {
    this.list[this.count++] = slot;
    this.words[slot >> 5] |= 1 << (slot & 31);
  }
}

/**
 * The smallest method for `set`; `before` is the bitmap of the frame before, `toggled` gets the
 * list of slots that are in one of the two.
 */
export function chooseMethod(
  set: SlotSet,
  before: Uint32Array,
  toggled: SlotSet,
  slotCount: number,
): SetMethod {
  toggled.begin(slotCount);
  for (let w = 0; w < (slotCount + 31) >> 5; w++) {
    let word = set.words[w] ^ before[w];
    while (word !== 0) {
      const bit = 31 - Math.clz32(word & -word);
      word &= word - 1;
      toggled.list[toggled.count++] = 32 * w + bit;
    }
  }
  let method: SetMethod = SetMethod.bitmap;
  let best = (slotCount + 7) >> 3;
  const runs = runsSize(set);
  if (runs < best) [method, best] = [SetMethod.runs, runs];
  const toggles = gapsSize(toggled);
  if (toggles < best) [method, best] = [SetMethod.toggles, toggles];
  if (gapsSize(set) <= best) method = SetMethod.gaps;
  return method;
}

function gapsSize(set: SlotSet): number {
  let size = varintSize(set.count);
  let next = 0;
  for (let i = 0; i < set.count; i++) {
    const gap = set.list[i] - next;
    size += gap < 128 ? 1 : varintSize(gap);
    next = set.list[i] + 1;
  }
  return size;
}

function runsSize(set: SlotSet): number {
  let size = 0;
  let runs = 0;
  let next = 0;
  for (let i = 0; i < set.count; ) {
    const first = set.list[i];
    const start = i;
    while (i < set.count && set.list[i] === first + i - start) i++;
    size += varintSize(first - next) + varintSize(i - start - 1);
    next = first + i - start;
    runs++;
  }
  return size + varintSize(runs);
}

/** `toggled` as `chooseMethod` filled it. */
export function writeSet(
  writer: ByteWriter,
  method: SetMethod,
  set: SlotSet,
  toggled: SlotSet,
  slotCount: number,
): void {
  if (method === SetMethod.bitmap) writeBitmap(writer, set, slotCount);
  else if (method === SetMethod.runs) writeRuns(writer, set);
  else writeGaps(writer, method === SetMethod.gaps ? set : toggled);
}

function writeGaps(writer: ByteWriter, set: SlotSet): void {
  writer.varint(set.count);
  let next = 0;
  for (let i = 0; i < set.count; i++) {
    writer.varint(set.list[i] - next);
    next = set.list[i] + 1;
  }
}

function writeRuns(writer: ByteWriter, set: SlotSet): void {
  let runs = 0;
  for (let i = 0; i < set.count; i++) {
    if (i === 0 || set.list[i] !== set.list[i - 1] + 1) runs++;
  }
  writer.varint(runs);
  let next = 0;
  for (let i = 0; i < set.count; ) {
    const first = set.list[i];
    const start = i;
    while (i < set.count && set.list[i] === first + i - start) i++;
    writer.varint(first - next);
    writer.varint(i - start - 1);
    next = first + i - start;
  }
}

function writeBitmap(writer: ByteWriter, set: SlotSet, slotCount: number): void {
  for (let at = 0; at < slotCount; at += 8) {
    writer.u8((set.words[at >> 5] >>> (at & 31)) & 255);
  }
}

/**
 * Reads into `set`; `before` is the bitmap of the frame before.
 * @throws FormatError for slots at or above `slotCount`.
 */
export function readSet(
  reader: ByteReader,
  method: number,
  set: SlotSet,
  before: Uint32Array,
  slotCount: number,
): void {
  set.begin(slotCount);
  if (method === SetMethod.gaps) readGaps(reader, set, slotCount);
  else if (method === SetMethod.runs) readRuns(reader, set, slotCount);
  else if (method === SetMethod.toggles) {
    readGaps(reader, set, slotCount);
    const words = (slotCount + 31) >> 5;
    for (let w = 0; w < words; w++) set.words[w] ^= before[w];
    listWords(set, words);
  } else if (method === SetMethod.bitmap) {
    const bytes = reader.raw((slotCount + 7) >> 3);
    for (let i = 0; i < bytes.length; i++) set.words[i >> 2] |= bytes[i] << (8 * (i & 3));
    if ((slotCount & 7) !== 0 && bytes[bytes.length - 1] >> (slotCount & 7) !== 0) {
      reader.fail('changed slot out of range');
    }
    listWords(set, (slotCount + 31) >> 5);
  } else reader.fail('unknown way to say which slots changed');
}

function listWords(set: SlotSet, words: number): void {
  set.count = 0;
  for (let w = 0; w < words; w++) {
    let word = set.words[w];
    while (word !== 0) {
      set.list[set.count++] = 32 * w + 31 - Math.clz32(word & -word);
      word &= word - 1;
    }
  }
}

function readGaps(reader: ByteReader, set: SlotSet, slotCount: number): void {
  const count = reader.count(slotCount);
  let next = 0;
  for (let i = 0; i < count; i++) {
    const slot = next + reader.varint();
    if (slot >= slotCount) reader.fail('changed slot out of range');
    set.push(slot);
    next = slot + 1;
  }
}

function readRuns(reader: ByteReader, set: SlotSet, slotCount: number): void {
  const runs = reader.count(slotCount);
  let next = 0;
  for (let i = 0; i < runs; i++) {
    const first = next + reader.varint();
    next = first + reader.varint() + 1;
    if (next > slotCount) reader.fail('changed slot out of range');
    for (let slot = first; slot < next; slot++) set.push(slot);
  }
}
