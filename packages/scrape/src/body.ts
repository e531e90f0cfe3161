/**
 * A response's body, received and decompressed within a limit.
 */
import type { IncomingMessage } from 'node:http';
import {
  type BrotliOptions,
  type InputType,
  type ZlibOptions,
  brotliDecompress,
  gunzip,
} from 'node:zlib';
import { CanopyError } from '@canopy/model';
import { LimitError } from './refusal.js';

const FIRST_BYTES = 16 * 1024;
/** What a `Content-Length` alone may make us allocate. */
const FIRST_BYTES_MAX = 1 << 20;

/**
 * A body of which this much has come is on its way, and passes the gate. What comes byte by byte, or
 * not at all, never does: it would hold a place and send nothing.
 */
export const BEGUN_BYTES = 4096;

/** A body that is being received. */
export interface Receiving {
  /** Resolves when the beginning, or all of it, is there; nothing more is read then before `whole`. */
  readonly begun: Promise<void>;
  /** All of it as sent. Call it after `begun`. */
  whole(): Promise<Buffer>;
}

/**
 * Begins to receive. What it promises rejects with a CanopyError `limit` for a body over `bytesMax`,
 * `format` for one that ends too early; with the signal's reason.
 */
export function receive(
  response: IncomingMessage,
  bytesMax: number,
  signal: AbortSignal,
): Receiving {
  const announced = Number(response.headers['content-length'] ?? Number.NaN);
  let buffer = Buffer.allocUnsafeSlow(Math.min(announced || FIRST_BYTES, FIRST_BYTES_MAX));
  let length = 0;
  let begin: () => void;
  const isBegun = new Promise<void>((resolve) => (begin = resolve));
  const whole = new Promise<Buffer>((resolve, reject) => {
    const finish = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      response.removeListener('data', onData);
      if (error === null) return resolve(buffer.subarray(0, length));
      response.destroy();
      reject(error as Error);
    };
    const onAbort = (): void => finish(signal.reason);
    const onCut = (): void => finish(new CanopyError('format', 'unexpected EOF'));
    const onData = (chunk: Buffer): void => {
      if (length + chunk.length > bytesMax) return finish(tooLarge(bytesMax));
      if (length + chunk.length > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(2 * buffer.length, length + chunk.length));
        buffer.copy(larger, 0, 0, length);
        buffer = larger;
      }
      const before = length;
      length += chunk.copy(buffer, length);
      if (before >= BEGUN_BYTES || length < BEGUN_BYTES) return;
      response.pause();
      begin();
    };
    if (announced > bytesMax) return finish(tooLarge(bytesMax));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    response.on('data', onData);
    response.once('end', () => finish(null));
    response.once('error', onCut);
    // Without `end` before it: cut off by the other side.
    response.once('close', () => {
      if (!response.readableEnded) onCut();
    });
  });
  return {
    begun: Promise.race([isBegun, whole.then(() => {})]),
    whole() {
      response.resume();
      return whole;
    },
  };
}

type Decompress = (
  input: InputType,
  options: ZlibOptions & BrotliOptions,
  done: (error: Error | null, output: Buffer) => void,
) => void;

/** On a thread of its own; output stops at `bytesMax`, so that a small bomb stays small. */
export function decompress(raw: Buffer, encoding: string, bytesMax: number): Promise<Uint8Array> {
  if (encoding === '' || encoding === 'identity') return Promise.resolve(raw);
  const known: Record<string, Decompress> = {
    gzip: gunzip,
    'x-gzip': gunzip,
    br: brotliDecompress,
  };
  const run = known[encoding];
  if (run === undefined) {
    return Promise.reject(new CanopyError('format', `unsupported Content-Encoding "${encoding}"`));
  }
  // Exporter text shrinks about eight times; one chunk that fits saves joining many.
  const chunkSize = Math.min(Math.max(8 * raw.length, FIRST_BYTES), 1 << 20);
  return new Promise((resolve, reject) => {
    run(raw, { maxOutputLength: bytesMax, chunkSize }, (error, output) => {
      if (error === null) return resolve(output);
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        return reject(tooLarge(bytesMax));
      }
      reject(new CanopyError('format', `body is not valid ${encoding}: ${error.message}`));
    });
  });
}

export function tooLarge(bytesMax: number): CanopyError {
  return new LimitError('body_size_limit', `body size limit exceeded (limit: ${bytesMax} bytes)`);
}
