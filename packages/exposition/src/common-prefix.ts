/**
 * Number of equal bytes from `aStart` in `a` and from `bStart` in `b`, at most `length`, which both
 * have. Sixteen bytes a step: DataView reads need no alignment and are as fast as typed arrays.
 */
export function commonPrefix(
  a: DataView,
  aStart: number,
  b: DataView,
  bStart: number,
  length: number,
): number {
  let i = 0;
  for (let x = aStart, y = bStart; i + 16 <= length; i += 16, x += 16, y += 16) {
    const difference =
      (a.getInt32(x, true) ^ b.getInt32(y, true)) |
      (a.getInt32(x + 4, true) ^ b.getInt32(y + 4, true)) |
      (a.getInt32(x + 8, true) ^ b.getInt32(y + 8, true)) |
      (a.getInt32(x + 12, true) ^ b.getInt32(y + 12, true));
    if (difference !== 0) break;
  }
  while (i < length && a.getUint8(aStart + i) === b.getUint8(bStart + i)) i++;
  return i;
}
