/**
 * Bytes written and read one number at a time. Numbers are little-endian; varints are LEB128 of
 * unsigned integers up to 2^53 - 1; signed varints are zigzag, of integers in ±(2^53 - 1).
 */
import { FormatError, invariant } from '@canopy/model';

const TEXT_ENCODER = new TextEncoder();
// A byte order mark is a character like any other here.
const TEXT_DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const TWO_28 = 2 ** 28;
const KEPT_BYTES_MAX = 1 << 22;

/** A buffer that grows; made once, used again after `clear`. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written since the last `clear`. */
  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    // One huge write must not hold its memory for ever.
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#replace(new Uint8Array(KEPT_BYTES_MAX));
  }

  /** What was written; valid until the next call of any method that writes or clears. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /**
   * For kernels that write by themselves: the buffer with room for `sizeMax` more bytes after
   * `length`; say with `advance` how far they got. Valid until the next call.
   */
  reserve(sizeMax: number): Uint8Array {
    const needed = this.#length + sizeMax;
    if (needed > this.#bytes.length) this.#grow(needed);
    return this.#bytes;
  }

  /** Sets `length` after writing into what `reserve` gave. */
  advance(length: number): void {
    invariant(length >= 0 && length <= this.#bytes.length, 'BUG: advanced beyond the buffer');
    this.#length = length;
  }

  u8(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(this.#length + 1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  f64(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** An integer in [0, 2^53). */
  varint(value: number): void {
    // Fast path: most numbers are small.
    if ((value & 127) === value && this.#length < this.#bytes.length) {
      this.#bytes[this.#length++] = value;
      return;
    }
    invariant(Number.isSafeInteger(value) && value >= 0, 'BUG: not an unsigned integer');
    this.reserve(8);
    this.#length = writeVarint(this.#bytes, this.#length, value);
  }

  /** An integer in (-2^53, 2^53). */
  signed(value: number): void {
    invariant(Number.isSafeInteger(value), 'BUG: not an integer');
    this.reserve(9);
    this.#length = writeSigned(this.#bytes, this.#length, value);
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A length, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** A length in bytes, then UTF-8. Unpaired surrogates become U+FFFD. */
  text(text: string): void {
    const sizeMax = text.length * 3;
    this.reserve(sizeMax + 8);
    // The length stands before the text: written behind room for it, then moved if that was wrong.
    const start = this.#length;
    const prefix = sizeMax < 128 ? 1 : varintSize(sizeMax);
    const { written } = TEXT_ENCODER.encodeInto(text, this.#bytes.subarray(start + prefix));
    const size = varintSize(written);
    if (size !== prefix) {
      this.#bytes.copyWithin(start + size, start + prefix, start + prefix + written);
    }
    this.#length = writeVarint(this.#bytes, start, written) + written;
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#replace(bytes);
  }

  #replace(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** Writes at `at` into a buffer with room (8 bytes); returns the place after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  // Four bytes at once, so that the rest is bit operations on 32 bits: `%` on doubles is slow.
  while (rest >= TWO_28) {
    const above = Math.floor(rest / TWO_28);
    const low = rest - above * TWO_28;
    bytes[at++] = (low & 127) | 128;
    bytes[at++] = ((low >>> 7) & 127) | 128;
    bytes[at++] = ((low >>> 14) & 127) | 128;
    bytes[at++] = (low >>> 21) | 128;
    rest = above;
  }
  let low = rest | 0;
  while (low >= 128) {
    bytes[at++] = (low & 127) | 128;
    low >>>= 7;
  }
  bytes[at++] = low;
  return at;
}

/** Zigzag; room for 8 bytes. The sign goes into the first byte, so 53 bits stay for the rest. */
export function writeSigned(bytes: Uint8Array, at: number, value: number): number {
  const sign = value < 0 ? 1 : 0;
  const size = value < 0 ? -value - 1 : value;
  if (size < 64) {
    bytes[at] = (size << 1) | sign;
    return at + 1;
  }
  const above = Math.floor(size / 64);
  bytes[at] = ((size - above * 64) << 1) | sign | 128;
  return writeVarint(bytes, at + 1, above);
}

/** Bytes that `value` takes as a varint. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Reads within [from, to) of a buffer; never beyond: throws FormatError. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #view: DataView | null = null;
  #position: number;

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    invariant(from >= 0 && from <= to && to <= bytes.length, 'BUG: reader outside of its bytes');
    this.#bytes = bytes;
    this.#position = from;
    this.#end = to;
  }

  /** Place of the next byte in the buffer. */
  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  /** @throws FormatError always; for what a caller finds wrong at this place. */
  fail(message: string): never {
    throw new FormatError(message, this.#position);
  }

  /** @throws FormatError unless everything was read. */
  end(): void {
    if (this.#position !== this.#end) this.fail('bytes left over');
  }

  u8(): number {
    if (this.#position >= this.#end) this.fail('ends too early');
    return this.#bytes[this.#position++];
  }

  u32(): number {
    const at = this.#take(4);
    return this.#dataView().getUint32(at, true);
  }

  f64(): number {
    const at = this.#take(8);
    return this.#dataView().getFloat64(at, true);
  }

  varint(): number {
    // Fast path: one byte.
    if (this.#position < this.#end) {
      const first = this.#bytes[this.#position];
      if (first < 128) {
        this.#position++;
        return first;
      }
    }
    return this.#long(0, 1);
  }

  signed(): number {
    const first = this.u8();
    let size = (first >> 1) & 63;
    if (first >= 128) size = this.#long(size, 64);
    return first & 1 ? -size - 1 : size;
  }

  /** A varint of at most `max`: for counts and lengths, before anything is allocated for them. */
  count(max: number): number {
    const value = this.varint();
    if (value > max) this.fail('count or length out of range');
    return value;
  }

  /** The next `size` bytes as a view. */
  raw(size: number): Uint8Array {
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  /** Passes over `size` bytes. */
  skip(size: number): void {
    this.#take(size);
  }

  /** A length, then bytes: a view. */
  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  /** A length, then UTF-8. */
  text(): string {
    return readUtf8(this.bytes(), this.#position);
  }

  #take(size: number): number {
    const at = this.#position;
    if (size > this.#end - at) this.fail('ends too early');
    this.#position = at + size;
    return at;
  }

  #dataView(): DataView {
    const bytes = this.#bytes;
    this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.#view;
  }

  #long(start: number, unit: number): number {
    let value = start;
    let scale = unit;
    for (;;) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (value > Number.MAX_SAFE_INTEGER) this.fail('number out of range');
      if (byte < 128) return value;
      scale *= 128;
      if (scale > 2 ** 56) this.fail('number too long');
    }
  }
}

/** @throws FormatError where the bytes are not UTF-8; `offset` is for its message. */
export function readUtf8(bytes: Uint8Array, offset: number): string {
  // Fast path: a short plain text is quicker to put together than to hand to the decoder.
  if (bytes.length <= 24) {
    let text = '';
    let i = 0;
    for (; i < bytes.length && bytes[i] < 128; i++) text += String.fromCharCode(bytes[i]);
    if (i === bytes.length) return text;
  }
  try {
    return TEXT_DECODER.decode(bytes);
  } catch {
    throw new FormatError('text is not UTF-8', offset);
  }
}
