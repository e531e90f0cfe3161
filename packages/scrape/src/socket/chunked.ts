/** The chunked coding of HTTP/1.1 (RFC 9112, 7.1), byte by byte where it matters and strictly. */

/** Bytes of a size line with its extension, and of all trailers. */
const LINE_BYTES_MAX = 16 * 1024;
/** Digits of a chunk's size: 256 MiB at most, far beyond any body taken. */
const SIZE_DIGITS_MAX = 7;

const State = {
  size: 0,
  extension: 1,
  sizeEnd: 2,
  body: 3,
  bodyEnd: 4,
  bodyEndLine: 5,
  trailer: 6,
  trailerLine: 7,
  trailerLineEnd: 8,
  end: 9,
  done: 10,
} as const;

const CR = 13;
const LF = 10;
const TAB = 9;

/** Told of each stretch of the body, [from, to) of the bytes pushed. Returns false to stop. */
export type TakeBytes = (bytes: Buffer, from: number, to: number) => boolean;

/** One body after the other: `begin`, then `push` until `done`. */
export class ChunkedReader {
  #state: number = State.size;
  #left = 0;
  #digits = 0;
  /** Bytes of the size line, or of the trailers. */
  #line = 0;

  get done(): boolean {
    return this.#state === State.done;
  }

  begin(): void {
    this.#state = State.size;
    this.#left = 0;
    this.#digits = 0;
    this.#line = 0;
  }

  /**
   * Reads [from, to). Returns the place behind the last byte used: `to`, or earlier when the body is
   * complete or `take` stopped it; -1 for what is not the chunked coding.
   */
  push(bytes: Buffer, from: number, to: number, take: TakeBytes): number {
    let at = from;
    while (at < to && this.#state !== State.done) {
      if (this.#state === State.body) {
        const end = Math.min(to, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.#state = State.bodyEnd;
        if (!take(bytes, at, end)) return end;
        at = end;
      } else if (!this.#step(bytes[at++])) return -1;
    }
    return at;
  }

  #step(byte: number): boolean {
    switch (this.#state) {
      case State.size:
        return this.#stepSize(byte);
      case State.extension:
        if (byte === CR) this.#state = State.sizeEnd;
        return byte === CR || (isText(byte) && ++this.#line <= LINE_BYTES_MAX);
      case State.sizeEnd:
        this.#line = 0;
        this.#digits = 0;
        return this.#expect(byte, LF, this.#left > 0 ? State.body : State.trailer);
      case State.bodyEnd:
        return this.#expect(byte, CR, State.bodyEndLine);
      case State.bodyEndLine:
        return this.#expect(byte, LF, State.size);
      case State.trailer:
        this.#state = byte === CR ? State.end : State.trailerLine;
        return byte === CR || (isText(byte) && ++this.#line <= LINE_BYTES_MAX);
      case State.trailerLine:
        if (byte === CR) this.#state = State.trailerLineEnd;
        return byte === CR || (isText(byte) && ++this.#line <= LINE_BYTES_MAX);
      case State.trailerLineEnd:
        return this.#expect(byte, LF, State.trailer);
      default:
        return this.#expect(byte, LF, State.done);
    }
  }

  #stepSize(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      return ++this.#digits <= SIZE_DIGITS_MAX;
    }
    if (this.#digits === 0) return false;
    if (byte === CR) this.#state = State.sizeEnd;
    else if (byte === 59) this.#state = State.extension;
    else return false;
    return true;
  }

  #expect(byte: number, wanted: number, next: number): boolean {
    this.#state = next;
    return byte === wanted;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function isText(byte: number): boolean {
  return (byte >= 32 && byte !== 127) || byte === TAB;
}
