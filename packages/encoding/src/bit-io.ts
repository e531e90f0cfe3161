/** Runs of bits, least significant first. Widths up to 53 for numbers, up to 64 for pairs of halves. */
import { FormatError } from '@canopy/model';

/** Bits that fit the accumulator beside up to seven waiting ones. */
const STEP = 24;
const TWO_24 = 2 ** STEP;

/** Writes into a buffer that the caller gives and that is large enough. */
export class BitWriter {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #waiting = 0;
  #waitingBits = 0;

  begin(bytes: Uint8Array, at: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#waiting = 0;
    this.#waitingBits = 0;
  }

  /** The low `width` bits of a number in [0, 2^53); width ≤ 53. */
  put(value: number, width: number): void {
    let rest = value;
    let bits = width;
    for (; bits > STEP; bits -= STEP) {
      const above = Math.floor(rest / TWO_24); // `%` on doubles is slow
      this.#step(rest - above * TWO_24, STEP);
      rest = above;
    }
    this.#step(rest, bits);
  }

  /** Fills the last byte with zeros; returns the place after it. */
  finish(): number {
    if (this.#waitingBits > 0) this.#bytes[this.#at++] = this.#waiting;
    this.#waitingBits = 0;
    return this.#at;
  }

  #step(value: number, width: number): void {
    let waiting = this.#waiting | (value << this.#waitingBits);
    let bits = this.#waitingBits + width;
    for (; bits >= 8; bits -= 8) {
      this.#bytes[this.#at++] = waiting & 255;
      waiting >>>= 8;
    }
    this.#waiting = waiting;
    this.#waitingBits = bits;
  }
}

/** Reads within a byte range. */
export class BitReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;
  #waiting = 0;
  #waitingBits = 0;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  /** Place after the byte that the last bit came from. */
  get position(): number {
    return this.#at;
  }

  /**
   * A number of `width` bits, width ≤ 53.
   * @throws FormatError beyond the end
   */
  get(width: number): number {
    if (width <= STEP) return this.#step(width);
    let value = this.#step(STEP);
    let scale = TWO_24;
    let bits = width - STEP;
    for (; bits > STEP; bits -= STEP) {
      value += this.#step(STEP) * scale;
      scale *= TWO_24;
    }
    return value + this.#step(bits) * scale;
  }

  fail(message: string): never {
    throw new FormatError(message, this.#at);
  }

  /** How many ones come before a zero, which is read too; at most `max`, then no zero is read. */
  ones(max: number): number {
    let count = 0;
    for (;;) {
      if (this.#waitingBits === 0) {
        if (this.#at >= this.#end) throw new FormatError('bits end too early', this.#at);
        this.#waiting = this.#bytes[this.#at++];
        this.#waitingBits = 8;
      }
      const zeros = ~this.#waiting;
      const here = Math.min(31 - Math.clz32(zeros & -zeros), this.#waitingBits, max - count);
      count += here;
      this.#waiting >>>= here;
      this.#waitingBits -= here;
      if (count === max) return count;
      if (this.#waitingBits > 0) {
        this.#waiting >>>= 1;
        this.#waitingBits--;
        return count;
      }
    }
  }

  #step(width: number): number {
    let waiting = this.#waiting;
    let bits = this.#waitingBits;
    for (; bits < width; bits += 8) {
      if (this.#at >= this.#end) throw new FormatError('bits end too early', this.#at);
      waiting |= this.#bytes[this.#at++] << bits;
    }
    this.#waiting = waiting >>> width;
    this.#waitingBits = bits - width;
    return waiting & ((1 << width) - 1);
  }
}
