/** Where things stand in the kernel's memory, all of it. */

/** Numbers of one call. */
export const COUNT_MAX: u32 = 1024;
/** Powers of ten: two u64 each, the upper half first; the host fills them in. */
export const POWERS_AT: u32 = 4096;
export const POWER_MIN: i32 = -292;
export const POWER_MAX: i32 = 324;
/** Digits of the number at hand, and what is copied beyond them. */
export const DIGITS_AT: u32 = POWERS_AT + 16 * <u32>(POWER_MAX - POWER_MIN + 1);
/** f64: numbers to print, and the times of points. */
export const VALUES_AT: u32 = DIGITS_AT + 64;
export const TIMES_AT: u32 = VALUES_AT + 8 * COUNT_MAX;
/** u32: where each number ends. */
export const ENDS_AT: u32 = TIMES_AT + 8 * COUNT_MAX;
/** Text. A point takes 49 bytes at most; copies go on for some more. */
/** Beginnings of points: 24 bytes of text, then how many of them count. */
export const STAMPS_AT: u32 = ENDS_AT + 4 * COUNT_MAX;
export const STAMP_SIZE: u32 = 28;
export const OUT_AT: u32 = STAMPS_AT + STAMP_SIZE * COUNT_MAX;
export const OUT_SIZE: u32 = 50 * COUNT_MAX;
export const MEMORY_END: u32 = OUT_AT + OUT_SIZE + 64;
