/**
 * Numbers as bytes, the text of Go's strconv like `formatValue`, which has the last word: what is here are fast
 * paths for whole numbers and short decimals. Each function writes from `at` on and returns the place after it.
 */
import { formatValue } from './float-text.js';

const ZERO = 48;
const EXACT_BELOW = 2 ** 53;
/** Go writes exponents from here on. */
const EXPONENT_FROM = 1e6;
const DECIMALS = 6;
const SCALE = 10 ** DECIMALS;

/** At most 24 bytes. */
export function writeValue(out: Uint8Array, at: number, value: number): number {
  let p = at;
  let size = value;
  if (size < 0) {
    out[p++] = 45;
    size = -size;
  }
  if (Number.isInteger(size) && size < EXACT_BELOW && !Object.is(value, -0)) {
    return size < EXPONENT_FROM ? writeWhole(out, p, size) : writeLarge(out, p, size);
  }
  // Fast path: with so few decimals there is one shortest text, and the quotient is rounded like it.
  if (size >= 1e-4 && size < EXPONENT_FROM) {
    const scaled = Math.round(size * SCALE);
    if (scaled / SCALE === size) {
      const whole = Math.floor(scaled / SCALE);
      return writeFraction(out, writeWhole(out, p, whole), scaled - whole * SCALE, DECIMALS);
    }
  }
  return writeAscii(out, at, formatValue(value));
}

/** A time in seconds, shortest text. */
export function writeSeconds(out: Uint8Array, at: number, milliseconds: number): number {
  if (!(milliseconds >= 0 && milliseconds < 1e15)) {
    return writeAscii(out, at, `${milliseconds / 1000}`);
  }
  const seconds = Math.floor(milliseconds / 1000);
  return writeFraction(out, writeWhole(out, at, seconds), milliseconds - seconds * 1000, 3);
}

/** Digits only. */
export function writeWhole(out: Uint8Array, at: number, value: number): number {
  if (value >= 1e9) {
    if (!(value < EXACT_BELOW)) return writeAscii(out, at, `${value}`);
    const high = Math.floor(value / 1e9);
    return writeDigits(out, writeWhole(out, at, high), value - high * 1e9, 9);
  }
  if (value < 0) return writeAscii(out, at, `${value}`);
  let count = 1;
  for (let bound = 10; value >= bound; bound *= 10) count++;
  return writeDigits(out, at, value, count);
}

/** `count` digits of a number below 10^9, zeros in front. */
function writeDigits(out: Uint8Array, at: number, value: number, count: number): number {
  let rest = value | 0;
  for (let p = at + count - 1; p >= at; p--) {
    const tenth = (rest / 10) | 0;
    out[p] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return at + count;
}

/** `.25` of 250 and three decimals; nothing of 0. */
function writeFraction(out: Uint8Array, at: number, value: number, decimals: number): number {
  if (value === 0) return at;
  out[at] = 46;
  return withoutZeros(out, writeDigits(out, at + 1, value, decimals));
}

/** A whole number with an exponent, as `1.234567e+06`. */
function writeLarge(out: Uint8Array, at: number, value: number): number {
  // One place ahead: the point comes behind the first digit.
  const end = writeWhole(out, at + 1, value);
  const exponent = end - at - 2;
  out[at] = out[at + 1];
  out[at + 1] = 46;
  let p = withoutZeros(out, end);
  if (p === at + 2) p--;
  out[p++] = 101;
  out[p++] = 43;
  return writeDigits(out, p, exponent, 2);
}

/** There is another digit, or the point, before the zeros. */
function withoutZeros(out: Uint8Array, end: number): number {
  let p = end;
  while (out[p - 1] === ZERO) p--;
  return p;
}

function writeAscii(out: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
  return at + text.length;
}
