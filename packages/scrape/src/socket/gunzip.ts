/**
 * Small gzip bodies into buffers that are used again. zlib's calls give a fresh buffer each, and its
 * asynchronous ones cost three times the CPU of the work itself. Node has no public call that writes
 * into a given buffer; the inner one is used only after it has shown that it does.
 */
import { type Gunzip, constants, createGunzip, gzipSync } from 'node:zlib';

/** Larger ones hold the event loop for too long. Bytes, compressed and not. */
const RAW_BYTES_MAX = 256 * 1024;
const OUTPUT_BYTES_MAX = 4 << 20;

/** What is behind a zlib stream, as of Node 12 and later. */
interface Inner extends Gunzip {
  reset(): void;
  readonly _handle: {
    writeSync(
      flush: number,
      input: Buffer,
      inputOffset: number,
      inputLength: number,
      output: Buffer,
      outputOffset: number,
      outputLength: number,
    ): void;
  } | null;
  /** Bytes left of the output and of the input. */
  readonly _writeState: Uint32Array;
}

/** Undefined where it is not made yet, null where it cannot be used. */
let inner: Inner | null | undefined;

function makeInner(): Inner {
  const stream = createGunzip() as Inner;
  // What is wrong with a body is found out, and said, by the public call.
  stream.on('error', () => {});
  return stream;
}

/** How large a buffer to try with; 0 for a body that is left to the public call. */
export function gunzipRoom(rawLength: number, bytesMax: number): number {
  if (rawLength > RAW_BYTES_MAX || !isUsable()) return 0;
  // Exporter text shrinks eight to fifteen times. One byte more tells "full" from "too small".
  return Math.min(Math.max(16 * rawLength, 16 * 1024), OUTPUT_BYTES_MAX, bytesMax) + 1;
}

/** Bytes written to `output`; -1 where it did not fit, or is not gzip: the public call says what. */
export function gunzipInto(raw: Buffer, output: Buffer, outputMax: number): number {
  if (inner === undefined || inner === null) inner = makeInner();
  try {
    inner.reset();
    inner._handle!.writeSync(constants.Z_FINISH, raw, 0, raw.length, output, 0, outputMax);
    const [outputLeft, inputLeft] = inner._writeState;
    if (!inner.destroyed && outputLeft > 0 && inputLeft === 0) return outputMax - outputLeft;
  } catch {
    // Falls through: the stream may be in any state.
  }
  inner.destroy();
  inner = makeInner();
  return -1;
}

function isUsable(): boolean {
  if (inner === undefined) {
    const text = Buffer.from('up 1\n'.repeat(100));
    const output = Buffer.alloc(1024);
    const length = gunzipInto(gzipSync(text), output, output.length);
    if (!output.subarray(0, Math.max(0, length)).equals(text)) inner = null;
  }
  return inner !== null;
}
