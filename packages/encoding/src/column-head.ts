/** The first byte of a column: its coding and its scale. See tile.format.md, "Columns". */
import { PER_KIB, PER_PAGE, POWERS_OF_TEN } from './bits.js';

/** Bits 0 to 2 of a column's first byte; numbers are part of the format. */
export const Coding = {
  empty: 0,
  constant: 1,
  constantBits: 2,
  packed: 3,
  deltas: 4,
  steps: 5,
  xor: 6,
  near: 7,
} as const;
export type IntegerCoding = typeof Coding.packed | typeof Coding.deltas | typeof Coding.steps;
/** Bits 3 to 6 hold the number of a scale; bit 7 is clear. */
export const SCALE_SHIFT = 3;
export const SCALES = [...POWERS_OF_TEN, PER_KIB, PER_PAGE];
/** Scales below this are powers of ten; KiB and pages follow. */
export const DECIMALS = POWERS_OF_TEN.length;

/** The scale of a column of integers with this first byte; undefined where it is none. */
export function integerScale(first: number): number | undefined {
  const coding = first & 7;
  const isIntegers =
    coding === Coding.constant || (coding >= Coding.packed && coding <= Coding.steps);
  return isIntegers && first < 128 ? SCALES[first >> SCALE_SHIFT] : undefined;
}

/** A scale by its number; undefined: there is none. */
export function scaleOf(number: number): number | undefined {
  return SCALES[number];
}
