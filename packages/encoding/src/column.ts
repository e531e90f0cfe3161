/**
 * One column of doubles to bytes and back; the smallest of several codings is taken.
 * See tile.format.md, "Columns".
 */
import { BitReader, BitWriter } from './bit-io.js';
import {
  PER_KIB,
  PER_PAGE,
  POWERS_OF_TEN,
  ULPS_MAX,
  addUlps,
  bitsOf,
  nearInteger,
  scaledInteger,
  setNormalNan,
  ulpsBetween,
} from './bits.js';
import type { ByteReader, ByteWriter } from './varint.js';
import { decodeXor, encodeXor } from './xor.js';

/** Bits 0 to 2 of a column's first byte; numbers are part of the format. */
const Coding = {
  empty: 0,
  constant: 1,
  constantBits: 2,
  packed: 3,
  deltas: 4,
  steps: 5,
  xor: 6,
  near: 7,
} as const;
type IntegerCoding = typeof Coding.packed | typeof Coding.deltas | typeof Coding.steps;
/** Bits 3 to 6 hold the number of a scale; bit 7 is clear. */
const SCALE_SHIFT = 3;
const SCALES = [...POWERS_OF_TEN, PER_KIB, PER_PAGE];
const DECIMALS = POWERS_OF_TEN.length;
/** Above this an integer coding is compared with exclusive-or. Bits a value. */
const WIDE = 30;
/** Integers up to this are not tried as KiB or pages. */
const KIB_MIN = 2 ** 14;

const SAFE = Number.MAX_SAFE_INTEGER;
const BIT_WRITER = new BitWriter();
/** Scratch of one call. */
let integers = new Float64Array(256);
let residuals = new Float64Array(256);

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

/** Fills `integers` and returns the number of their scale, or -1 where a value has no such form. */
function toIntegers(values: Float64Array, count: number): number {
  if (integers.length < count) {
    integers = new Float64Array(2 * count);
    residuals = new Float64Array(2 * count);
  }
  let scale = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    let m = scaledInteger(values[i], SCALES[scale]);
    while (m !== m) {
      if (++scale === DECIMALS) return -1;
      last = i;
      m = scaledInteger(values[i], SCALES[scale]);
    }
    integers[i] = m;
  }
  // Those before the last that needed more digits.
  for (let i = 0; i < last; i++) {
    integers[i] = scaledInteger(values[i], SCALES[scale]);
    if (integers[i] !== integers[i]) return -1;
  }
  return scale === 0 ? toPages(count) : scale;
}

/** Where all integers are whole KiB or pages, and not small, makes them that. */
function toPages(count: number): number {
  let large = false;
  let scale = DECIMALS + 1;
  for (let i = 0; i < count; i++) {
    const m = integers[i];
    if (m > KIB_MIN || m < -KIB_MIN) large = true;
    while (Math.floor(m * SCALES[scale]) !== m * SCALES[scale]) {
      if (--scale < DECIMALS) return 0;
    }
  }
  if (!large) return 0;
  for (let i = 0; i < count; i++) integers[i] *= SCALES[scale];
  return scale;
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

/** Writes the first `count` entries of `values`. */
export function encodeColumn(writer: ByteWriter, values: Float64Array, count: number): void {
  if (count === 0) {
    writer.u8(Coding.empty);
    return;
  }
  const scale = toIntegers(values, count);
  if (scale >= 0 && encodeIntegers(writer, values, count, scale)) return;
  if (isOneValue(values, count)) {
    writer.u8(Coding.constantBits);
    writer.f64(values[0]);
    return;
  }
  const before = writer.length;
  const near = encodeNear(writer, values, count);
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
function encodeNear(writer: ByteWriter, values: Float64Array, count: number): boolean {
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
    encodeColumn(writer, whole, count);
    encodeColumn(writer, ulps, count);
    return true;
  }
  return false;
}

function isOneValue(values: Float64Array, count: number): boolean {
  const bits = bitsOf(values);
  for (let i = 2; i < 2 * count; i++) if (bits[i] !== bits[i - 2]) return false;
  return true;
}

/** False where nothing was written because the range is too wide. */
function encodeIntegers(
  writer: ByteWriter,
  values: Float64Array,
  count: number,
  scale: number,
): boolean {
  const head = scale << SCALE_SHIFT;
  const extent = measure(count);
  if (extent.min === extent.max) {
    writer.u8(head | Coding.constant);
    writer.signed(extent.min);
    return true;
  }
  if (extent.max - extent.min > SAFE / 2) return false;
  const best = cheapest(extent, count);
  if (best.bits > WIDE * count) {
    const before = writer.length;
    writer.u8(Coding.xor);
    encodeXor(writer, values, count);
    if ((writer.length - before) * 8 <= best.bits) return true;
    writer.advance(before);
  }
  writer.u8(head | best.coding);
  if (best.coding !== Coding.packed) writer.signed(integers[0]);
  writer.signed(best.origin);
  writer.u8(best.width);
  const kept = fillResiduals(best.coding, count);
  const out = BIT_WRITER;
  out.begin(writer.reserve(((best.bits + count) >> 3) + 16), writer.length);
  if (best.coding === Coding.steps) {
    for (let i = 1; i < count; i++) out.put(integers[i] === integers[i - 1] ? 0 : 1, 1);
  }
  putResiduals(out, kept, best);
  writer.advance(out.finish());
  return true;
}

/** A way to write an integer column; bits without the few of its head. */
interface Plan {
  readonly coding: IntegerCoding;
  readonly bits: number;
  /** What residuals are counted from: the least, or with Rice codes one in the middle. */
  readonly origin: number;
  /** Bits of each residual; from RICE on, the parameter of their Rice code. */
  readonly width: number;
}

function cheapest(extent: Extent, count: number): Plan {
  const { min, max, minDelta, maxDelta, minStep, maxStep, steps } = extent;
  const fixed = (coding: IntegerCoding, from: number, to: number, kept: number): Plan => {
    const width = widthOf(to - from);
    const marks = coding === Coding.steps ? count - 1 : 0;
    return { coding, bits: marks + width * kept, origin: from, width };
  };
  const plans = [
    fixed(Coding.packed, min, max, count),
    fixed(Coding.deltas, minDelta, maxDelta, count - 1),
    fixed(Coding.steps, minStep, maxStep, steps),
  ];
  let best = plans[0];
  for (const plan of plans) if (plan.bits < best.bits) best = plan;
  // Few bits leave nothing to gain; Rice codes save where a few residuals are far from the others.
  if (best.bits < RICE_BITS_MIN) return best;
  for (const { coding, bits } of plans) {
    if (bits > 1.1 * best.bits) continue;
    const plan = planRice(coding, count);
    if (plan.bits < best.bits) best = plan;
  }
  return best;
}

/** Fills `residuals` with the numbers that a coding writes; returns how many there are. */
function fillResiduals(coding: IntegerCoding, count: number): number {
  if (coding === Coding.packed) {
    for (let i = 0; i < count; i++) residuals[i] = integers[i];
    return count;
  }
  let kept = 0;
  for (let i = 1; i < count; i++) {
    const delta = integers[i] - integers[i - 1];
    if (delta !== 0 || coding === Coding.deltas) residuals[kept++] = delta;
  }
  return kept;
}

/** Where a Rice code's quotient would be longer, the number follows as it is. */
const QUOTIENT_MAX = 23;
const RAW_BITS = 53;
const RICE = 64;
const RICE_BITS_MIN = 160;

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

/** Rice codes around the mean without the two extremes, the parameter by the mean distance. */
function planRice(coding: IntegerCoding, count: number): Plan {
  const kept = fillResiduals(coding, count);
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < kept; i++) {
    const residual = residuals[i];
    sum += residual;
    if (residual < min) min = residual;
    if (residual > max) max = residual;
  }
  const origin = kept > 2 ? Math.round((sum - min - max) / (kept - 2)) : Math.round(sum / kept);
  let distance = 0;
  let farthest = 0;
  for (let i = 0; i < kept; i++) {
    const z = zigzag(residuals[i] - origin);
    distance += z;
    if (z > farthest) farthest = z;
  }
  const parameter = Math.min(
    44,
    widthOf(Math.floor((distance - farthest) / Math.max(1, kept - 1))),
  );
  const marks = coding === Coding.steps ? count - 1 : 0;
  let best = { bits: Number.POSITIVE_INFINITY, width: 0 };
  // The mean is pulled up by what is far off: smaller parameters are tried too.
  for (let k = Math.max(0, parameter - 2); k <= parameter; k++) {
    const bits = marks + riceBits(kept, origin, k);
    if (bits < best.bits) best = { bits, width: RICE + k };
  }
  return { coding, origin, ...best };
}

function riceBits(kept: number, origin: number, parameter: number): number {
  const unit = 1 / 2 ** parameter;
  let bits = 0;
  for (let i = 0; i < kept; i++) {
    const quotient = Math.floor(zigzag(residuals[i] - origin) * unit);
    bits += quotient <= QUOTIENT_MAX ? quotient + 1 + parameter : QUOTIENT_MAX + 1 + RAW_BITS;
  }
  return bits;
}

function putResiduals(out: BitWriter, kept: number, { origin, width }: Plan): void {
  if (width < RICE) {
    for (let i = 0; i < kept; i++) out.put(residuals[i] - origin, width);
    return;
  }
  const parameter = width - RICE;
  const unit = 2 ** parameter;
  for (let i = 0; i < kept; i++) {
    const z = zigzag(residuals[i] - origin);
    const quotient = Math.floor(z / unit);
    if (quotient <= QUOTIENT_MAX) {
      out.put((1 << quotient) - 1, quotient + 1); // ones, then a zero
      out.put(z - quotient * unit, parameter);
    } else {
      out.put((1 << (QUOTIENT_MAX + 1)) - 1, QUOTIENT_MAX + 1);
      out.put(z, RAW_BITS);
    }
  }
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

function bitReader(reader: ByteReader, bytes: Uint8Array): BitReader {
  return new BitReader(bytes, reader.position, reader.position + reader.remaining);
}

/** Reads residuals: fixed width or Rice codes. */
function residualReader(reader: ByteReader): (packed: BitReader) => number {
  const origin = reader.signed();
  const width = reader.u8();
  if (width < RICE) {
    if (width > RAW_BITS) reader.fail('width out of range');
    if (width === 0) return () => origin;
    return (packed) => origin + packed.get(width);
  }
  const parameter = width - RICE;
  if (parameter > RAW_BITS) reader.fail('width out of range');
  const unit = 2 ** parameter;
  return (packed) => {
    const quotient = packed.ones(QUOTIENT_MAX + 1);
    const z =
      quotient > QUOTIENT_MAX ? packed.get(RAW_BITS) : quotient * unit + packed.get(parameter);
    const half = Math.floor(z / 2);
    return origin + (z === 2 * half ? half : -half - 1);
  };
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
  const next = residualReader(reader);
  const packed = bitReader(reader, bytes);
  if (order === 1) out[offset] = value / scale;
  for (let i = order; i < count; i++) {
    value = order === 0 ? next(packed) : value + next(packed);
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
  const next = residualReader(reader);
  const marks = bitReader(reader, bytes);
  // The steps begin in the middle of a byte: a second reader goes over the marks first.
  const steps = bitReader(reader, bytes);
  for (let left = count - 1; left > 0; left -= 24) steps.get(Math.min(24, left));
  out[offset] = value / scale;
  for (let i = 1; i < count; i++) {
    if (marks.get(1) === 1) value += next(steps);
    out[offset + i] = value / scale;
  }
  reader.raw(steps.position - reader.position);
}
