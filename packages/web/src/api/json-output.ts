/**
 * JSON text on its way to a client: collected into chunks, written with back-pressure, given up
 * when the client goes away. A small answer goes out in one piece with its length.
 */
import type { ServerResponse } from 'node:http';
import type { Labels } from '@canopy/model';

/** Characters collected before a write. Making that many takes well below a millisecond. */
const CHUNK_CHARS = 64 * 1024;

export class JsonOutput {
  readonly #res: ServerResponse;
  readonly #signal: AbortSignal;
  #text = '';
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
    this.#text += text;
  }

  get full(): boolean {
    return this.#text.length >= CHUNK_CHARS;
  }

  /** Writes what was collected and yields to other work. Rejects when the client has gone. */
  async drain(): Promise<void> {
    this.#signal.throwIfAborted();
    // One listener for all chunks: `once` would pile up on the compressing stream behind.
    if (!this.started) this.#res.on('drain', () => this.#wake?.());
    const text = this.#text;
    this.#text = '';
    if (this.#res.write(text)) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    } else {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#signal.throwIfAborted();
  }

  /** Sends the rest. */
  end(): void {
    if (!this.started) this.#res.setHeader('Content-Length', Buffer.byteLength(this.#text));
    this.#res.end(this.#text);
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

/** Milliseconds as seconds with three decimals where they are needed: `1.5` → 1500 → `1.500`. */
export function timeJson(ms: number): string {
  const fraction = Math.abs(ms % 1000);
  if (fraction === 0) return String(ms / 1000);
  const sign = ms < 0 ? '-' : '';
  return `${sign}${Math.floor(Math.abs(ms) / 1000)}.${String(fraction).padStart(3, '0')}`;
}
