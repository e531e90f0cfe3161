/** A column of integers (INTEGERS_AT) to bytes: `encodeIntegers` of `src/column.ts`. */
import { INTEGERS_AT, RESIDUALS_AT } from './areas';
import {
  CLASSES_MAX,
  COUNT_BITS,
  LENGTH_BITS,
  LOWEST_BITS,
  NO_CODE,
  assignCodes,
  clearCounts,
  codeAt,
  countClass,
  highest,
  lengthAt,
  lowest,
  makeCode,
} from './codes';
import { putSigned } from './put';
import { encodeXor } from './xor';

/** In place of an end: twice the range might not be exact as a double, as the twin has it. */
export const TOO_WIDE: u32 = 0;

const CODING_CONSTANT: u32 = 1;
const CODING_PACKED: u32 = 3;
const CODING_DELTAS: u32 = 4;
const CODING_STEPS: u32 = 5;
const CODING_XOR: u32 = 6;

const RANGE_MAX: i64 = 1 << 50;
/** Above this an integer coding is compared with exclusive-or. Bits a value. */
const WIDE: u32 = 30;
const RICE: u32 = 64;
const CLASSES: u32 = 120;
const GAPS: u32 = 128;
const RICE_BITS_MIN: u32 = 160;
const PARAMETER_MAX: u32 = 44;
/** Where a Rice code's quotient would be longer, the number follows as it is. */
const QUOTIENT_MAX: u64 = 23;
const RAW_BITS: u64 = 53;

/** The plan in hand, and that of Rice codes being weighed. */
let bestCoding: u32 = 0;
let bestBits: u32 = 0;
let bestOrigin: i64 = 0;
let bestWidth: u32 = 0;
let riceOrigin: i64 = 0;
let riceBits: u32 = 0;
let riceWidth: u32 = 0;
/** How a column of steps says where they are: bits, and the parameter of the Rice code of gaps, -1 for a bit each. */
let marksBits: u32 = 0;
let gapParameter: i32 = -1;
/** All codings are weighed. */
let isKept: bool = false;

export function weighAll(kept: bool): void {
  isKept = kept;
}

function integer(i: u32): i64 {
  return load<i64>(INTEGERS_AT + (i << 3));
}

function residual(i: u32): i64 {
  return load<i64>(RESIDUALS_AT + (i << 3));
}

function widthOf(range: i64): u32 {
  return 64 - <u32>clz<i64>(range);
}

function zigzag(value: i64): u64 {
  return <u64>((value << 1) ^ (value >> 63));
}

export function encodeIntegers(to: u32, values: u32, count: u32, scale: u32): u32 {
  const head = scale << 3;
  let last = integer(0);
  let min = last;
  let max = last;
  let minStep: i64 = i64.MAX_VALUE;
  let maxStep: i64 = i64.MIN_VALUE;
  let steps: u32 = 0;
  for (let i: u32 = 1; i < count; i++) {
    const m = integer(i);
    if (m == last) continue;
    const delta = m - last;
    last = m;
    steps++;
    min = m < min ? m : min;
    max = m > max ? m : max;
    minStep = delta < minStep ? delta : minStep;
    maxStep = delta > maxStep ? delta : maxStep;
  }
  if (min == max) {
    store<u8>(to, head | CODING_CONSTANT);
    return putSigned(to + 1, min);
  }
  if (max - min > RANGE_MAX) return TOO_WIDE;
  weigh(count, min, max, minStep, maxStep, steps);
  if (bestBits > WIDE * count) {
    store<u8>(to, CODING_XOR);
    const end = encodeXor(to + 1, values, count);
    if ((end - to) * 8 <= bestBits) return end;
  }
  store<u8>(to, head | bestCoding);
  let at = to + 1;
  if (bestCoding != CODING_PACKED) at = putSigned(at, integer(0));
  at = putSigned(at, bestOrigin);
  const hasGaps = bestCoding == CODING_STEPS && gapParameter >= 0;
  store<u8>(at++, hasGaps ? bestWidth | GAPS : bestWidth);
  if (hasGaps) store<u8>(at++, gapParameter);
  return hasGaps ? putGaps(at, count) : putBits(at, count);
}

/** Sets the best plan: the cheapest of fixed widths, then of Rice codes near it. */
function weigh(count: u32, min: i64, max: i64, minStep: i64, maxStep: i64, steps: u32): void {
  // Deltas: steps, and 0 where some stand still.
  const still = steps < count - 1;
  const minDelta: i64 = still && minStep > 0 ? 0 : minStep;
  const maxDelta: i64 = still && maxStep < 0 ? 0 : maxStep;
  const packed = widthOf(max - min);
  const packedBits = packed * count;
  const delta = widthOf(maxDelta - minDelta);
  const deltaBits = delta * (count - 1);
  const step = widthOf(maxStep - minStep);
  planMarks(steps, count);
  const stepBits = marksBits + step * steps;
  bestCoding = CODING_PACKED;
  bestBits = packedBits;
  bestOrigin = min;
  bestWidth = packed;
  if (deltaBits < bestBits) {
    bestCoding = CODING_DELTAS;
    bestBits = deltaBits;
    bestOrigin = minDelta;
    bestWidth = delta;
  }
  if (stepBits < bestBits) {
    bestCoding = CODING_STEPS;
    bestBits = stepBits;
    bestOrigin = minStep;
    bestWidth = step;
  }
  // Few bits leave nothing to gain; Rice codes save where a few residuals are far from the others.
  if (bestBits < RICE_BITS_MIN) return;
  if (isNear(packedBits)) weighRice(CODING_PACKED, count);
  if (isNear(deltaBits)) weighRice(CODING_DELTAS, count);
  if (isNear(stepBits)) weighRice(CODING_STEPS, count);
}

function isNear(bits: u32): bool {
  return isKept || !(<f64>bits > 1.1 * <f64>bestBits);
}

function weighRice(coding: u32, count: u32): void {
  const marks = coding == CODING_STEPS ? marksBits : 0;
  const entries = fillResiduals(coding, count);
  planRice(entries);
  weighPlan(coding, marks + riceBits, riceWidth);
  if (!isKept) return;
  const bits = countClasses(entries, riceOrigin);
  if (bits != NO_CODE) weighPlan(coding, marks + bits, CLASSES);
}

function weighPlan(coding: u32, bits: u32, width: u32): void {
  if (bits >= bestBits) return;
  bestCoding = coding;
  bestBits = bits;
  bestOrigin = riceOrigin;
  bestWidth = width;
}

/** Makes the code of classes for the residuals; bits with its head, or NO_CODE. */
function countClasses(entries: u32, from: i64): u32 {
  clearCounts();
  for (let i: u32 = 0; i < entries; i++) {
    const c = classOf(zigzag(residual(i) - from));
    if (c >= CLASSES_MAX) return NO_CODE;
    countClass(c);
  }
  return makeCode();
}

function classOf(z: u64): u32 {
  return 64 - <u32>clz<u64>(z);
}

/** Gaps between steps where those are few, else a bit for each entry. */
function planMarks(steps: u32, count: u32): void {
  marksBits = count - 1;
  gapParameter = -1;
  if (!isKept || steps << 1 >= count) return;
  const mean = widthOf(<i64>((count - 1 - steps) / (steps + 1)));
  const least = mean > 2 ? mean - 2 : 0;
  // With the byte that holds the parameter.
  let bits0: u64 = 8;
  let bits1: u64 = 8;
  let bits2: u64 = 8;
  let gap: u64 = 0;
  for (let i: u32 = 1; i <= count; i++) {
    if (i < count && integer(i) == integer(i - 1)) {
      gap++;
      continue;
    }
    // Behind the last step only where any stand still.
    if (i == count && gap == 0) break;
    bits0 += bitsOf(gap, least);
    bits1 += bitsOf(gap, least + 1);
    bits2 += bitsOf(gap, least + 2);
    gap = 0;
  }
  chooseGaps(bits0, least);
  chooseGaps(bits1, least + 1);
  chooseGaps(bits2, least + 2);
}

function chooseGaps(bits: u64, parameter: u32): void {
  if (bits >= <u64>marksBits) return;
  marksBits = <u32>bits;
  gapParameter = <i32>parameter;
}

/** Fills RESIDUALS_AT with the numbers that a coding writes; returns how many there are. */
function fillResiduals(coding: u32, count: u32): u32 {
  if (coding == CODING_PACKED) {
    memory.copy(RESIDUALS_AT, INTEGERS_AT, count << 3);
    return count;
  }
  let to = RESIDUALS_AT;
  let last = integer(0);
  const each = coding == CODING_DELTAS;
  for (let i: u32 = 1; i < count; i++) {
    const m = integer(i);
    store<i64>(to, m - last);
    if (each || m != last) to += 8;
    last = m;
  }
  return (to - RESIDUALS_AT) >> 3;
}

/** As `Math.round`. */
function round(x: f64): f64 {
  const up = ceil<f64>(x);
  return up - 0.5 <= x ? up : up - 1;
}

/**
 * Rice codes around the mean without the two extremes, the parameter by the mean distance. Sums are of
 * doubles, in the twin's order: they may round.
 */
function planRice(kept: u32): void {
  let sum: f64 = 0;
  let min: i64 = i64.MAX_VALUE;
  let max: i64 = i64.MIN_VALUE;
  for (let i: u32 = 0; i < kept; i++) {
    const r = residual(i);
    sum += <f64>r;
    min = r < min ? r : min;
    max = r > max ? r : max;
  }
  const origin =
    kept > 2 ? round((sum - <f64>min - <f64>max) / <f64>(kept - 2)) : round(sum / <f64>kept);
  const from = <i64>origin;
  let distance: f64 = 0;
  let farthest: u64 = 0;
  for (let i: u32 = 0; i < kept; i++) {
    const z = zigzag(residual(i) - from);
    distance += <f64>z;
    farthest = z > farthest ? z : farthest;
  }
  const others = kept > 1 ? kept - 1 : 1;
  const mean = widthOf(<i64>((distance - <f64>farthest) / <f64>others));
  const parameter = mean < PARAMETER_MAX ? mean : PARAMETER_MAX;
  // The mean is pulled up by what is far off: smaller parameters are tried too.
  const least = parameter > 2 ? parameter - 2 : 0;
  const high = <u64>parameter;
  let bits0: u64 = 0;
  let bits1: u64 = 0;
  let bits2: u64 = 0;
  const k1 = high >= 1 ? high - 1 : 0;
  const k2 = <u64>least;
  for (let i: u32 = 0; i < kept; i++) {
    const z = zigzag(residual(i) - from);
    bits0 += bitsOf(z, high);
    bits1 += bitsOf(z, k1);
    bits2 += bitsOf(z, k2);
  }
  let bits = bits2;
  let width = least;
  if (bits1 < bits) {
    bits = bits1;
    width = <u32>k1;
  }
  if (bits0 < bits) {
    bits = bits0;
    width = parameter;
  }
  riceOrigin = from;
  riceBits = <u32>bits;
  riceWidth = RICE + width;
}

function bitsOf(z: u64, parameter: u64): u64 {
  const quotient = z >> parameter;
  return quotient <= QUOTIENT_MAX ? quotient + 1 + parameter : QUOTIENT_MAX + 1 + RAW_BITS;
}

/** Marks, where the best plan has them, then its residuals. At most 7 bits wait between numbers. */
function putBits(to: u32, count: u32): u32 {
  const coding = bestCoding;
  const origin = bestOrigin;
  let at = to;
  let waiting: u64 = 0;
  let bits: u64 = 0;
  if (coding == CODING_STEPS) {
    let last = integer(0);
    for (let i: u32 = 1; i < count; i++) {
      const m = integer(i);
      waiting |= (<u64>(m != last)) << bits;
      last = m;
      if (++bits == 8) {
        store<u8>(at++, <u32>waiting);
        waiting = 0;
        bits = 0;
      }
    }
  }
  const kept = fillResiduals(coding, count);
  if (bestWidth < RICE) {
    const width = <u64>bestWidth;
    for (let i: u32 = 0; i < kept; i++) {
      waiting |= (<u64>(residual(i) - origin)) << bits;
      bits += width;
      store<u64>(at, waiting);
      const whole = bits >> 3;
      at += <u32>whole;
      waiting >>= whole << 3;
      bits &= 7;
    }
  } else if (bestWidth == CLASSES) {
    bitAt = at;
    bitWaiting = waiting;
    bitCount = bits;
    putClassHead(kept);
    for (let i: u32 = 0; i < kept; i++) putClass(zigzag(residual(i) - origin));
    return finishBits();
  } else {
    const parameter = <u64>(bestWidth - RICE);
    const mask = ((<u64>1) << parameter) - 1;
    for (let i: u32 = 0; i < kept; i++) {
      const z = zigzag(residual(i) - origin);
      const quotient = z >> parameter;
      const isRaw = quotient > QUOTIENT_MAX;
      // Ones, then a zero; 24 ones where the number follows as it is.
      waiting |= (((<u64>1) << (isRaw ? QUOTIENT_MAX + 1 : quotient)) - 1) << bits;
      bits += isRaw ? QUOTIENT_MAX + 1 : quotient + 1;
      store<u64>(at, waiting);
      let whole = bits >> 3;
      at += <u32>whole;
      waiting >>= whole << 3;
      bits &= 7;
      waiting |= (isRaw ? z : z & mask) << bits;
      bits += isRaw ? RAW_BITS : parameter;
      store<u64>(at, waiting);
      whole = bits >> 3;
      at += <u32>whole;
      waiting >>= whole << 3;
      bits &= 7;
    }
  }
  if (bits > 0) store<u8>(at++, <u32>waiting);
  return at;
}

/** Bits on their way: where the next byte goes, and up to 7 that wait. */
let bitAt: u32 = 0;
let bitWaiting: u64 = 0;
let bitCount: u64 = 0;

/** The low bits of `value`, which has no others; width ≤ 56. */
function put(value: u64, width: u64): void {
  bitWaiting |= value << bitCount;
  bitCount += width;
  store<u64>(bitAt, bitWaiting);
  const whole = bitCount >> 3;
  bitAt += <u32>whole;
  bitWaiting >>= whole << 3;
  bitCount &= 7;
}

function finishBits(): u32 {
  if (bitCount > 0) store<u8>(bitAt++, <u32>bitWaiting);
  return bitAt;
}

function putRice(z: u64, parameter: u64): void {
  const quotient = z >> parameter;
  if (quotient > QUOTIENT_MAX) {
    put(((<u64>1) << (QUOTIENT_MAX + 1)) - 1, QUOTIENT_MAX + 1);
    put(z, RAW_BITS);
    return;
  }
  put(((<u64>1) << quotient) - 1, quotient + 1);
  put(z & (((<u64>1) << parameter) - 1), parameter);
}

/** Makes the code of the residuals again and writes its head. */
function putClassHead(entries: u32): void {
  countClasses(entries, bestOrigin);
  assignCodes();
  put(lowest, LOWEST_BITS);
  put(highest - lowest, COUNT_BITS);
  for (let c = lowest; c <= highest; c++) put(lengthAt(c), LENGTH_BITS);
}

function putClass(z: u64): void {
  const c = classOf(z);
  put(codeAt(c), lengthAt(c));
  if (c > 1) put(z - ((<u64>1) << (c - 1)), c - 1);
}

/** A column of steps whose places are gaps: each gap, then the step. */
function putGaps(to: u32, count: u32): u32 {
  bitAt = to;
  bitWaiting = 0;
  bitCount = 0;
  const entries = fillResiduals(CODING_STEPS, count);
  if (bestWidth == CLASSES) putClassHead(entries);
  let gap: u64 = 0;
  let next: u32 = 0;
  for (let i: u32 = 1; i < count; i++) {
    if (integer(i) == integer(i - 1)) {
      gap++;
      continue;
    }
    putRice(gap, gapParameter);
    gap = 0;
    const apart = residual(next++) - bestOrigin;
    if (bestWidth == CLASSES) putClass(zigzag(apart));
    else if (bestWidth >= RICE) putRice(zigzag(apart), bestWidth - RICE);
    else put(<u64>apart, bestWidth);
  }
  if (gap > 0) putRice(gap, gapParameter);
  return finishBits();
}
