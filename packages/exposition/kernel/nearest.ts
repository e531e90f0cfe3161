/* oxlint-disable no-loss-of-precision -- numbers of 64 bits are exact in AssemblyScript */
/**
 * Decimals of up to 19 digits that are no exact doubles: the nearest double by one 64 × 64 bit product,
 * rarely two (D. Lemire, "Number parsing at a gigabyte per second", 2021; N. Mushtak and D. Lemire, "Fast
 * number parsing without fallback", 2023). `src/walker.fuzz.ts` compares with `Number()`.
 */

/** Powers of ten in the table below: sums of durations and the like; others are left to the host. */
const POWER_MIN: i32 = -40;
const POWER_MAX: i32 = 22;

/**
 * For each power of ten, the 128 most significant bits of that power of five, high word first: cut off where it
 * is positive, its reciprocal rounded up where it is negative.
 */
const POW5: StaticArray<u64> = [
  0x8b61313bbabce2c6, 0x2323ac4b3b3da015, 0xae397d8aa96c1b77, 0xabec975e0a0d081a,
  0xd9c7dced53c72255, 0x96e7bd358c904a21, 0x881cea14545c7575, 0x7e50d64177da2e54,
  0xaa242499697392d2, 0xdde50bd1d5d0b9e9, 0xd4ad2dbfc3d07787, 0x955e4ec64b44e864,
  0x84ec3c97da624ab4, 0xbd5af13bef0b113e, 0xa6274bbdd0fadd61, 0xecb1ad8aeacdd58e,
  0xcfb11ead453994ba, 0x67de18eda5814af2, 0x81ceb32c4b43fcf4, 0x80eacf948770ced7,
  0xa2425ff75e14fc31, 0xa1258379a94d028d, 0xcad2f7f5359a3b3e, 0x096ee45813a04330,
  0xfd87b5f28300ca0d, 0x8bca9d6e188853fc, 0x9e74d1b791e07e48, 0x775ea264cf55347e,
  0xc612062576589dda, 0x95364afe032a819e, 0xf79687aed3eec551, 0x3a83ddbd83f52205,
  0x9abe14cd44753b52, 0xc4926a9672793543, 0xc16d9a0095928a27, 0x75b7053c0f178294,
  0xf1c90080baf72cb1, 0x5324c68b12dd6339, 0x971da05074da7bee, 0xd3f6fc16ebca5e04,
  0xbce5086492111aea, 0x88f4bb1ca6bcf585, 0xec1e4a7db69561a5, 0x2b31e9e3d06c32e6,
  0x9392ee8e921d5d07, 0x3aff322e62439fd0, 0xb877aa3236a4b449, 0x09befeb9fad487c3,
  0xe69594bec44de15b, 0x4c2ebe687989a9b4, 0x901d7cf73ab0acd9, 0x0f9d37014bf60a11,
  0xb424dc35095cd80f, 0x538484c19ef38c95, 0xe12e13424bb40e13, 0x2865a5f206b06fba,
  0x8cbccc096f5088cb, 0xf93f87b7442e45d4, 0xafebff0bcb24aafe, 0xf78f69a51539d749,
  0xdbe6fecebdedd5be, 0xb573440e5a884d1c, 0x89705f4136b4a597, 0x31680a88f8953031,
  0xabcc77118461cefc, 0xfdc20d2b36ba7c3e, 0xd6bf94d5e57a42bc, 0x3d32907604691b4d,
  0x8637bd05af6c69b5, 0xa63f9a49c2c1b110, 0xa7c5ac471b478423, 0x0fcf80dc33721d54,
  0xd1b71758e219652b, 0xd3c36113404ea4a9, 0x83126e978d4fdf3b, 0x645a1cac083126ea,
  0xa3d70a3d70a3d70a, 0x3d70a3d70a3d70a4, 0xcccccccccccccccc, 0xcccccccccccccccd,
  0x8000000000000000, 0x0000000000000000, 0xa000000000000000, 0x0000000000000000,
  0xc800000000000000, 0x0000000000000000, 0xfa00000000000000, 0x0000000000000000,
  0x9c40000000000000, 0x0000000000000000, 0xc350000000000000, 0x0000000000000000,
  0xf424000000000000, 0x0000000000000000, 0x9896800000000000, 0x0000000000000000,
  0xbebc200000000000, 0x0000000000000000, 0xee6b280000000000, 0x0000000000000000,
  0x9502f90000000000, 0x0000000000000000, 0xba43b74000000000, 0x0000000000000000,
  0xe8d4a51000000000, 0x0000000000000000, 0x9184e72a00000000, 0x0000000000000000,
  0xb5e620f480000000, 0x0000000000000000, 0xe35fa931a0000000, 0x0000000000000000,
  0x8e1bc9bf04000000, 0x0000000000000000, 0xb1a2bc2ec5000000, 0x0000000000000000,
  0xde0b6b3a76400000, 0x0000000000000000, 0x8ac7230489e80000, 0x0000000000000000,
  0xad78ebc5ac620000, 0x0000000000000000, 0xd8d726b7177a8000, 0x0000000000000000,
  0x878678326eac9000, 0x0000000000000000,
];

/** Explicit bits of a double's mantissa, and what its exponent is counted from. */
const MANTISSA_BITS: i32 = 52;
const EXPONENT_BIAS: i32 = 1023;
/** Low bits of the product's high word that are all set where the second product may carry into it. */
const UNSURE: u64 = 0x1ff;

/** What `nearestDouble` found. */
export let nearest: f64 = 0;

let low: u64 = 0;

/** High word of the 128 bit product; the low one is in `low`. */
function multiply(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const p00 = a0 * b0;
  const p01 = a0 * b1;
  const p10 = a1 * b0;
  const middle = (p00 >> 32) + (p01 & 0xffffffff) + (p10 & 0xffffffff);
  low = (p00 & 0xffffffff) | (middle << 32);
  return a1 * b1 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
}

/** Finds the double nearest to `digits` × 10^`power`, ties to even; false where that is left to the host. */
export function nearestDouble(digits: u64, power: i32): bool {
  if (digits == 0 || power < POWER_MIN || power > POWER_MAX) return false;
  const zeros = <i32>clz(digits);
  const w = digits << (<u64>zeros);
  const at = 2 * (power - POWER_MIN);
  let high = multiply(w, unchecked(POW5[at]));
  if ((high & UNSURE) == UNSURE) {
    const firstLow = low;
    const second = multiply(w, unchecked(POW5[at + 1]));
    low = firstLow + second;
    if (low < second) high++;
  }
  // Too near to call, by the first of the papers; the second shows that it does not matter.
  if (low == 0xffffffffffffffff && power < -27) return false;
  const upper = <i32>(high >> 63);
  const shift = <u64>(upper + 64 - MANTISSA_BITS - 3);
  let mantissa = high >> shift;
  // The power of two: log2(10) times the power of ten, in 16 bits after the point.
  let exponent = ((217706 * power) >> 16) + 63 + upper - zeros + EXPONENT_BIAS;
  // Half way between two doubles: only here may the product be exact.
  if (low <= 1 && power >= -4 && power <= 23 && (mantissa & 3) == 1) {
    if (mantissa << shift == high) mantissa &= ~(<u64>1);
  }
  mantissa = (mantissa + (mantissa & 1)) >> 1;
  if (mantissa >= (<u64>2) << MANTISSA_BITS) {
    mantissa = (<u64>1) << MANTISSA_BITS;
    exponent++;
  }
  mantissa &= ~((<u64>1) << MANTISSA_BITS);
  nearest = reinterpret<f64>(mantissa | ((<u64>exponent) << MANTISSA_BITS));
  return true;
}
