/** The numbers that columns of integers are made of, read from their bits. See tile.format.md, "Residuals". */
import { BitReader } from './bit-io.js';
import type { ByteReader } from './varint.js';

/** Where a Rice code's quotient would be longer, the number follows as it is. */
export const QUOTIENT_MAX = 23;
export const RAW_BITS = 53;
/** Widths from here on are parameters of Rice codes. */
export const RICE = 64;

function bitReader(reader: ByteReader, bytes: Uint8Array): BitReader {
  return new BitReader(bytes, reader.position, reader.position + reader.remaining);
}

/** Reads residuals: fixed width or Rice codes. */
function residualReader(reader: ByteReader): (packed: BitReader) => number {
  const origin = reader.signed();
  const width = reader.u8();
  if (width < RICE) {
    if (width > RAW_BITS) reader.fail('width out of range');
    if (width === 0) return () => origin;
    return (packed) => origin + packed.get(width);
  }
  const parameter = width - RICE;
  if (parameter > RAW_BITS) reader.fail('width out of range');
  const unit = 2 ** parameter;
  return (packed) => {
    const quotient = packed.ones(QUOTIENT_MAX + 1);
    const z =
      quotient > QUOTIENT_MAX ? packed.get(RAW_BITS) : quotient * unit + packed.get(parameter);
    const half = Math.floor(z / 2);
    return origin + (z === 2 * half ? half : -half - 1);
  };
}

/** A column of packed numbers (order 0) or deltas (order 1). */
export function unpack(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  out: Float64Array,
  offset: number,
  scale: number,
  order: 0 | 1,
): void {
  let value = order === 0 ? 0 : reader.signed();
  const next = residualReader(reader);
  const packed = bitReader(reader, bytes);
  if (order === 1) out[offset] = value / scale;
  for (let i = order; i < count; i++) {
    value = order === 0 ? next(packed) : value + next(packed);
    out[offset + i] = value / scale;
  }
  reader.raw(packed.position - reader.position);
}

/** A column of steps. */
export function unpackSteps(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  out: Float64Array,
  offset: number,
  scale: number,
): void {
  let value = reader.signed();
  const next = residualReader(reader);
  const marks = bitReader(reader, bytes);
  // The steps begin in the middle of a byte: a second reader goes over the marks first.
  const steps = bitReader(reader, bytes);
  for (let left = count - 1; left > 0; left -= 24) steps.get(Math.min(24, left));
  out[offset] = value / scale;
  for (let i = 1; i < count; i++) {
    if (marks.get(1) === 1) value += next(steps);
    out[offset + i] = value / scale;
  }
  reader.raw(steps.position - reader.position);
}
