/** Typed arrays that grow; the old contents stay at the front. */

/** At least `length` long: the same array where it is already, else half as long again. */
export function grownUint32(
  array: Uint32Array<ArrayBuffer>,
  length: number,
): Uint32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const grown = new Uint32Array(Math.max(length, array.length + (array.length >> 1) + 16));
  grown.set(array);
  return grown;
}

/** As `grownUint32`; new entries hold `fill`. */
export function grownFloat64(
  array: Float64Array<ArrayBuffer>,
  length: number,
  fill: number,
): Float64Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const grown = new Float64Array(Math.max(length, array.length + (array.length >> 1) + 16));
  grown.set(array);
  if (fill !== 0) grown.fill(fill, array.length);
  return grown;
}
