/** Columns of integers to bytes; the smallest of several codings is taken. See tile.format.md, "Columns". */
import { BitWriter } from './bit-io.js';
import { scaledInteger } from './bits.js';
import { Coding, DECIMALS, type IntegerCoding, SCALES, SCALE_SHIFT } from './column-head.js';
import { QUOTIENT_MAX, RAW_BITS, RICE } from './residuals.js';
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

/** Bits that numbers in [0, range] need. */
function widthOf(range: number): number {
  return range < 2 ** 32 ? 32 - Math.clz32(range) : 64 - Math.clz32(Math.floor(range / 2 ** 32));
}

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

/** False where nothing was written because the range is too wide. */
export function encodeIntegers(
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
