/** The numbers that columns of integers are made of, read from their bits. See tile.format.md, "Residuals". */
import { BitReader } from './bit-io.js';
import { readClasses } from './codes.js';
import type { ByteReader } from './varint.js';

/** Where a Rice code's quotient would be longer, the number follows as it is. */
export const QUOTIENT_MAX = 23;
export const RAW_BITS = 53;
/** Widths from here on are parameters of Rice codes. */
export const RICE = 64;
/** The width that stands for a prefix code of classes. */
export const CLASSES = 120;
/** Set in a width of steps where gaps stand in place of marks. */
export const GAPS = 128;

/** What stands before the bits. */
interface Head {
  readonly origin: number;
  readonly width: number;
  /** Parameter of the Rice code of gaps; -1: there are none. */
  readonly gapParameter: number;
}

function bitReader(reader: ByteReader, bytes: Uint8Array): BitReader {
  return new BitReader(bytes, reader.position, reader.position + reader.remaining);
}

function readHead(reader: ByteReader, isSteps: boolean): Head {
  const origin = reader.signed();
  const byte = reader.u8();
  const hasGaps = byte >= GAPS;
  const width = hasGaps ? byte - GAPS : byte;
  const isKnown =
    width <= RAW_BITS || (width >= RICE && width <= RICE + RAW_BITS) || width === CLASSES;
  if (!isKnown || (hasGaps && !isSteps)) reader.fail('width out of range');
  const gapParameter = hasGaps ? reader.u8() : -1;
  if (gapParameter > RAW_BITS) reader.fail('width out of range');
  return { origin, width, gapParameter };
}

/** What gives the next residual. */
function residualsOf({ origin, width }: Head, packed: BitReader): () => number {
  if (width === 0) return () => origin;
  if (width <= RAW_BITS) return () => origin + packed.get(width);
  const next = width === CLASSES ? readClasses(packed) : riceReader(packed, width - RICE);
  return () => {
    const z = next();
    const half = Math.floor(z / 2);
    return origin + (z === 2 * half ? half : -half - 1);
  };
}

function riceReader(packed: BitReader, parameter: number): () => number {
  const unit = 2 ** parameter;
  return () => {
    const quotient = packed.ones(QUOTIENT_MAX + 1);
    return quotient > QUOTIENT_MAX ? packed.get(RAW_BITS) : quotient * unit + packed.get(parameter);
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
  const head = readHead(reader, false);
  const packed = bitReader(reader, bytes);
  const next = residualsOf(head, packed);
  if (order === 1) out[offset] = value / scale;
  for (let i = order; i < count; i++) {
    value = order === 0 ? next() : value + next();
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
  const head = readHead(reader, true);
  const steps = bitReader(reader, bytes);
  out[offset] = value / scale;
  if (head.gapParameter >= 0) {
    const next = residualsOf(head, steps);
    const nextGap = riceReader(steps, head.gapParameter);
    for (let i = 1; i < count; ) {
      const gap = nextGap();
      if (gap > count - i) reader.fail('gap out of range');
      out.fill(value / scale, offset + i, offset + i + gap);
      i += gap;
      if (i === count) break;
      value += next();
      out[offset + i++] = value / scale;
    }
  } else {
    const marks = bitReader(reader, bytes);
    // The steps begin in the middle of a byte: a second reader goes over the marks first.
    for (let left = count - 1; left > 0; left -= 24) steps.get(Math.min(24, left));
    const next = residualsOf(head, steps);
    for (let i = 1; i < count; i++) {
      if (marks.get(1) === 1) value += next();
      out[offset + i] = value / scale;
    }
  }
  reader.raw(steps.position - reader.position);
}
