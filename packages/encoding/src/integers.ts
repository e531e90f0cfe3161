/** Columns of integers to bytes; the smallest of several codings is taken. See tile.format.md, "Columns". */
import { BitWriter } from './bit-io.js';
import { scaledInteger } from './bits.js';
import { CLASSES_MAX, classOf, makeCode, newClassCode, putClass, putHead } from './codes.js';
import { Coding, DECIMALS, type IntegerCoding, SCALES, SCALE_SHIFT } from './column-head.js';
import { CLASSES, GAPS, QUOTIENT_MAX, RAW_BITS, RICE } from './residuals.js';
import type { ByteWriter } from './varint.js';
import { encodeXor } from './xor.js';

/** Above this an integer coding is compared with exclusive-or. Bits a value. */
const WIDE = 30;
/** Integers up to this are not tried as KiB or pages. */
const KIB_MIN = 2 ** 14;

const SAFE = Number.MAX_SAFE_INTEGER;
const BIT_WRITER = new BitWriter();
/** Scratch of one call. */
let integers = new Float64Array(256);
let residuals = new Float64Array(256);
const CODE = newClassCode();

/** Fills `integers` and returns the number of their scale, or -1 where a value has no such form. */
export function toIntegers(values: Float64Array, count: number): number {
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

/** False where nothing was written because the range is too wide. `kept`: all codings are weighed. */
export function encodeIntegers(
  writer: ByteWriter,
  values: Float64Array,
  count: number,
  scale: number,
  kept: boolean,
): boolean {
  const head = scale << SCALE_SHIFT;
  const extent = measure(count);
  if (extent.min === extent.max) {
    writer.u8(head | Coding.constant);
    writer.signed(extent.min);
    return true;
  }
  if (extent.max - extent.min > SAFE / 2) return false;
  const marks = kept ? planMarks(extent.steps, count) : { bits: count - 1, parameter: -1 };
  const best = cheapest(extent, count, marks, kept);
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
  const gapParameter = best.coding === Coding.steps ? marks.parameter : -1;
  writer.u8(gapParameter < 0 ? best.width : GAPS | best.width);
  if (gapParameter >= 0) writer.u8(gapParameter);
  const out = BIT_WRITER;
  out.begin(writer.reserve(((best.bits + 2 * count) >> 3) + 64), writer.length);
  putColumn(out, best, count, gapParameter);
  writer.advance(out.finish());
  return true;
}

/** How a column of steps says where they are. */
interface Marks {
  readonly bits: number;
  /** Of the Rice code of gaps; -1: a bit for each entry. */
  readonly parameter: number;
}

/** A way to write an integer column; bits without the few of its head. */
interface Plan {
  readonly coding: IntegerCoding;
  readonly bits: number;
  /** What residuals are counted from: the least, or with other codes one in the middle. */
  readonly origin: number;
  /** Bits of each residual; from RICE on, the parameter of their Rice code; CLASSES. */
  readonly width: number;
}

function cheapest(extent: Extent, count: number, marks: Marks, kept: boolean): Plan {
  const { min, max, minDelta, maxDelta, minStep, maxStep, steps } = extent;
  const fixed = (coding: IntegerCoding, from: number, to: number, entries: number): Plan => {
    const width = classOf(to - from);
    const before = coding === Coding.steps ? marks.bits : 0;
    return { coding, bits: before + width * entries, origin: from, width };
  };
  const plans = [
    fixed(Coding.packed, min, max, count),
    fixed(Coding.deltas, minDelta, maxDelta, count - 1),
    fixed(Coding.steps, minStep, maxStep, steps),
  ];
  let best = plans[0];
  for (const plan of plans) if (plan.bits < best.bits) best = plan;
  // Few bits leave nothing to gain; other codes save where residuals are not all alike.
  if (best.bits < RICE_BITS_MIN) return best;
  for (const { coding, bits } of plans) {
    if (!kept && bits > 1.1 * best.bits) continue;
    const before = coding === Coding.steps ? marks.bits : 0;
    const entries = fillResiduals(coding, count);
    const origin = middle(entries);
    const rice = planRice(entries, origin);
    if (before + rice.bits < best.bits) {
      best = { coding, origin, bits: before + rice.bits, width: rice.width };
    }
    if (!kept) continue;
    const classes = before + countClasses(entries, origin);
    if (classes < best.bits) best = { coding, origin, bits: classes, width: CLASSES };
  }
  return best;
}

/** Fills `residuals` with the numbers that a coding writes; returns how many there are. */
function fillResiduals(coding: IntegerCoding, count: number): number {
  if (coding === Coding.packed) {
    for (let i = 0; i < count; i++) residuals[i] = integers[i];
    return count;
  }
  let entries = 0;
  for (let i = 1; i < count; i++) {
    const delta = integers[i] - integers[i - 1];
    if (delta !== 0 || coding === Coding.deltas) residuals[entries++] = delta;
  }
  return entries;
}

const RICE_BITS_MIN = 160;

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

/** The mean of the residuals without the two extremes. */
function middle(entries: number): number {
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < entries; i++) {
    const residual = residuals[i];
    sum += residual;
    if (residual < min) min = residual;
    if (residual > max) max = residual;
  }
  return entries > 2 ? Math.round((sum - min - max) / (entries - 2)) : Math.round(sum / entries);
}

/** Rice codes, the parameter by the mean distance from the origin. */
function planRice(entries: number, origin: number): { bits: number; width: number } {
  let distance = 0;
  let farthest = 0;
  for (let i = 0; i < entries; i++) {
    const z = zigzag(residuals[i] - origin);
    distance += z;
    if (z > farthest) farthest = z;
  }
  const parameter = Math.min(
    44,
    classOf(Math.floor((distance - farthest) / Math.max(1, entries - 1))),
  );
  let best = { bits: Number.POSITIVE_INFINITY, width: 0 };
  // The mean is pulled up by what is far off: smaller parameters are tried too.
  for (let k = Math.max(0, parameter - 2); k <= parameter; k++) {
    const bits = riceBits(entries, origin, k);
    if (bits < best.bits) best = { bits, width: RICE + k };
  }
  return best;
}

function riceBits(entries: number, origin: number, parameter: number): number {
  const unit = 1 / 2 ** parameter;
  let bits = 0;
  for (let i = 0; i < entries; i++) {
    bits += riceSize(Math.floor(zigzag(residuals[i] - origin) * unit), parameter);
  }
  return bits;
}

function riceSize(quotient: number, parameter: number): number {
  return quotient <= QUOTIENT_MAX ? quotient + 1 + parameter : QUOTIENT_MAX + 1 + RAW_BITS;
}

/** Makes `CODE` for the residuals; bits with its head, infinity where it cannot be. */
function countClasses(entries: number, origin: number): number {
  CODE.counts.fill(0);
  for (let i = 0; i < entries; i++) {
    const c = classOf(zigzag(residuals[i] - origin));
    if (c >= CLASSES_MAX) return Number.POSITIVE_INFINITY;
    CODE.counts[c]++;
  }
  return makeCode(CODE);
}

/** Gaps between steps where those are few, else a bit for each entry. */
function planMarks(steps: number, count: number): Marks {
  let best = { bits: count - 1, parameter: -1 };
  if (2 * steps >= count) return best;
  const mean = Math.floor((count - 1 - steps) / (steps + 1));
  const least = Math.max(0, classOf(mean) - 2);
  for (let parameter = least; parameter <= least + 2; parameter++) {
    // With the byte that holds the parameter.
    let bits = 8;
    eachGap(count, (gap) => (bits += riceSize(gap >> parameter, parameter)));
    if (bits < best.bits) best = { bits, parameter };
  }
  return best;
}

/** Entries that stand still before each step, and behind the last one where there are any. */
function eachGap(count: number, use: (gap: number) => void): void {
  let gap = 0;
  for (let i = 1; i < count; i++) {
    if (integers[i] === integers[i - 1]) gap++;
    else {
      use(gap);
      gap = 0;
    }
  }
  if (gap > 0) use(gap);
}

function putColumn(out: BitWriter, plan: Plan, count: number, gapParameter: number): void {
  const { coding, origin, width } = plan;
  if (coding === Coding.steps && gapParameter < 0) {
    for (let i = 1; i < count; i++) out.put(integers[i] === integers[i - 1] ? 0 : 1, 1);
  }
  const entries = fillResiduals(coding, count);
  if (width === CLASSES) {
    countClasses(entries, origin);
    putHead(out, CODE);
  }
  if (gapParameter < 0) {
    putResiduals(out, 0, entries, plan);
    return;
  }
  let next = 0;
  eachGap(count, (gap) => {
    putRice(out, gap, gapParameter);
    if (next < entries) putResiduals(out, next, ++next, plan);
  });
}

/** Residuals `from` to `to`; those of classes with `CODE`. */
function putResiduals(out: BitWriter, from: number, to: number, { origin, width }: Plan): void {
  if (width <= RAW_BITS) for (let i = from; i < to; i++) out.put(residuals[i] - origin, width);
  else if (width === CLASSES) {
    for (let i = from; i < to; i++) putClass(out, CODE, zigzag(residuals[i] - origin));
  } else for (let i = from; i < to; i++) putRice(out, zigzag(residuals[i] - origin), width - RICE);
}

function putRice(out: BitWriter, z: number, parameter: number): void {
  const unit = 2 ** parameter;
  const quotient = Math.floor(z / unit);
  if (quotient <= QUOTIENT_MAX) {
    out.put((1 << quotient) - 1, quotient + 1); // ones, then a zero
    out.put(z - quotient * unit, parameter);
  } else {
    out.put((1 << (QUOTIENT_MAX + 1)) - 1, QUOTIENT_MAX + 1);
    out.put(z, RAW_BITS);
  }
}
