/** Numbers to bytes, as `src/varint.ts`. Each writes at `at` and returns the place after it. */

export function putVarint(at: u32, value: u64): u32 {
  let rest = value;
  while (rest >= 128) {
    store<u8>(at++, <u32>(rest & 127) | 128);
    rest >>= 7;
  }
  store<u8>(at++, <u32>rest);
  return at;
}

/** The sign goes into the first byte beside six bits. */
export function putSigned(at: u32, value: i64): u32 {
  const sign: u32 = value < 0 ? 1 : 0;
  const size: u64 = value < 0 ? <u64>(-value - 1) : <u64>value;
  if (size < 64) {
    store<u8>(at, ((<u32>size) << 1) | sign);
    return at + 1;
  }
  store<u8>(at, ((<u32>size & 63) << 1) | sign | 128);
  return putVarint(at + 1, size >> 6);
}
