/**
 * The shortest decimal that reads back as a double, of those the nearest: Schubfach (R. Giulietti, "The
 * Schubfach way to render doubles", 2020), as the decimal integer `digits` and a power of ten.
 */
import { POWERS_AT, POWER_MIN } from './areas';

const HIDDEN: u64 = 1 << 52;
const LOW: u64 = 0xffffffff;
/** 2^64 / 10, rounded up. */
const TENTH: u64 = ((<u64>0x19999999) << 32) | 0x9999999a;

/** What `shortest` found last: the value is `digits` · 10^`power`; zeros may stand at the end. */
export let digits: u64 = 0;
export let power: i32 = 0;

/** The upper half of a product. */
function upper(a: u64, b: u64): u64 {
  const aLow = a & LOW;
  const aHigh = a >> 32;
  const bLow = b & LOW;
  const bHigh = b >> 32;
  const cross = aHigh * bLow + ((aLow * bLow) >> 32);
  return aHigh * bHigh + (cross >> 32) + (((cross & LOW) + aLow * bHigh) >> 32);
}

/** `x` times the power of ten (`high`, `low`), its upper 64 bits; the last bit says that more follows. */
function roundToOdd(high: u64, low: u64, x: u64): u64 {
  const middle = high * x;
  const sum = middle + upper(low, x);
  const top = upper(high, x) + <u64>(sum < middle);
  return top | <u64>(sum > 1);
}

/** Of a finite double above 0, given by its bits. */
export function shortest(bits: u64): void {
  const fraction = bits & (HIDDEN - 1);
  const exponent = <i32>(bits >> 52);
  const isNormal = exponent != 0;
  const c = isNormal ? fraction | HIDDEN : fraction;
  const q = isNormal ? exponent - 1075 : -1074;
  // The interval of what reads back as this double; at a power of two it is shorter below.
  const isEdge = fraction == 0 && exponent > 1;
  const k = (q * 1262611 - (isEdge ? 524031 : 0)) >> 22;
  const h = <u64>(q + ((-k * 1741647) >> 19) + 1);
  const at = POWERS_AT + 16 * <u32>(-k - POWER_MIN);
  const high = load<u64>(at);
  const low = load<u64>(at + 8);
  const open = c & 1;
  const least = roundToOdd(high, low, ((c << 2) - (isEdge ? 1 : 2)) << h) + open;
  const middle = roundToOdd(high, low, (c << 2) << h);
  const most = roundToOdd(high, low, ((c << 2) + 2) << h) - open;
  const s = middle >> 2;
  if (s >= 10) {
    // One digit less, where one of its two neighbours lies within.
    const tenth = upper(s, TENTH);
    const isBelow = least <= 40 * tenth;
    const isAbove = 40 * tenth + 40 <= most;
    if (isBelow != isAbove) {
      digits = tenth + <u64>isAbove;
      power = k + 1;
      return;
    }
  }
  const isBelow = least <= s << 2;
  const isAbove = (s << 2) + 4 <= most;
  const half = (s << 2) + 2;
  const isUp = isBelow != isAbove ? isAbove : middle > half || (middle == half && (s & 1) != 0);
  digits = s + <u64>isUp;
  power = k;
}
