/**
 * One column of doubles to bytes and back; the smallest of several codings is taken.
 * See tile.format.md, "Columns".
 */
import { ULPS_MAX, addUlps, bitsOf, nearInteger, setNormalNan, ulpsBetween } from './bits.js';
import { Coding, SCALES, SCALE_SHIFT } from './column-head.js';
import { encodeIntegers, toIntegers } from './integers.js';
import { unpack, unpackSteps } from './residuals.js';
import type { ByteReader, ByteWriter } from './varint.js';
import { decodeXor, encodeXor } from './xor.js';

/** Writes the first `count` entries of `values`; `kept`: for a tile that is kept long, see tile.format.md. */
export function encodeColumn(
  writer: ByteWriter,
  values: Float64Array,
  count: number,
  kept = false,
): void {
  if (count === 0) {
    writer.u8(Coding.empty);
    return;
  }
  const scale = toIntegers(values, count);
  if (scale >= 0 && encodeIntegers(writer, values, count, scale, kept)) return;
  if (isOneValue(values, count)) {
    writer.u8(Coding.constantBits);
    writer.f64(values[0]);
    return;
  }
  const before = writer.length;
  const near = encodeNear(writer, values, count, kept);
  const nearSize = writer.length - before;
  writer.u8(Coding.xor);
  encodeXor(writer, values, count);
  if (!near) return;
  const end = writer.length;
  if (end - before - nearSize >= nearSize) writer.advance(before + nearSize);
  else {
    writer.reserve(0).copyWithin(before, before + nearSize, end);
    writer.advance(end - nearSize);
  }
}

/** Exponents tried for columns that are near to decimals. */
const NEAR_EXPONENTS = [3, 6, 9];

/** A column of integers and one of doubles between; false where nothing was written. */
function encodeNear(
  writer: ByteWriter,
  values: Float64Array,
  count: number,
  kept: boolean,
): boolean {
  for (const exponent of NEAR_EXPONENTS) {
    const scale = SCALES[exponent];
    let i = 0;
    while (i < count && !Number.isNaN(nearInteger(values[i], scale))) i++;
    if (i < count) continue;
    const whole = new Float64Array(count);
    const ulps = new Float64Array(count);
    for (i = 0; i < count; i++) {
      whole[i] = nearInteger(values[i], scale);
      ulps[i] = ulpsBetween(values[i], whole[i] / scale);
    }
    writer.u8((exponent << SCALE_SHIFT) | Coding.near);
    encodeColumn(writer, whole, count, kept);
    encodeColumn(writer, ulps, count, kept);
    return true;
  }
  return false;
}

function isOneValue(values: Float64Array, count: number): boolean {
  const bits = bitsOf(values);
  for (let i = 2; i < 2 * count; i++) if (bits[i] !== bits[i - 2]) return false;
  return true;
}

/** Whether a column with this first byte holds one integer for all entries. */
export function isConstant(first: number): boolean {
  return (first & 7) === Coding.constant;
}

/**
 * As `decodeColumn`, of such a column.
 * @throws FormatError
 */
export function readConstant(
  reader: ByteReader,
  first: number,
  out: Float64Array,
  from: number,
  to: number,
): void {
  const scale = SCALES[(first >> SCALE_SHIFT) & 15];
  if (scale === undefined || from === to) reader.fail('column of a wrong length or scale');
  out.fill(reader.signed() / scale, from, to);
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
  if ((coding === Coding.empty) !== (count === 0)) reader.fail('column of a wrong length');
  const scale = SCALES[(first >> SCALE_SHIFT) & 15];
  if (scale === undefined) reader.fail('unknown scale of a column');
  switch (coding) {
    case Coding.empty:
      return;
    case Coding.constant:
      return readConstant(reader, first, out, offset, offset + count);
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
      return decodeNear(reader, bytes, count, out, bits, offset, scale);
  }
}

function decodeNear(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  out: Float64Array,
  bits: Uint32Array,
  offset: number,
  scale: number,
): void {
  const ulps = new Float64Array(count);
  const ulpsBits = bitsOf(ulps);
  const firstWhole = reader.u8();
  if ((firstWhole & 7) === Coding.near) reader.fail('columns in columns');
  decodeColumn(reader, bytes, firstWhole, count, out, bits, offset);
  const firstUlps = reader.u8();
  if ((firstUlps & 7) === Coding.near) reader.fail('columns in columns');
  decodeColumn(reader, bytes, firstUlps, count, ulps, ulpsBits, 0);
  for (let i = 0; i < count; i++) {
    if (!(Math.abs(ulps[i]) <= ULPS_MAX)) reader.fail('too far from a decimal');
    const value = addUlps(out[offset + i] / scale, ulps[i]);
    out[offset + i] = value;
    if (value !== value) setNormalNan(bits, offset + i);
  }
}
