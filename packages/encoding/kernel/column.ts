/* oxlint-disable no-loss-of-precision -- numbers of 64 bits are exact in AssemblyScript */
/** One column of doubles to bytes: `encodeColumn` of `src/column.ts`. */
import { INTEGERS_AT, ULPS_AT, WHOLE_AT } from './areas';
import { PER_KIB, PER_PAGE, SCALE_KIB, SCALES_DECIMAL, isPlain, scaleOf } from './scales';
import { TOO_WIDE, encodeIntegers } from './integers';
import { encodeXor } from './xor';

/** In place of an end: nothing was written, the twin must do it. */
export const GIVEN_UP: u32 = 0;

const CODING_CONSTANT_BITS: u32 = 2;
const CODING_XOR: u32 = 6;
const CODING_NEAR: u32 = 7;

const SAFE: f64 = 9007199254740991;
const SIGN: u64 = 0x8000000000000000;
const NORMAL_NAN: u64 = 0x7ff8000000000001;
/** Integers up to this are not tried as KiB or pages. */
const KIB_MIN: i64 = 1 << 14;
const ULPS_MAX: i64 = 1023;

/** As `Math.round`: halves go up. */
function round(x: f64): f64 {
  const up = ceil<f64>(x);
  return up - 0.5 <= x ? up : up - 1;
}

/** The integer m with m / scale having exactly the bits of `value`, or NaN. */
function scaledInteger(value: f64, scale: f64): f64 {
  if (scale == 1) return isPlain(value) ? value : NaN;
  const m = round(value * scale);
  if (m / scale != value || m > SAFE || m < -SAFE) return NaN;
  if (m == 0 && reinterpret<u64>(value) == SIGN) return NaN;
  return m;
}

/** Fills INTEGERS_AT with i64 and returns the number of their scale, or -1 where a value has no such form. */
function toIntegers(values: u32, count: u32): i32 {
  let i: u32 = 0;
  while (i < count && isPlain(load<f64>(values + (i << 3)))) {
    store<i64>(INTEGERS_AT + (i << 3), <i64>load<f64>(values + (i << 3)));
    i++;
  }
  if (i == count) return toPages(count);
  let scale: u32 = 0;
  let last: u32 = 0;
  for (; i < count; i++) {
    const value = load<f64>(values + (i << 3));
    let m = scaledInteger(value, scaleOf(scale));
    while (m != m) {
      if (++scale == SCALES_DECIMAL) return -1;
      last = i;
      m = scaledInteger(value, scaleOf(scale));
    }
    store<i64>(INTEGERS_AT + (i << 3), <i64>m);
  }
  // Those before the last that needed more digits.
  const by = scaleOf(scale);
  for (i = 0; i < last; i++) {
    const m = scaledInteger(load<f64>(values + (i << 3)), by);
    if (m != m) return -1;
    store<i64>(INTEGERS_AT + (i << 3), <i64>m);
  }
  return <i32>scale;
}

/** Where all integers are whole KiB or pages, and not small, makes them that. */
function toPages(count: u32): i32 {
  let bits: i64 = 0;
  let large = false;
  for (let i: u32 = 0; i < count; i++) {
    const m = load<i64>(INTEGERS_AT + (i << 3));
    bits |= m;
    if ((bits & 1023) != 0) return 0;
    if (m > KIB_MIN || m < -KIB_MIN) large = true;
  }
  if (!large) return 0;
  const pages = (bits & 4095) == 0;
  const shift: i64 = pages ? PER_PAGE : PER_KIB;
  for (let i: u32 = 0; i < count; i++) {
    const at = INTEGERS_AT + (i << 3);
    store<i64>(at, load<i64>(at) >> shift);
  }
  return pages ? SCALE_KIB + 1 : SCALE_KIB;
}

/** Writes `count` values at `to`; returns the end, or GIVEN_UP. May change NaN in place. */
export function encodeColumn(to: u32, values: u32, count: u32): u32 {
  if (count == 0) {
    store<u8>(to, 0);
    return to + 1;
  }
  const scale = toIntegers(values, count);
  if (scale >= 0) {
    const end = encodeIntegers(to, values, count, <u32>scale);
    return end == TOO_WIDE ? GIVEN_UP : end;
  }
  normalizeNan(values, count);
  if (isConstant(values, count)) {
    store<u8>(to, CODING_CONSTANT_BITS);
    store<u64>(to + 1, load<u64>(values));
    return to + 9;
  }
  const middle = encodeNear(to, values, count);
  if (middle == GIVEN_UP) return GIVEN_UP;
  store<u8>(middle, CODING_XOR);
  const end = encodeXor(middle + 1, values, count);
  const nearSize = middle - to;
  const xorSize = end - middle;
  if (nearSize == 0) return end;
  if (xorSize >= nearSize) return middle;
  memory.copy(to, middle, xorSize);
  return to + xorSize;
}

function normalizeNan(values: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const at = values + (i << 3);
    const value = load<f64>(at);
    if (value != value) store<u64>(at, NORMAL_NAN);
  }
}

function isConstant(values: u32, count: u32): bool {
  const first = load<u64>(values);
  for (let i: u32 = 1; i < count; i++) if (load<u64>(values + (i << 3)) != first) return false;
  return true;
}

/** Distance of `value` from m / scale in doubles, by magnitude; one too large where it is not near. */
function ulpsFrom(value: f64, m: f64, scale: f64): i64 {
  if (m == 0 || !(m <= SAFE && m >= -SAFE)) return ULPS_MAX + 1;
  return <i64>(reinterpret<u64>(value) - reinterpret<u64>(m / scale));
}

/** A column of integers and one of doubles between. Returns the end: `to` where there is none. */
function encodeNear(to: u32, values: u32, count: u32): u32 {
  for (let exponent: u32 = 3; exponent <= 9; exponent += 3) {
    const scale = scaleOf(exponent);
    let i: u32 = 0;
    for (; i < count; i++) {
      const value = load<f64>(values + (i << 3));
      const m = round(value * scale);
      const ulps = ulpsFrom(value, m, scale);
      if (ulps > ULPS_MAX || ulps < -ULPS_MAX) break;
      store<f64>(WHOLE_AT + (i << 3), m);
      store<f64>(ULPS_AT + (i << 3), <f64>ulps);
    }
    if (i < count) continue;
    store<u8>(to, (exponent << 3) | CODING_NEAR);
    const middle = encodeWhole(to + 1, WHOLE_AT, count);
    return middle == GIVEN_UP ? GIVEN_UP : encodeWhole(middle, ULPS_AT, count);
  }
  return to;
}

/** A column of integers. */
function encodeWhole(to: u32, values: u32, count: u32): u32 {
  const scale = toIntegers(values, count);
  if (scale < 0) return GIVEN_UP;
  const end = encodeIntegers(to, values, count, <u32>scale);
  return end == TOO_WIDE ? GIVEN_UP : end;
}
