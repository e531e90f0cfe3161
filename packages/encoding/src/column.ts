/**
 * One column of doubles to bytes and back; the smallest of several codings is taken.
 * See tile.format.md, "Columns".
 */
import { FormatError } from '@canopy/model';
import { BitReader, BitWriter } from './bit-io.js';
import { HIGH, LOW, POWERS_OF_TEN, bitsOf, scaledInteger, setNormalNan } from './bits.js';
import type { ByteReader, ByteWriter } from './varint.js';

/** Bits 0 to 2 of a column's first byte; numbers are part of the format. */
const Coding = {
  empty: 0,
  constant: 1,
  constantBits: 2,
  packed: 3,
  deltas: 4,
  steps: 5,
  xor: 6,
} as const;
/** Bits 3 to 6 hold the exponent of ten; bit 7 is the caller's. */
const EXPONENT_SHIFT = 3;
const EXPONENT_MAX = 12;
export const CALLER_BIT = 128;
/** Above this an integer coding is compared with exclusive-or. Bits a value. */
const WIDE = 30;

const SAFE = Number.MAX_SAFE_INTEGER;
const BIT_WRITER = new BitWriter();
/** Scratch of one call. */
let integers = new Float64Array(256);

/** Bits that numbers in [0, range] need. */
function widthOf(range: number): number {
  return range < 2 ** 32 ? 32 - Math.clz32(range) : 64 - Math.clz32(Math.floor(range / 2 ** 32));
}

/** What an integer column looks like under each coding. */
interface Extent {
  readonly min: number;
  readonly max: number;
  readonly minDelta: number;
  readonly maxDelta: number;
  /** Of the deltas that are not 0, and how many there are. */
  readonly minStep: number;
  readonly maxStep: number;
  readonly steps: number;
}

/** Fills `integers` and returns the exponent of ten, or -1 where one of the values has no such form. */
function toIntegers(values: Float64Array, count: number): number {
  if (integers.length < count) integers = new Float64Array(2 * count);
  let exponent = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    let m = scaledInteger(values[i], POWERS_OF_TEN[exponent]);
    while (m !== m) {
      if (exponent === EXPONENT_MAX) return -1;
      exponent++;
      last = i;
      m = scaledInteger(values[i], POWERS_OF_TEN[exponent]);
    }
    integers[i] = m;
  }
  // Those before the last that needed more digits.
  for (let i = 0; i < last; i++) {
    integers[i] = scaledInteger(values[i], POWERS_OF_TEN[exponent]);
    if (integers[i] !== integers[i]) return -1;
  }
  return exponent;
}

function measure(count: number): Extent {
  let min = integers[0];
  let max = min;
  let minDelta = Number.POSITIVE_INFINITY;
  let maxDelta = Number.NEGATIVE_INFINITY;
  let minStep = Number.POSITIVE_INFINITY;
  let maxStep = Number.NEGATIVE_INFINITY;
  let steps = 0;
  for (let i = 1; i < count; i++) {
    const m = integers[i];
    if (m < min) min = m;
    if (m > max) max = m;
    const delta = m - integers[i - 1];
    if (delta < minDelta) minDelta = delta;
    if (delta > maxDelta) maxDelta = delta;
    if (delta === 0) continue;
    steps++;
    if (delta < minStep) minStep = delta;
    if (delta > maxStep) maxStep = delta;
  }
  return { min, max, minDelta, maxDelta, minStep, maxStep, steps };
}

/** The first `count` entries of `values`; `callerBit` 0 or CALLER_BIT comes back when it is read. */
export function encodeColumn(
  writer: ByteWriter,
  values: Float64Array,
  count: number,
  callerBit: number,
): void {
  if (count === 0) {
    writer.u8(callerBit | Coding.empty);
    return;
  }
  const exponent = toIntegers(values, count);
  if (exponent >= 0 && encodeIntegers(writer, values, count, exponent, callerBit)) return;
  if (isConstant(values, count)) {
    writer.u8(callerBit | Coding.constantBits);
    writer.f64(values[0]);
    return;
  }
  encodeXor(writer, values, count, callerBit);
}

function isConstant(values: Float64Array, count: number): boolean {
  const bits = bitsOf(values);
  for (let i = 2; i < 2 * count; i++) if (bits[i] !== bits[i - 2]) return false;
  return true;
}

/** False where nothing was written because exclusive-or may be smaller or the range is too wide. */
function encodeIntegers(
  writer: ByteWriter,
  values: Float64Array,
  count: number,
  exponent: number,
  callerBit: number,
): boolean {
  const head = callerBit | (exponent << EXPONENT_SHIFT);
  const extent = measure(count);
  if (extent.min === extent.max) {
    writer.u8(head | Coding.constant);
    writer.signed(extent.min);
    return true;
  }
  const range = extent.max - extent.min;
  const deltaRange = extent.maxDelta - extent.minDelta;
  const stepRange = extent.maxStep - extent.minStep;
  if (range > SAFE || deltaRange > SAFE) return false;
  const packedBits = widthOf(range) * count;
  const deltaBits = widthOf(deltaRange) * (count - 1);
  const stepBits = count - 1 + widthOf(stepRange) * extent.steps;
  const least = Math.min(packedBits, deltaBits, stepBits);
  if (least > WIDE * count) {
    const before = writer.length;
    encodeXor(writer, values, count, callerBit);
    if ((writer.length - before) * 8 <= least) return true;
    writer.advance(before);
  }
  if (packedBits === least) {
    writer.u8(head | Coding.packed);
    writer.signed(extent.min);
    pack(writer, count, widthOf(range), 0, extent.min);
    return true;
  }
  const bySteps = stepBits === least;
  writer.u8(head | (bySteps ? Coding.steps : Coding.deltas));
  writer.signed(integers[0]);
  if (bySteps) {
    writer.signed(extent.minStep);
    packSteps(writer, count, widthOf(stepRange), extent.minStep);
  } else {
    writer.signed(extent.minDelta);
    pack(writer, count, widthOf(deltaRange), 1, extent.minDelta);
  }
  return true;
}

/** Values (order 0) or deltas (order 1), less `least`, all of one width. */
function pack(writer: ByteWriter, count: number, width: number, order: 0 | 1, least: number): void {
  writer.u8(width);
  if (width === 0) return;
  BIT_WRITER.begin(writer.reserve(((count * width) >> 3) + 1), writer.length);
  for (let i = order; i < count; i++) {
    const value = order === 0 ? integers[i] : integers[i] - integers[i - 1];
    BIT_WRITER.put(value - least, width);
  }
  writer.advance(BIT_WRITER.finish());
}

/** For each delta a bit that says whether there is one, then those there are. */
function packSteps(writer: ByteWriter, count: number, width: number, least: number): void {
  writer.u8(width);
  BIT_WRITER.begin(writer.reserve(((count * (width + 1)) >> 3) + 2), writer.length);
  for (let i = 1; i < count; i++) BIT_WRITER.put(integers[i] === integers[i - 1] ? 0 : 1, 1);
  for (let i = 1; i < count; i++) {
    const delta = integers[i] - integers[i - 1];
    if (delta !== 0) BIT_WRITER.put(delta - least, width);
  }
  writer.advance(BIT_WRITER.finish());
}

/**
 * Each value exclusive-or the one before (Pelkonen et al., "Gorilla", VLDB 2015): bit 0 for the same;
 * 1 0 for bits within the window of the last one; 1 1, five bits of leading zeros, six of length - 1.
 */
function encodeXor(
  writer: ByteWriter,
  values: Float64Array,
  count: number,
  callerBit: number,
): void {
  writer.u8(callerBit | Coding.xor);
  const bits = bitsOf(values);
  const out = BIT_WRITER;
  out.begin(writer.reserve(10 * count + 8), writer.length);
  let leading = 64;
  let trailing = 0;
  let high = 0;
  let low = 0;
  for (let i = 0; i < count; i++) {
    const x = high ^ bits[2 * i + HIGH];
    const y = low ^ bits[2 * i + LOW];
    high = bits[2 * i + HIGH];
    low = bits[2 * i + LOW];
    if ((x | y) === 0) {
      out.put(0, 1);
      continue;
    }
    out.put(1, 1);
    const zerosBefore = Math.min(31, x !== 0 ? Math.clz32(x) : 32 + Math.clz32(y));
    const zerosAfter = y !== 0 ? 31 - Math.clz32(y & -y) : 63 - Math.clz32(x & -x);
    const length = 64 - zerosBefore - zerosAfter;
    // A window much wider than needed costs more than a new one.
    const inWindow = zerosBefore >= leading && zerosAfter >= trailing;
    if (inWindow && 64 - leading - trailing <= length + 11) out.put(0, 1);
    else {
      leading = zerosBefore;
      trailing = zerosAfter;
      out.put(1, 1);
      out.put(leading, 5);
      out.put(length - 1, 6);
    }
    putWindow(x, y, trailing, 64 - leading - trailing);
  }
  writer.advance(out.finish());
}

/** `width` bits of the pair from bit `trailing` up. */
function putWindow(high: number, low: number, trailing: number, width: number): void {
  let lowBits = 0;
  if (trailing < 32) {
    lowBits = Math.min(width, 32 - trailing);
    const part = low >>> trailing;
    BIT_WRITER.put(lowBits === 32 ? part : part % 2 ** lowBits, lowBits);
  }
  const highBits = width - lowBits;
  if (highBits === 0) return;
  const part = high >>> Math.max(0, trailing - 32);
  BIT_WRITER.put(highBits === 32 ? part : part % 2 ** highBits, highBits);
}

/**
 * Reads a column of `count` entries into `out` at `offset`; `first` is its first byte, read already.
 * `bits` is the memory of `out` as halves.
 * @throws FormatError
 */
export function decodeColumn(
  reader: ByteReader,
  bytes: Uint8Array,
  first: number,
  count: number,
  out: Float64Array,
  bits: Uint32Array,
  offset: number,
): void {
  const coding = first & 7;
  const exponent = (first >> EXPONENT_SHIFT) & 15;
  if (exponent > EXPONENT_MAX) reader.fail('exponent out of range');
  if ((coding === Coding.empty) !== (count === 0)) reader.fail('column of a wrong length');
  const scale = POWERS_OF_TEN[exponent];
  switch (coding) {
    case Coding.empty:
      return;
    case Coding.constant:
      out.fill(reader.signed() / scale, offset, offset + count);
      return;
    case Coding.constantBits: {
      const value = reader.f64();
      if (value === value) out.fill(value, offset, offset + count);
      else for (let i = 0; i < count; i++) setNormalNan(bits, offset + i);
      return;
    }
    case Coding.packed:
      return unpack(reader, bytes, count, out, offset, scale, 0);
    case Coding.deltas:
      return unpack(reader, bytes, count, out, offset, scale, 1);
    case Coding.steps:
      return unpackSteps(reader, bytes, count, out, offset, scale);
    case Coding.xor:
      return decodeXor(reader, bytes, count, out, bits, offset);
    default:
      return reader.fail('unknown coding of a column');
  }
}

function bitReader(reader: ByteReader, bytes: Uint8Array): BitReader {
  return new BitReader(bytes, reader.position, reader.position + reader.remaining);
}

function readWidth(reader: ByteReader): number {
  const width = reader.u8();
  if (width > 53) reader.fail('width out of range');
  return width;
}

function unpack(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  out: Float64Array,
  offset: number,
  scale: number,
  order: 0 | 1,
): void {
  let value = order === 0 ? 0 : reader.signed();
  const least = reader.signed();
  const width = readWidth(reader);
  const packed = bitReader(reader, bytes);
  if (order === 1) out[offset] = value / scale;
  for (let i = order; i < count; i++) {
    const step = least + (width === 0 ? 0 : packed.get(width));
    value = order === 0 ? step : value + step;
    out[offset + i] = value / scale;
  }
  reader.raw(packed.position - reader.position);
}

function unpackSteps(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  out: Float64Array,
  offset: number,
  scale: number,
): void {
  let value = reader.signed();
  const least = reader.signed();
  const width = readWidth(reader);
  const end = reader.position + reader.remaining;
  const marks = new BitReader(bytes, reader.position, end);
  // The steps begin in the middle of a byte: a second reader goes over the marks first.
  const steps = new BitReader(bytes, reader.position, end);
  for (let left = count - 1; left > 0; left -= 24) steps.get(Math.min(24, left));
  out[offset] = value / scale;
  for (let i = 1; i < count; i++) {
    if (marks.get(1) === 1) value += least + steps.get(width);
    out[offset + i] = value / scale;
  }
  reader.raw(steps.position - reader.position);
}

function decodeXor(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  out: Float64Array,
  bits: Uint32Array,
  offset: number,
): void {
  const packed = bitReader(reader, bytes);
  let trailing = -1;
  let width = 0;
  let high = 0;
  let low = 0;
  for (let i = 0; i < count; i++) {
    if (packed.get(1) === 1) {
      if (packed.get(1) === 1) {
        const leading = packed.get(5);
        width = packed.get(6) + 1;
        trailing = 64 - leading - width;
      }
      if (trailing < 0) throw new FormatError('bits out of range', packed.position);
      const lowBits = trailing < 32 ? Math.min(width, 32 - trailing) : 0;
      if (lowBits > 0) low ^= packed.get(lowBits) << trailing;
      if (width > lowBits) high ^= packed.get(width - lowBits) << Math.max(0, trailing - 32);
    }
    const at = offset + i;
    bits[2 * at + HIGH] = high;
    bits[2 * at + LOW] = low;
    if (out[at] !== out[at]) setNormalNan(bits, at);
  }
  reader.raw(packed.position - reader.position);
}
