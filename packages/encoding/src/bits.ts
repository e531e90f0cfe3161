/**
 * The bits of doubles. Columns are compared and written through a Uint32 view of the same memory,
 * which keeps every bit; a NaN that passes through a JS number may lose its payload.
 */
import { NORMAL_NAN_HIGH, NORMAL_NAN_LOW } from '@canopy/model';

const ONE = new Uint32Array(new Float64Array([1]).buffer);
/** Where the high and the low half of entry i stand in a Uint32 view: `2 * i + HIGH`. */
export const HIGH = ONE[1] === 0 ? 0 : 1;
export const LOW = 1 - HIGH;

/** The same memory as 32-bit halves. */
export function bitsOf(values: Float64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}

/** Writes the NaN that all others become. */
export function setNormalNan(bits: Uint32Array, index: number): void {
  bits[2 * index + HIGH] = NORMAL_NAN_HIGH;
  bits[2 * index + LOW] = NORMAL_NAN_LOW;
}

const SAFE = Number.MAX_SAFE_INTEGER;

/** Powers of ten: multiplication is exact enough, and division by them rounds as reading a decimal does. */
export const POWERS_OF_TEN: readonly number[] = Array.from({ length: 13 }, (_, k) =>
  Number(`1e${k}`),
);
/** Bytes often come in KiB or pages. Multiplication and division are exact. */
export const PER_KIB = 1 / 1024;
export const PER_PAGE = 1 / 4096;

/**
 * The integer m with `m / scale` having exactly the bits of `value`, or NaN where there is none.
 * `scale` is a power of ten or of two.
 */
export function scaledInteger(value: number, scale: number): number {
  if (scale === 1) {
    // Fast path: integers, by far the most.
    const whole = Math.floor(value) === value && value <= SAFE && value >= -SAFE;
    return whole && (value !== 0 || 1 / value > 0) ? value : Number.NaN;
  }
  const m = Math.round(value * scale);
  if (m / scale !== value || m > SAFE || m < -SAFE) return Number.NaN;
  // -0 is equal to 0 but not the same bits.
  if (m === 0 && 1 / value < 0) return Number.NaN;
  return m;
}

const PAIR = new Float64Array(2);
const PAIR_BITS = bitsOf(PAIR);

/** How many doubles `value` is above `origin` (by magnitude); meaningless far apart or across 0. */
export function ulpsBetween(value: number, origin: number): number {
  PAIR[0] = value;
  PAIR[1] = origin;
  const high = PAIR_BITS[HIGH] - PAIR_BITS[2 + HIGH];
  return high * 2 ** 32 + (PAIR_BITS[LOW] - PAIR_BITS[2 + LOW]);
}

/** The double `ulps` above `origin` (by magnitude); |ulps| < 2^31. */
export function addUlps(origin: number, ulps: number): number {
  PAIR[0] = origin;
  const low = PAIR_BITS[LOW] + ulps;
  if (low < 0) PAIR_BITS[HIGH] -= 1;
  else if (low >= 2 ** 32) PAIR_BITS[HIGH] += 1;
  PAIR_BITS[LOW] = low;
  return PAIR[0];
}

/** Sums of decimals and products with them are this near to one, as floats. */
export const ULPS_MAX = 1023;

/**
 * The integer m with `m / scale` at most ULPS_MAX doubles away from `value`, or NaN where there is
 * none: many exporters add decimals up or multiply by a decimal fraction.
 */
export function nearInteger(value: number, scale: number): number {
  const m = Math.round(value * scale);
  if (m === 0 || !(m <= SAFE && m >= -SAFE)) return Number.NaN;
  return Math.abs(ulpsBetween(value, m / scale)) <= ULPS_MAX ? m : Number.NaN;
}
