/**
 * JSON on its way to a client: collected into chunks of bytes, written with back-pressure, given up
 * when the client goes away. A small answer goes out in one piece with its length.
 */
import type { ServerResponse } from 'node:http';
import type { Labels } from '@canopy/model';

/** Bytes collected before they are sent. Making that many takes well below a millisecond. */
const CHUNK_BYTES = 64 * 1024;
/** Most answers are small; what is larger grows. */
const FIRST_BYTES = 2048;
/** UTF-8 bytes of a UTF-16 unit at most. */
const UNIT_BYTES_MAX = 3;

export class JsonOutput {
  readonly #res: ServerResponse;
  readonly #signal: AbortSignal;
  #chunk = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;
  #wake: (() => void) | undefined;

  /** `signal` is aborted when the client goes away. Headers and status of `res` are set already. */
  constructor(res: ServerResponse, signal: AbortSignal) {
    this.#res = res;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  /** Whether a byte has left, so that the status can no longer change. */
  get started(): boolean {
    return this.#res.headersSent;
  }

  /** Collects; the caller awaits `drain` whenever `full`. */
  write(text: string): void {
    this.#reserve(text.length * UNIT_BYTES_MAX);
    this.#length += this.#chunk.write(text, this.#length);
  }

  /** The same, of text that is bytes already: copied, without the last `leave` of them. */
  writeBytes(bytes: Uint8Array, leave = 0): void {
    this.#reserve(bytes.length);
    this.#chunk.set(bytes, this.#length);
    this.#length += bytes.length - leave;
  }

  /** The same, of few bytes: [from, to) of them. A view of a few costs more than to copy them. */
  writeSome(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.#reserve(to - from);
    const chunk = this.#chunk;
    let at = this.#length;
    for (let i = from; i < to; i++) chunk[at++] = bytes[i];
    this.#length = at;
  }

  /**
   * What `labelsJson` gives. Fast path: of texts that came lately the bytes are copied; a string of them all, then encoded,
   * is a quarter of an answer of thousands of series at one time.
   */
  writeLabels(labels: Labels): void {
    this.#writeByte(OPEN);
    for (let i = 0; i < labels.length; i++) {
      if (i > 0) this.#writeByte((i & 1) === 1 ? COLON : COMMA);
      const place = known.place(labels[i]);
      const from = place >>> LENGTH_BITS;
      if (place < 0) this.write(JSON.stringify(labels[i]));
      else this.writeSome(known.bytes, from, from + (place & LENGTH_MASK));
    }
    this.#writeByte(CLOSE);
  }

  #writeByte(byte: number): void {
    this.#reserve(1);
    this.#chunk[this.#length++] = byte;
  }

  get full(): boolean {
    return this.#length >= CHUNK_BYTES;
  }

  /** Writes what was collected and yields to other work. Rejects when the client has gone. */
  async drain(): Promise<void> {
    this.#signal.throwIfAborted();
    // One listener for all chunks: `once` would pile up on the compressing stream behind.
    if (!this.started) this.#res.on('drain', () => this.#wake?.());
    const isTaken = this.#res.write(this.#chunk.subarray(0, this.#length));
    this.#length = 0;
    if (!isTaken) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    // A socket that takes all at once says so before the event loop has had its turn.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#signal.throwIfAborted();
    // The bytes are the stream's until it has sent them, which a compressing one does not tell.
    const isSent = this.#res.writableLength === 0 && !this.#res.hasHeader('Content-Encoding');
    if (!isSent) this.#chunk = Buffer.allocUnsafe(this.#chunk.length);
  }

  /** Sends the rest. */
  end(): void {
    if (!this.started) this.#res.setHeader('Content-Length', this.#length);
    this.#res.end(this.#chunk.subarray(0, this.#length));
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#chunk.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 4 * this.#chunk.length));
    grown.set(this.#chunk.subarray(0, this.#length));
    this.#chunk = grown;
  }
}

/** Writes `[a,b,…]`, each by `writeItem`, which collects one item into `out`. */
export async function writeArray<T>(
  out: JsonOutput,
  items: Iterable<T>,
  writeItem: (item: T) => void | Promise<void>,
): Promise<void> {
  out.write('[');
  let first = true;
  for (const item of items) {
    if (!first) out.write(',');
    first = false;
    const more = writeItem(item);
    if (more !== undefined) await more;
    if (out.full) await out.drain();
  }
  out.write(']');
}

/** `{"__name__":"up","job":"x"}` */
export function labelsJson(labels: Labels): string {
  let text = '{';
  for (let i = 0; i < labels.length; i += 2) {
    if (i > 0) text += ',';
    text += `${JSON.stringify(labels[i])}:${JSON.stringify(labels[i + 1])}`;
  }
  return `${text}}`;
}

const [OPEN, CLOSE, COLON, COMMA] = Buffer.from('{}:,');
/** Bits of a place that say how long a text is; above them is where it stands. */
const LENGTH_BITS = 10;
const LENGTH_MASK = (1 << LENGTH_BITS) - 1;

/** JSON of texts that came lately, which are mostly those that come next: one after the other. */
class KnownTexts {
  /** All that is kept of them, and the map beside it. */
  readonly bytes = Buffer.allocUnsafeSlow(KNOWN_BYTES);
  readonly #places = new Map<string, number>();
  #length = 0;

  /** Where the JSON stands: `from << LENGTH_BITS | length`, valid until the next call; -1 for a text that is too long. */
  place(text: string): number {
    return this.#places.get(text) ?? this.#add(text);
  }

  #add(text: string): number {
    if (text.length > KNOWN_LENGTH_MAX) return -1;
    const json = JSON.stringify(text);
    const length = Buffer.byteLength(json);
    if (this.#length + length > KNOWN_BYTES) {
      this.#places.clear();
      this.#length = 0;
    }
    const place = (this.#length << LENGTH_BITS) | length;
    this.#length += this.bytes.write(json, this.#length);
    this.#places.set(text, place);
    return place;
  }
}

/** Less than 2 to the power of `31 - LENGTH_BITS`. */
const KNOWN_BYTES = 1 << 20;
/** UTF-16 units: six bytes of JSON each at most, so `LENGTH_BITS` hold their number. */
const KNOWN_LENGTH_MAX = 128;
const known = new KnownTexts();
