/** Scales of integer columns: their numbers are part of the format. */

/** 10^n for n below this; then KiB and pages. */
export const SCALES_DECIMAL: u32 = 13;
export const SCALE_KIB: i32 = 13;
/** Shifts. */
export const PER_KIB: i64 = 10;
export const PER_PAGE: i64 = 12;
export const SCALE_COUNT: u32 = 15;

const SAFE: f64 = 9007199254740991;
const SIGN: u64 = 0x8000000000000000;

const SCALES_AT: usize = memory.data<f64>([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 0.0009765625, 0.000244140625,
]);

export function scaleOf(number: u32): f64 {
  return load<f64>(SCALES_AT + ((<usize>number) << 3));
}

/** Whether a double is an integer that is exact, and not −0. */
export function isPlain(value: f64): bool {
  return trunc<f64>(value) == value && abs<f64>(value) <= SAFE && reinterpret<u64>(value) != SIGN;
}
