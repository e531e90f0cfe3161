/**
 * Buffers that bodies are collected in, used again: a fresh one for every scrape is memory outside
 * V8's heap, and every few of them make V8 mark the whole heap to get them back.
 */

/** Free buffers kept, and bytes of them all. */
const FREE_MAX = 16;
const FREE_BYTES_MAX = 32 << 20;
const BYTES_MIN = 16 * 1024;

export class BodyPool {
  /** Ascending by size. */
  readonly #free: Buffer[] = [];
  #freeBytes = 0;

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** A buffer of at least `bytes` with anything in it; the caller's until `release`. */
  take(bytes: number): Buffer {
    const index = this.#free.findIndex((buffer) => buffer.length >= bytes);
    // One that is far too large is left to a body that needs it.
    if (index >= 0 && this.#free[index].length <= Math.max(8 * bytes, 1 << 20)) {
      const [buffer] = this.#free.splice(index, 1);
      this.#freeBytes -= buffer.length;
      return buffer;
    }
    const size = Math.max(BYTES_MIN, bytes + (bytes >> 3));
    return Buffer.allocUnsafeSlow(Math.ceil(size / 4096) * 4096);
  }

  /** The first `used` bytes of `buffer` in one of at least `bytes`; `buffer` goes back. */
  grow(buffer: Buffer, used: number, bytes: number): Buffer {
    const larger = this.take(Math.max(bytes, 2 * buffer.length));
    buffer.copy(larger, 0, 0, used);
    this.release(buffer);
    return larger;
  }

  release(buffer: Buffer): void {
    if (buffer.length > FREE_BYTES_MAX) return;
    let index = this.#free.findIndex((free) => free.length >= buffer.length);
    if (index < 0) index = this.#free.length;
    this.#free.splice(index, 0, buffer);
    this.#freeBytes += buffer.length;
    // The smallest are the cheapest to make again, but all over the limit must go.
    while (this.#free.length > FREE_MAX) this.#freeBytes -= this.#free.shift()?.length ?? 0;
    while (this.#freeBytes > FREE_BYTES_MAX) this.#freeBytes -= this.#free.pop()?.length ?? 0;
  }
}
