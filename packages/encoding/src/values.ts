/**
 * The value column of a frame: for each changed slot a class and the bytes of that class.
 *
 * The class of a slot is what it was the last time (its memory), unless a run says otherwise; so
 * classes cost next to nothing while series keep their habits. See frame.format.md, "Values".
 */
import { FormatError } from '@canopy/model';
import {
  HIGH,
  LOW,
  PER_KIB,
  ULPS_MAX,
  addUlps,
  bitsOf,
  nearInteger,
  scaledInteger,
  ulpsBetween,
} from './bits.js';
import { ByteReader, ByteWriter, writeSigned } from './varint.js';

/** Classes 0 to 9 hold integers after multiplication by this; the number is the class. */
const SCALES = [1, 10, 100, 1e3, 1e6, 1e9, PER_KIB, 1e3, 1e6, 1e9];
const CLASS_KIB = 6;
const DECIMAL_CLASSES = 6;
/** From here to CLASS_BITS: the value is some doubles away from the integer's. */
const FIRST_NEAR = 7;
/** Bits exclusive-or those of the base, without zero bytes at either end. */
export const CLASS_BITS = 10;
/** The normal NaN; no bytes. */
export const CLASS_NAN = 11;
/** The series ended: a stale mark; no bytes. */
export const CLASS_STALE = 12;
/** No sample any more, and no stale mark; no bytes. */
export const CLASS_NONE = 13;
/** Classes from here on say something of one frame only and are not remembered. */
export const FIRST_FORGOTTEN = CLASS_NAN;

const VALUE_SIZE_MAX = 10;
const SAFE = Number.MAX_SAFE_INTEGER;
const PAIR = new Float64Array(2);
const PAIR_BITS = bitsOf(PAIR);

/** The base's integer at a scale; both sides compute the same, so it need not be exact. */
function scaledBase(base: number, scale: number): number {
  // Fast path: an integer stays one.
  const m = scale === 1 && Math.floor(base) === base ? base : Math.round(base * scale);
  return m <= SAFE && m >= -SAFE ? m : 0;
}

function isKib(value: number): boolean {
  const m = value * PER_KIB;
  return Math.floor(m) === m && m <= SAFE && m >= -SAFE;
}

/** Integers that differ by more are tried as KiB: it saves a byte or two. */
const KIB_DELTA_MIN = 2 ** 13;

/** The integer of a class, or NaN where the class does not hold the value. */
function integerOf(value: number, kind: number): number {
  if (kind < FIRST_NEAR) return scaledInteger(value, SCALES[kind]);
  return kind < CLASS_BITS ? nearInteger(value, SCALES[kind]) : Number.NaN;
}

/** The class with the fewest decimal digits that holds the value, else CLASS_BITS. */
function classify(value: number, remembered: number): number {
  let top = DECIMAL_CLASSES - 1;
  while (top > 0 && Math.abs(value) * SCALES[top] > SAFE) top--;
  // Fast path: what the most digits do not hold, fewer do not either.
  if (Number.isNaN(scaledInteger(value, SCALES[top]))) {
    // What was no decimal is not looked at again before the next key frame.
    if (remembered === CLASS_BITS) return CLASS_BITS;
    let near = FIRST_NEAR;
    while (near < CLASS_BITS && Number.isNaN(nearInteger(value, SCALES[near]))) near++;
    return near;
  }
  for (let kind = 0; kind < top; kind++) {
    if (!Number.isNaN(scaledInteger(value, SCALES[kind]))) return kind;
  }
  return top;
}

/** Writes one column; begin, then put or mark for each sample in order, then finish. */
export class ValueWriter {
  readonly #runs = new ByteWriter(64);
  readonly #values = new ByteWriter(1024);
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #index = 0;
  #runClass = -1;
  #runStart = 0;
  #runEnd = 0;
  #lastRunEnd = 0;

  begin(countMax: number): void {
    this.#runs.clear();
    this.#values.clear();
    this.#bytes = this.#values.reserve(countMax * VALUE_SIZE_MAX);
    this.#at = 0;
    this.#index = 0;
    this.#runClass = -1;
    this.#lastRunEnd = 0;
  }

  /** A sample whose state is `value`; returns the class taken. */
  put(value: number, base: number, remembered: number): number {
    if (value !== value) {
      this.mark(CLASS_NAN);
      return CLASS_NAN;
    }
    // Fast path: a series keeps its class.
    let kind = remembered;
    let m = integerOf(value, kind);
    // Also where many digits were remembered and none is needed any more.
    if (m !== m || (kind > 3 && kind < CLASS_KIB && m % 1000 === 0)) {
      kind = classify(value, remembered);
      m = integerOf(value, kind);
    }
    let delta = m - scaledBase(base, SCALES[kind]);
    if (kind === 0 && (delta > KIB_DELTA_MIN || delta < -KIB_DELTA_MIN)) {
      if (isKib(value) && isKib(base)) {
        kind = CLASS_KIB;
        delta = value * PER_KIB - scaledBase(base, PER_KIB);
      }
    }
    const fits = delta <= SAFE && delta >= -SAFE; // not where m is NaN
    if (!fits) kind = CLASS_BITS;
    if (kind !== remembered) this.#run(kind);
    this.#index++;
    if (!fits) this.#putBits(value, base);
    else {
      if (delta >= -64 && delta < 64) {
        this.#bytes[this.#at++] = delta < 0 ? -2 * delta - 1 : 2 * delta;
      } else this.#at = writeSigned(this.#bytes, this.#at, delta);
      if (kind >= FIRST_NEAR) {
        this.#at = writeSigned(this.#bytes, this.#at, ulpsBetween(value, m / SCALES[kind]));
      }
    }
    return kind;
  }

  /** A sample that needs no bytes of its own. */
  mark(kind: number): void {
    this.#run(kind);
    this.#index++;
  }

  /** Appends the column to `writer`. */
  finish(writer: ByteWriter): void {
    this.#flushRun();
    writer.bytes(this.#runs.view());
    this.#values.advance(this.#at);
    writer.raw(this.#values.view());
  }

  #putBits(value: number, base: number): void {
    PAIR[0] = value;
    PAIR[1] = base === base ? base : 0; // a NaN's bits may differ from one end to the other
    const high = PAIR_BITS[HIGH] ^ PAIR_BITS[2 + HIGH];
    const low = PAIR_BITS[LOW] ^ PAIR_BITS[2 + LOW];
    const leading = high !== 0 ? Math.clz32(high) >> 3 : low !== 0 ? 4 + (Math.clz32(low) >> 3) : 7;
    let size = 8 - leading;
    for (; size > 0 && byteAt(high, low, leading + size - 1) === 0; size--);
    const bytes = this.#bytes;
    bytes[this.#at++] = (leading << 4) | size;
    for (let i = leading; i < leading + size; i++) bytes[this.#at++] = byteAt(high, low, i);
  }

  #run(kind: number): void {
    if (kind === this.#runClass && this.#index === this.#runEnd) {
      this.#runEnd++;
      return;
    }
    this.#flushRun();
    this.#runClass = kind;
    this.#runStart = this.#index;
    this.#runEnd = this.#index + 1;
  }

  #flushRun(): void {
    if (this.#runClass < 0) return;
    this.#runs.varint(this.#runStart - this.#lastRunEnd);
    this.#runs.varint((this.#runEnd - this.#runStart - 1) * 16 + this.#runClass);
    this.#lastRunEnd = this.#runEnd;
    this.#runClass = -1;
  }
}

/** Byte 0 is the most significant. */
function byteAt(high: number, low: number, index: number): number {
  return index < 4 ? (high >>> (24 - 8 * index)) & 255 : (low >>> (56 - 8 * index)) & 255;
}

/** Reads one column: for each sample in order `next`, then `read` where the class has bytes. */
export class ValueReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #runs = new ByteReader(this.#bytes);
  #index = 0;
  #runClass = 0;
  #runStart = Number.POSITIVE_INFINITY;
  #runEnd = 0;

  /** `reader` stands before the column and is moved beyond its runs. */
  begin(bytes: Uint8Array, reader: ByteReader): void {
    const size = reader.varint();
    const runsAt = reader.position;
    reader.raw(size);
    this.#bytes = bytes;
    this.#runs = new ByteReader(bytes, runsAt, runsAt + size);
    this.#at = runsAt + size;
    this.#end = this.#at + reader.remaining;
    this.#index = 0;
    this.#runEnd = 0;
    this.#nextRun();
  }

  /** Place after the values read so far. */
  get position(): number {
    return this.#at;
  }

  /** @throws FormatError where a run names samples that are not there. */
  finish(): void {
    const unused = this.#runStart !== Number.POSITIVE_INFINITY;
    if (unused) throw new FormatError('classes of samples that are not there', this.#at);
  }

  /** Class of the next sample. */
  next(remembered: number): number {
    const index = this.#index++;
    if (index < this.#runStart) return remembered;
    const kind = this.#runClass;
    if (index + 1 === this.#runEnd) this.#nextRun();
    return kind;
  }

  /** The value of the next sample; its class is below CLASS_NAN. May be any NaN. */
  read(kind: number, base: number): number {
    if (kind === CLASS_BITS) return this.#readBits(base);
    const delta = this.#signed();
    const scale = SCALES[kind];
    const value = (scaledBase(base, scale) + delta) / scale;
    if (kind < FIRST_NEAR) return value;
    const ulps = this.#signed();
    if (ulps > ULPS_MAX || ulps < -ULPS_MAX) this.#fail('too far from a decimal');
    return addUlps(value, ulps);
  }

  #signed(): number {
    if (this.#at >= this.#end) this.#fail('values end too early');
    const first = this.#bytes[this.#at++];
    let size = first >> 1;
    if (first >= 128) size = this.#long((first >> 1) & 63);
    return first & 1 ? -size - 1 : size;
  }

  #long(start: number): number {
    let value = start;
    for (let scale = 64; scale <= 2 ** 48; scale *= 128) {
      if (this.#at >= this.#end) break;
      const byte = this.#bytes[this.#at++];
      value += (byte & 127) * scale;
      if (byte < 128 && value <= SAFE) return value;
    }
    return this.#fail('number too long or cut off');
  }

  #readBits(base: number): number {
    if (this.#at >= this.#end) this.#fail('values end too early');
    const control = this.#bytes[this.#at++];
    const leading = control >> 4;
    const size = control & 15;
    if (leading + size > 8 || this.#at + size > this.#end) this.#fail('bits out of range');
    let high = 0;
    let low = 0;
    for (let i = leading; i < leading + size; i++) {
      const byte = this.#bytes[this.#at++];
      if (i < 4) high |= byte << (24 - 8 * i);
      else low |= byte << (56 - 8 * i);
    }
    PAIR[1] = base === base ? base : 0;
    PAIR_BITS[HIGH] = PAIR_BITS[2 + HIGH] ^ high;
    PAIR_BITS[LOW] = PAIR_BITS[2 + LOW] ^ low;
    return PAIR[0];
  }

  #nextRun(): void {
    if (this.#runs.remaining === 0) {
      this.#runStart = Number.POSITIVE_INFINITY;
      return;
    }
    this.#runStart = this.#runEnd + this.#runs.varint();
    const word = this.#runs.varint();
    this.#runClass = word % 16;
    this.#runEnd = this.#runStart + Math.floor(word / 16) + 1;
    if (this.#runClass > CLASS_NONE) this.#fail('unknown class of values');
  }

  #fail(message: string): never {
    throw new FormatError(message, this.#at);
  }
}
