/**
 * Numbers and points as Prometheus's JSON has them. The host's twin is `src/printing/twin.ts`; both give the
 * same bytes.
 */
import {
  COUNT_MAX as COUNT,
  DIGITS_AT,
  ENDS_AT as ENDS,
  OUT_AT as OUT,
  OUT_SIZE as SIZE,
  POWERS_AT as POWERS,
  POWER_MAX as MAX,
  POWER_MIN as MIN,
  STAMPS_AT,
  STAMP_SIZE,
  TIMES_AT as TIMES,
  VALUES_AT as VALUES,
} from './areas';
import { digits, power, shortest } from './shortest';

export const VERSION: i32 = 1;
export const COUNT_MAX: u32 = COUNT;
export const POWERS_AT: u32 = POWERS;
export const POWER_MIN: i32 = MIN;
export const POWER_MAX: i32 = MAX;
export const VALUES_AT: u32 = VALUES;
export const TIMES_AT: u32 = TIMES;
export const ENDS_AT: u32 = ENDS;
export const OUT_AT: u32 = OUT;
export const OUT_SIZE: u32 = SIZE;

const SAFE: f64 = 9007199254740991;
/** Fifteen digits are always told apart. */
const FEW: f64 = 1e15;
const DIGITS: u32 = 17;
const ZEROS: u64 = <u64>0x30303030 * 0x100000001;
const NIBBLES: u64 = ((<u64>0x000f000f) << 32) | 0x000f000f;
const ZERO: u32 = 48;
const INFINITE: u64 = 0x7ff0000000000000;
const SIGN: u64 = 0x8000000000000000;
/** Exponents of ten from which on, and below which, there is an `e`. */
const LARGE: i32 = 21;
const SMALL: i32 = -6;

/** Eight digits as text, in the order of memory, of a number below 10^8. */
function eight(x: u32): u64 {
  const high = <u32>((<u64>x * 3518437209) >> 45);
  const fours = <u64>high | ((<u64>(x - high * 10000)) << 32);
  const hundreds = ((fours * 10486) >> 20) & 0x7f0000007f;
  const twos = ((fours - 100 * hundreds) << 16) + hundreds;
  const tens = ((twos * 103) >> 10) & NIBBLES;
  return ZEROS + tens + ((twos - 10 * tens) << 8);
}

/** Copies 24 bytes, which is more than any number's digits. */
function copyDigits(from: u32, to: u32): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to + 8, load<u64>(from + 8));
  store<u64>(to + 16, load<u64>(from + 16));
}

/** Writes 17 digits of `whole` with zeros in front; returns how many zeros. */
function spread(whole: u64): u32 {
  const high = whole / 100000000;
  const top = <u32>(high / 100000000);
  const middle = eight(<u32>high - top * 100000000);
  const low = eight(<u32>(whole - high * 100000000));
  store<u8>(DIGITS_AT, top + ZERO);
  store<u64>(DIGITS_AT + 1, middle);
  store<u64>(DIGITS_AT + 9, low);
  if (top != 0) return 0;
  if (middle != ZEROS) return 1 + (<u32>ctz<u64>(middle ^ ZEROS) >> 3);
  return 9 + (<u32>ctz<u64>((low ^ ZEROS) | SIGN) >> 3);
}

/** Writes a whole number; returns the address after it. */
function whole(value: u64, p: u32): u32 {
  if (value < 10) {
    store<u8>(p, ZERO + <u32>value);
    return p + 1;
  }
  const skipped = spread(value);
  copyDigits(DIGITS_AT + skipped, p);
  return p + DIGITS - skipped;
}

function exponentOf(e: i32, p: u32): u32 {
  store<u8>(p, 101); // e
  store<u8>(p + 1, e < 0 ? 45 : 43);
  const size = <u32>abs<i32>(e);
  p += 2;
  if (size >= 100) store<u8>(p++, ZERO + size / 100);
  store<u8>(p, ZERO + ((size / 10) % 10));
  store<u8>(p + 1, ZERO + (size % 10));
  return p + 2;
}

/** Writes `value` · 10^`exponent`. */
function decimal(value: u64, exponent: i32, p: u32): u32 {
  const first = DIGITS_AT + spread(value);
  let end = DIGITS_AT + DIGITS;
  if (load<u64>(end - 8) == ZEROS) end -= 8;
  while (load<u8>(end - 1) == ZERO) end--;
  const count = <i32>(end - first);
  /** Digits before the point. */
  const point = <i32>(DIGITS_AT + DIGITS - first) + exponent;
  if (point - 1 >= LARGE || point - 1 < SMALL) {
    store<u8>(p, load<u8>(first));
    if (count == 1) return exponentOf(point - 1, p + 1);
    store<u8>(p + 1, 46);
    copyDigits(first + 1, p + 2);
    return exponentOf(point - 1, p + 1 + count);
  }
  if (point <= 0) {
    store<u64>(p, ZEROS);
    store<u8>(p + 1, 46);
    copyDigits(first, p + 2 - point);
    return p + 2 - point + count;
  }
  copyDigits(first, p);
  if (count <= point) {
    for (let i = count; i < point; i++) store<u8>(p + i, ZERO);
    return p + point;
  }
  store<u8>(p + point, 46);
  copyDigits(first + point, p + point + 1);
  return p + count + 1;
}

/** Writes a number; returns the address after it. */
function print(value: f64, start: u32): u32 {
  let p = start;
  const bits = reinterpret<u64>(value);
  const size = bits & ~SIGN;
  if (size > INFINITE) {
    store<u32>(p, 0x4e614e); // NaN
    return p + 3;
  }
  if (size == INFINITE) {
    store<u32>(p, bits == size ? 0x666e492b : 0x666e492d); // +Inf, -Inf
    return p + 4;
  }
  if (bits != size) store<u8>(p++, 45);
  const positive = reinterpret<f64>(size);
  // Fast path: most are whole.
  if (positive <= SAFE && trunc<f64>(positive) == positive) return whole(<u64>positive, p);
  // Fast path: up to three decimals, and so few digits that no other decimal as short reads back the same.
  let scale: f64 = 10;
  for (let e = -1; e >= -3; e--) {
    const digits = nearest<f64>(positive * scale);
    if (digits < FEW && digits / scale == positive) return decimal(<u64>digits, e, p);
    scale *= 10;
  }
  shortest(size);
  return decimal(digits, power, p);
}

/** Writes milliseconds as seconds, with three decimals where they are needed. */
function printTime(ms: f64, start: u32): u32 {
  let p = start;
  if (ms < 0) store<u8>(p++, 45);
  const size = <u64>abs<f64>(ms);
  const seconds = size / 1000;
  const rest = <u32>(size - seconds * 1000);
  p = whole(seconds, p);
  if (rest == 0) return p;
  store<u8>(p, 46);
  store<u8>(p + 1, ZERO + rest / 100);
  store<u8>(p + 2, ZERO + ((rest / 10) % 10));
  store<u8>(p + 3, ZERO + (rest % 10));
  return p + 4;
}

/** Writes the first `count` values one after the other and notes where each ends. Returns the bytes. */
export function printNumbers(count: u32): u32 {
  let p = OUT;
  for (let i: u32 = 0; i < count; i++) {
    p = print(load<f64>(VALUES + 8 * i), p);
    store<u32>(ENDS + 4 * i, p - OUT);
  }
  return p - OUT;
}

/** Writes `[time,"` for each of the first `count` times, to stand before values. */
export function printStamps(count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const at = STAMPS_AT + STAMP_SIZE * i;
    store<u8>(at, 91);
    const end = printTime(load<f64>(TIMES + 8 * i), at + 1);
    store<u16>(end, 0x222c); // ,"
    store<u32>(at + 24, end + 2 - at);
  }
}

/** Writes `[time,"value"],` for each of the first `count` values, times as `printStamps` had them. Returns the bytes. */
export function printPoints(count: u32): u32 {
  let p = OUT;
  for (let i: u32 = 0; i < count; i++) {
    const stamp = STAMPS_AT + STAMP_SIZE * i;
    copyDigits(stamp, p);
    p = print(load<f64>(VALUES + 8 * i), p + load<u32>(stamp + 24));
    store<u32>(p, 0x2c5d22); // "],
    p += 3;
  }
  return p - OUT;
}
