/**
 * Decimals of up to 19 digits. Where the mantissa is below 2^53 and the power of ten at most 22 either way,
 * both are exact doubles, so one multiplication or division rounds once, as `Number()` does
 * (Clinger 1990); else `nearest.ts` knows. Everything else is left to the host.
 */
import { nearest, nearestDouble } from './nearest';

const POW10: StaticArray<f64> = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
  1e18, 1e19, 1e20, 1e21, 1e22,
];
const EXACT_BELOW: u64 = 1 << 53;
/** Digits that a u64 holds, whatever they are. */
const DIGITS_MAX: u32 = 19;

/** What `plainNumber` read last, and the address after it. */
export let number: f64 = 0;
export let numberEnd: u32 = 0;

function isDigit(c: u32): bool {
  return c - 48 <= 9;
}

/**
 * Reads the number at `start`; false where the text is anything else than a plain decimal followed by
 * a blank or a newline. A newline must come somewhere after `start`.
 */
export function plainNumber(start: u32): bool {
  let p = start;
  let c = <u32>load<u8>(p);
  const negative = c == 45;
  if (negative || c == 43) c = load<u8>(++p);
  let mantissa: u64 = 0;
  let mark = p;
  while (isDigit(c)) {
    mantissa = mantissa * 10 + <u64>(c - 48);
    c = load<u8>(++p);
  }
  let digits = p - mark;
  let power: i32 = 0;
  if (c == 46) {
    mark = p + 1;
    c = load<u8>(++p);
    while (isDigit(c)) {
      mantissa = mantissa * 10 + <u64>(c - 48);
      c = load<u8>(++p);
    }
    power = <i32>(mark - p);
    digits += p - mark;
  }
  // More digits may have overflowed.
  if (digits == 0 || digits > DIGITS_MAX) return false;
  if ((c | 32) == 101) {
    c = load<u8>(++p);
    const down = c == 45;
    if (down || c == 43) c = load<u8>(++p);
    let exponent: i32 = 0;
    mark = p;
    while (isDigit(c) && p - mark < 4) {
      exponent = exponent * 10 + <i32>(c - 48);
      c = load<u8>(++p);
    }
    if (p == mark) return false;
    power += down ? -exponent : exponent;
  }
  if (c != 10 && c != 32 && c != 9) return false;
  let value = <f64>mantissa;
  if (mantissa >= EXACT_BELOW || power < -22 || power > 22) {
    if (!nearestDouble(mantissa, power)) return false;
    value = nearest;
  } else if (power < 0) value /= unchecked(POW10[-power]);
  else if (power > 0) value *= unchecked(POW10[power]);
  number = negative ? -value : value;
  numberEnd = p;
  return true;
}
