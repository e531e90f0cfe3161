/** A column of any doubles, each against the one before it. See tile.format.md, "Exclusive-or". */
import { FormatError } from '@canopy/model';
import { BitReader, BitWriter } from './bit-io.js';
import { HIGH, LOW, bitsOf, setNormalNan } from './bits.js';
import type { ByteReader, ByteWriter } from './varint.js';

const BIT_WRITER = new BitWriter();

/**
 * Each value exclusive-or the one before (Pelkonen et al., "Gorilla", VLDB 2015): bit 0 for the same;
 * 1 0 for bits within the window of the last one; 1 1, five bits of leading zeros, six of length - 1.
 */
export function encodeXor(writer: ByteWriter, values: Float64Array, count: number): void {
  const bits = bitsOf(values);
  const out = BIT_WRITER;
  out.begin(writer.reserve(10 * count + 8), writer.length);
  let leading = 64;
  let trailing = 0;
  let high = 0;
  let low = 0;
  for (let i = 0; i < count; i++) {
    const x = high ^ bits[2 * i + HIGH];
    const y = low ^ bits[2 * i + LOW];
    high = bits[2 * i + HIGH];
    low = bits[2 * i + LOW];
    if ((x | y) === 0) {
      out.put(0, 1);
      continue;
    }
    out.put(1, 1);
    const zerosBefore = Math.min(31, x !== 0 ? Math.clz32(x) : 32 + Math.clz32(y));
    const zerosAfter = y !== 0 ? 31 - Math.clz32(y & -y) : 63 - Math.clz32(x & -x);
    const length = 64 - zerosBefore - zerosAfter;
    // A window much wider than needed costs more than a new one.
    const inWindow = zerosBefore >= leading && zerosAfter >= trailing;
    if (inWindow && 64 - leading - trailing <= length + 11) out.put(0, 1);
    else {
      leading = zerosBefore;
      trailing = zerosAfter;
      out.put(1, 1);
      out.put(leading, 5);
      out.put(length - 1, 6);
    }
    putWindow(x, y, trailing, 64 - leading - trailing);
  }
  writer.advance(out.finish());
}

/** `width` bits of the pair from bit `trailing` up. */
function putWindow(high: number, low: number, trailing: number, width: number): void {
  let lowBits = 0;
  if (trailing < 32) {
    lowBits = Math.min(width, 32 - trailing);
    const part = low >>> trailing;
    BIT_WRITER.put(lowBits === 32 ? part : part % 2 ** lowBits, lowBits);
  }
  const highBits = width - lowBits;
  if (highBits === 0) return;
  const part = high >>> Math.max(0, trailing - 32);
  BIT_WRITER.put(highBits === 32 ? part : part % 2 ** highBits, highBits);
}

/**
 * `bits` is the memory of `out` as halves.
 * @throws FormatError
 */
export function decodeXor(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  out: Float64Array,
  bits: Uint32Array,
  offset: number,
): void {
  const packed = new BitReader(bytes, reader.position, reader.position + reader.remaining);
  let trailing = -1;
  let width = 0;
  let high = 0;
  let low = 0;
  for (let i = 0; i < count; i++) {
    if (packed.get(1) === 1) {
      if (packed.get(1) === 1) {
        const leading = packed.get(5);
        width = packed.get(6) + 1;
        trailing = 64 - leading - width;
      }
      if (trailing < 0) throw new FormatError('bits out of range', packed.position);
      const lowBits = trailing < 32 ? Math.min(width, 32 - trailing) : 0;
      if (lowBits > 0) low ^= packed.get(lowBits) << trailing;
      if (width > lowBits) high ^= packed.get(width - lowBits) << Math.max(0, trailing - 32);
    }
    const at = offset + i;
    bits[2 * at + HIGH] = high;
    bits[2 * at + LOW] = low;
    if (out[at] !== out[at]) setNormalNan(bits, at);
  }
  reader.raw(packed.position - reader.position);
}
