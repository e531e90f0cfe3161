/** A column of any doubles, each against the one before it: `src/xor.ts`. */

/** Writes `count` values at `to`; returns the end. */
export function encodeXor(to: u32, values: u32, count: u32): u32 {
  let at = to;
  let waiting: u64 = 0;
  let bits: u64 = 0;
  let leading: u64 = 64;
  let trailing: u64 = 0;
  let last: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value = load<u64>(values + (i << 3));
    const x = value ^ last;
    last = value;
    if (x == 0) bits++;
    else {
      let before = clz<u64>(x);
      if (before > 31) before = 31;
      const after = ctz<u64>(x);
      const length = 64 - before - after;
      const isIn = before >= leading && after >= trailing;
      // A window much wider than needed costs more than a new one.
      if (isIn && 64 - leading - trailing <= length + 11) {
        waiting |= (<u64>1) << bits;
        bits += 2;
      } else {
        leading = before;
        trailing = after;
        waiting |= (3 | (leading << 2) | ((length - 1) << 7)) << bits;
        bits += 13;
      }
      store<u64>(at, waiting);
      let whole = bits >> 3;
      at += <u32>whole;
      waiting >>= whole << 3;
      bits &= 7;
      const width = 64 - leading - trailing;
      const part = x >> trailing;
      waiting |= part << bits;
      // Up to 71 bits: the low 56 first.
      if (width > 56) {
        store<u64>(at, waiting);
        at += 7;
        waiting = (waiting >> 56) | (bits == 0 ? 0 : (part >> (64 - bits)) << 8);
        bits += width - 56;
      } else bits += width;
    }
    if (bits >= 8) {
      store<u64>(at, waiting);
      const whole = bits >> 3;
      at += <u32>whole;
      waiting = whole == 8 ? 0 : waiting >> (whole << 3);
      bits &= 7;
    }
  }
  if (bits > 0) store<u8>(at++, <u32>waiting);
  return at;
}
