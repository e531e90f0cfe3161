/* oxlint-disable no-loss-of-precision -- numbers of 64 bits are exact in AssemblyScript */
/**
 * One column of bytes to doubles: `decodeColumn` of `src/column.ts`. Whatever is not as a writer writes
 * it is left to the twin, which knows what to say. Sums are of doubles, as the twin's.
 */
import { CODE_TABLE_AT, COUNT_MAX, OUT_AT, OUT_SIZE, ULPS_AT, VALUES_AT } from './areas';
import {
  COUNT_BITS,
  LENGTH_BITS,
  LOWEST_BITS,
  beginCode,
  fillTable,
  highest,
  lowest,
  setLength,
} from './codes';
import { SCALE_COUNT, scaleOf } from './scales';

const CODING_CONSTANT: u32 = 1;
const CODING_CONSTANT_BITS: u32 = 2;
const CODING_PACKED: u32 = 3;
const CODING_DELTAS: u32 = 4;
const CODING_STEPS: u32 = 5;
const CODING_XOR: u32 = 6;
const CODING_NEAR: u32 = 7;

const SAFE: u64 = (1 << 53) - 1;
const NORMAL_NAN: u64 = 0x7ff8000000000001;
const ULPS_MAX: f64 = 1023;
const QUOTIENT_MAX: u32 = 23;
const RAW_BITS: u32 = 53;
const RICE: u32 = 64;
const CLASSES: u32 = 120;
const GAPS: u32 = 128;
/** Bits: no slot has so many. */
const TOO_MANY: u32 = 16 * OUT_SIZE;

/** In place of an address: the twin must read it. */
const FAILED: u32 = 0;

/** What `signed` read last, and the address after it; FAILED where it is too large. */
let number: f64 = 0;
let numberEnd: u32 = 0;
/** Residuals: what they are counted from, and how they are written. */
let origin: f64 = 0;
let width: u32 = 0;
/** What a Rice code holds. */
let riceZ: f64 = 0;

function signed(from: u32): void {
  let at = from;
  let byte = <u64>load<u8>(at++);
  const negative = (byte & 1) != 0;
  let size: u64 = (byte >> 1) & 63;
  let shift: u64 = 6;
  while (byte >= 128) {
    if (shift > 48) {
      numberEnd = FAILED;
      return;
    }
    byte = <u64>load<u8>(at++);
    size |= (byte & 127) << shift;
    shift += 7;
  }
  number = negative ? -(<f64>size) - 1 : <f64>size;
  numberEnd = size < SAFE ? at : FAILED;
}

/** Bits from place `position` (in bits) of what begins at `base`; width ≤ 56. */
function bitsAt(base: u32, position: u32, mask: u64): u64 {
  return (load<u64>(base + (position >> 3)) >> <u64>(position & 7)) & mask;
}

function maskOf(bits: u32): u64 {
  return ((<u64>1) << (<u64>bits)) - 1;
}

/**
 * Decodes the column of `size` bytes at OUT_AT to `count` values at VALUES_AT. Returns whether it did, to
 * the byte.
 */
export function decodeSlot(size: u32, count: u32): bool {
  if (count == 0 || count > COUNT_MAX || size == 0 || size > OUT_SIZE) return false;
  const end = OUT_AT + size;
  if ((<u32>load<u8>(OUT_AT) & 7) == CODING_NEAR) return decodeNear(end, count);
  return decodePlain(OUT_AT, end, VALUES_AT, count) == end;
}

/** A column that is not near; returns the address after it. */
function decodePlain(from: u32, end: u32, out: u32, count: u32): u32 {
  const first = <u32>load<u8>(from);
  const coding = first & 7;
  const scaleNumber = (first >> 3) & 15;
  if (scaleNumber >= SCALE_COUNT) return FAILED;
  const scale = scaleOf(scaleNumber);
  if (coding == CODING_CONSTANT) {
    signed(from + 1);
    fill(out, number / scale, count);
    return numberEnd;
  }
  if (coding == CODING_CONSTANT_BITS) {
    const value = load<f64>(from + 1);
    fill(out, value == value ? value : reinterpret<f64>(NORMAL_NAN), count);
    return from + 9;
  }
  if (coding == CODING_XOR) return decodeXor(from + 1, end, out, count);
  if (coding < CODING_PACKED || coding > CODING_STEPS) return FAILED;
  let at = from + 1;
  let value: f64 = 0;
  if (coding != CODING_PACKED) {
    signed(at);
    value = number;
    at = numberEnd;
    if (at == FAILED) return FAILED;
  }
  signed(at);
  origin = number;
  at = numberEnd;
  if (at == FAILED) return FAILED;
  width = <u32>load<u8>(at++);
  const hasGaps = width >= GAPS;
  if (hasGaps) {
    width -= GAPS;
    if (coding != CODING_STEPS) return FAILED;
  }
  if (width != CLASSES && (width >= RICE ? width > RICE + RAW_BITS : width > RAW_BITS)) {
    return FAILED;
  }
  let gapParameter: u32 = 0;
  if (hasGaps) {
    gapParameter = <u32>load<u8>(at++);
    if (gapParameter > RAW_BITS) return FAILED;
  }
  const bits =
    coding == CODING_PACKED
      ? unpack(at, end, out, count, false, 0)
      : coding == CODING_DELTAS
        ? unpack(at, end, out, count, true, value)
        : hasGaps
          ? unpackGaps(at, end, out, count, value, gapParameter)
          : unpackSteps(at, end, out, count, value);
  const to = at + ((bits + 7) >> 3);
  if (to > end) return FAILED;
  if (scale != 1) {
    for (let i: u32 = 0; i < count; i++) {
      const place = out + (i << 3);
      store<f64>(place, load<f64>(place) / scale);
    }
  }
  return to;
}

function fill(out: u32, value: f64, count: u32): void {
  for (let i: u32 = 0; i < count; i++) store<f64>(out + (i << 3), value);
}

/** Bits of one Rice code, and its number in `riceZ`. */
function riceZAt(base: u32, position: u32, parameter: u32, unit: f64, mask: u64): u32 {
  const ones = <u32>ctz<u64>(~bitsAt(base, position, 0xffffff));
  if (ones > QUOTIENT_MAX) {
    riceZ = <f64>bitsAt(base, position + QUOTIENT_MAX + 1, (1 << 53) - 1);
    return QUOTIENT_MAX + 1 + RAW_BITS;
  }
  riceZ = <f64>ones * unit + <f64>bitsAt(base, position + ones + 1, mask);
  return ones + 1 + parameter;
}

/** Bits of one Rice code, and its residual in `number`. */
function riceAt(base: u32, position: u32, parameter: u32, unit: f64, mask: u64): u32 {
  const ones = <u32>ctz<u64>(~bitsAt(base, position, 0xffffff));
  let z: f64;
  let taken: u32;
  if (ones > QUOTIENT_MAX) {
    z = <f64>bitsAt(base, position + QUOTIENT_MAX + 1, (1 << 53) - 1);
    taken = QUOTIENT_MAX + 1 + RAW_BITS;
  } else {
    z = <f64>ones * unit + <f64>bitsAt(base, position + ones + 1, mask);
    taken = ones + 1 + parameter;
  }
  const half = floor<f64>(z * 0.5);
  number = origin + (z == 2 * half ? half : -half - 1);
  return taken;
}

/** Bits of the head of a code of classes, which fills the table; more than there can be where no writer makes it. */
function classHeadAt(base: u32, position: u32): u32 {
  const from = <u32>bitsAt(base, position, maskOf(LOWEST_BITS));
  const count = <u32>bitsAt(base, position + LOWEST_BITS, maskOf(COUNT_BITS));
  if (!beginCode(from, count)) return TOO_MANY;
  let taken = LOWEST_BITS + COUNT_BITS;
  for (let c = lowest; c <= highest; c++) {
    setLength(c, <u32>bitsAt(base, position + taken, maskOf(LENGTH_BITS)));
    taken += LENGTH_BITS;
  }
  return fillTable() ? taken : TOO_MANY;
}

/** Bits of one number with the code of its class, and its residual in `number`. */
function classAt(base: u32, position: u32): u32 {
  const word = load<u64>(base + (position >> 3)) >> <u64>(position & 7);
  const entry = <u32>load<u16>(CODE_TABLE_AT + ((<u32>(word & 255)) << 1));
  const c = <u64>(entry & 255);
  const length = entry >> 8;
  if (c <= 1) {
    // Zigzag: 1 is -1.
    number = c == 0 ? origin : origin - 1;
    return length;
  }
  const top = (<u64>1) << (c - 1);
  const z = top | ((word >> <u64>length) & (top - 1));
  number = origin + <f64>(<i64>(z >> 1) ^ -(<i64>(z & 1)));
  return length + <u32>c - 1;
}

/** Packed numbers or deltas; returns the bits taken. */
function unpack(base: u32, end: u32, out: u32, count: u32, isDeltas: bool, start: f64): u32 {
  const limit = (end - base) << 3;
  let position: u32 = 0;
  let value = start;
  let i: u32 = 0;
  if (isDeltas) {
    store<f64>(out, value);
    i = 1;
  }
  if (width < RICE) {
    const from = origin;
    const bits = width;
    const mask = maskOf(bits);
    for (; i < count; i++) {
      const part = from + <f64>bitsAt(base, position, mask);
      position += bits;
      value = isDeltas ? value + part : part;
      store<f64>(out + (i << 3), value);
    }
    return position;
  }
  if (width == CLASSES) {
    position = classHeadAt(base, position);
    for (; i < count && position < limit; i++) {
      position += classAt(base, position);
      value = isDeltas ? value + number : number;
      store<f64>(out + (i << 3), value);
    }
    return i < count ? limit + 8 : position;
  }
  const parameter = width - RICE;
  const unit = <f64>((<u64>1) << (<u64>parameter));
  const mask = maskOf(parameter);
  for (; i < count && position < limit; i++) {
    position += riceAt(base, position, parameter, unit, mask);
    value = isDeltas ? value + number : number;
    store<f64>(out + (i << 3), value);
  }
  return i < count ? limit + 8 : position;
}

/** Marks, then the steps where they say; returns the bits taken. */
function unpackSteps(base: u32, end: u32, out: u32, count: u32, start: f64): u32 {
  const limit = (end - base) << 3;
  let position = count - 1;
  if (position > limit) return limit + 8;
  let value = start;
  store<f64>(out, value);
  const from = origin;
  if (width < RICE) {
    const bits = width;
    const mask = maskOf(bits);
    for (let i: u32 = 1; i < count; i++) {
      if (bitsAt(base, i - 1, 1) != 0) {
        value += from + <f64>bitsAt(base, position, mask);
        position += bits;
        if (position > limit) return position;
      }
      store<f64>(out + (i << 3), value);
    }
    return position;
  }
  if (width == CLASSES) {
    position += classHeadAt(base, position);
    for (let i: u32 = 1; i < count; i++) {
      if (bitsAt(base, i - 1, 1) != 0) {
        if (position >= limit) return limit + 8;
        position += classAt(base, position);
        value += number;
      }
      store<f64>(out + (i << 3), value);
    }
    return position;
  }
  const parameter = width - RICE;
  const unit = <f64>((<u64>1) << (<u64>parameter));
  const mask = maskOf(parameter);
  for (let i: u32 = 1; i < count; i++) {
    if (bitsAt(base, i - 1, 1) != 0) {
      if (position >= limit) return limit + 8;
      position += riceAt(base, position, parameter, unit, mask);
      value += number;
    }
    store<f64>(out + (i << 3), value);
  }
  return position;
}

/** Each gap, then the step behind it; returns the bits taken. */
function unpackGaps(base: u32, end: u32, out: u32, count: u32, start: f64, parameter: u32): u32 {
  const limit = (end - base) << 3;
  const gapUnit = <f64>((<u64>1) << (<u64>parameter));
  const gapMask = maskOf(parameter);
  const bits = width < RICE ? width : width - RICE;
  const unit = <f64>((<u64>1) << (<u64>bits));
  const mask = maskOf(bits);
  let position = width == CLASSES ? classHeadAt(base, 0) : 0;
  let value = start;
  store<f64>(out, value);
  for (let i: u32 = 1; i < count; ) {
    if (position >= limit) return limit + 8;
    position += riceZAt(base, position, parameter, gapUnit, gapMask);
    if (riceZ > <f64>(count - i)) return limit + 8;
    const to = i + <u32>riceZ;
    for (; i < to; i++) store<f64>(out + (i << 3), value);
    if (i == count) break;
    if (position > limit) return limit + 8;
    if (width == CLASSES) position += classAt(base, position);
    else if (width >= RICE) position += riceAt(base, position, bits, unit, mask);
    else {
      number = origin + <f64>bitsAt(base, position, mask);
      position += bits;
    }
    value += number;
    store<f64>(out + (i++ << 3), value);
  }
  return position;
}

function decodeXor(base: u32, end: u32, out: u32, count: u32): u32 {
  const limit = (end - base) << 3;
  let position: u32 = 0;
  let trailing: i32 = -1;
  let bits: u32 = 0;
  let value: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (position >= limit) return FAILED;
    const head = bitsAt(base, position, 0x1fff);
    if ((head & 1) == 0) position++;
    else {
      if ((head & 2) == 0) position += 2;
      else {
        bits = <u32>(head >> 7) + 1;
        trailing = 64 - <i32>((head >> 2) & 31) - <i32>bits;
        position += 13;
      }
      if (trailing < 0) return FAILED;
      const low: u32 = bits < 32 ? bits : 32;
      let part = bitsAt(base, position, maskOf(low));
      if (bits > 32) part |= bitsAt(base, position + 32, maskOf(bits - 32)) << 32;
      position += bits;
      value ^= part << (<u64>trailing);
    }
    const double = reinterpret<f64>(value);
    store<u64>(out + (i << 3), double == double ? value : NORMAL_NAN);
  }
  return position > limit ? FAILED : base + ((position + 7) >> 3);
}

/** A column of integers and one of distances from them in doubles. */
function decodeNear(end: u32, count: u32): bool {
  const scaleNumber = (<u32>load<u8>(OUT_AT) >> 3) & 15;
  if (scaleNumber >= SCALE_COUNT) return false;
  const scale = scaleOf(scaleNumber);
  const middle = decodePlain(OUT_AT + 1, end, VALUES_AT, count);
  if (middle == FAILED || middle >= end) return false;
  if (decodePlain(middle, end, ULPS_AT, count) != end) return false;
  for (let i: u32 = 0; i < count; i++) {
    const place = VALUES_AT + (i << 3);
    const ulps = load<f64>(ULPS_AT + (i << 3));
    if (!(abs<f64>(ulps) <= ULPS_MAX) || trunc<f64>(ulps) != ulps) return false;
    const bits = reinterpret<u64>(load<f64>(place) / scale) + <u64>(<i64>ulps);
    const value = reinterpret<f64>(bits);
    store<u64>(place, value == value ? bits : NORMAL_NAN);
  }
  return true;
}
