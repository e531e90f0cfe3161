/**
 * Protocol buffers as bytes: tags, varints, lengths. What is beyond the end of a message is an error.
 */
import { FormatError } from '@canopy/model';

/** How a field is written. */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, group: 3, groupEnd: 4, fixed32: 5 };
const GROUPS_MAX = 100;
const NO_BYTES = new Uint8Array(0);

/** Reads one field after the other. Methods read at `position`, to at most `end`. */
export class WireReader {
  bytes: Uint8Array = NO_BYTES;
  view: DataView = new DataView(NO_BYTES.buffer);
  buffer: Buffer = Buffer.alloc(0);
  position = 0;
  /** Of the tag read last. */
  field = 0;
  wireType = 0;
  /** Low and high half of the varint read last. */
  #low = 0;
  #high = 0;

  open(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = 0;
  }

  /** Reads the next tag; false at the end of the message. */
  next(end: number): boolean {
    if (this.position >= end) return false;
    this.#readVarint(end);
    this.field = (this.#low >>> 3) + this.#high * 2 ** 29;
    this.wireType = this.#low & 7;
    if (this.field === 0 || this.field >= 2 ** 29) this.fail('illegal tag');
    return true;
  }

  /** The end of the length-delimited field that starts here; the position is its first byte. */
  enter(end: number): number {
    this.#expect(WireType.bytes);
    return this.length(end);
  }

  /** Reads a length; returns where what it is the length of ends. */
  length(end: number): number {
    this.#readVarint(end);
    const last = this.position + this.#high * 2 ** 32 + this.#low;
    if (last > end) this.fail('unexpected EOF');
    return last;
  }

  /** An unsigned 64-bit number as the nearest double. */
  uint64(end: number): number {
    this.#expect(WireType.varint);
    return this.varint(end);
  }

  /** The same without a tag before it, as in packed fields. */
  varint(end: number): number {
    this.#readVarint(end);
    return this.#high * 2 ** 32 + this.#low;
  }

  /** A signed 64-bit number (not zigzag) as the nearest double. */
  int64(end: number): number {
    this.#expect(WireType.varint);
    this.#readVarint(end);
    return (this.#high | 0) * 2 ** 32 + this.#low;
  }

  /** Any NaN is just NaN. */
  double(end: number): number {
    this.#expect(WireType.fixed64);
    if (this.position + 8 > end) this.fail('unexpected EOF');
    const value = this.view.getFloat64(this.position, true);
    this.position += 8;
    return Number.isNaN(value) ? NaN : value;
  }

  /** Skips the field whose tag was read last. */
  skip(end: number): void {
    for (let groups = 0; ; this.next(end) || this.fail('unexpected EOF')) {
      const { wireType } = this;
      if (wireType === WireType.group) groups++;
      else if (wireType === WireType.groupEnd) groups--;
      else this.#skipPlain(end);
      if (groups < 0 || groups > GROUPS_MAX) this.fail('misplaced group');
      if (groups === 0) return;
    }
  }

  #skipPlain(end: number): void {
    const { wireType } = this;
    if (wireType === WireType.varint) this.#readVarint(end);
    else if (wireType === WireType.bytes) this.position = this.length(end);
    else if (wireType === WireType.fixed64) this.position += 8;
    else if (wireType === WireType.fixed32) this.position += 4;
    else this.fail('illegal wire type');
    if (this.position > end) this.fail('unexpected EOF');
  }

  #readVarint(end: number): void {
    const { bytes } = this;
    // Fast path: one byte.
    if (this.position < end && bytes[this.position] < 0x80) {
      this.#low = bytes[this.position++];
      this.#high = 0;
      return;
    }
    let low = 0;
    let high = 0;
    let p = this.position;
    for (let shift = 0; shift < 70; shift += 7) {
      if (p >= end) break;
      const c = bytes[p++];
      const bits = c & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (c < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        this.position = p;
        return;
      }
    }
    this.fail(p >= end ? 'unexpected EOF' : 'varint is too long');
  }

  #expect(wireType: number): void {
    if (this.wireType !== wireType) {
      this.fail(`wrong wire type ${this.wireType} for field ${this.field}`);
    }
  }

  /** Cold path. */
  fail(message: string): never {
    throw new FormatError(`protobuf: ${message}`, this.position);
  }
}
