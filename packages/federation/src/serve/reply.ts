/** Answers over HTTP: errors as short plain texts, bodies compressed where the client takes it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { CanopyError, type Clock, type DurationMs, type ErrorCode, errorText } from '@canopy/model';

const brotli = promisify(brotliCompress);
const gzipped = promisify(gzip);
/** A client that takes nothing of a stream, or not all of a page, for so long is given up. */
export const STALLED: DurationMs = 60_000 as DurationMs;
/** Smaller bodies gain nothing. Bytes. */
const COMPRESS_MIN = 1024;
/** Status that tells a scraper to come back, where the table says 500. */
const RETRY_LATER: ReadonlySet<ErrorCode> = new Set([
  'storage_unavailable',
  'storage_full',
  'unavailable',
]);

/** Whether an `Accept-Encoding` takes `coding`. */
export function acceptsCoding(req: Pick<IncomingMessage, 'headers'>, coding: string): boolean {
  const header = req.headers['accept-encoding'];
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  return text.split(',').some((part) => {
    const [name, ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    return name === coding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

/**
 * Sends a whole body with status 200; resolves once its bytes are not held any more, with their number. A client that has
 * not taken them in time is cut off.
 * @throws CanopyError `canceled`, `timeout` where they were not all taken.
 */
export async function sendBody(
  req: IncomingMessage,
  res: ServerResponse,
  contentType: string,
  body: Uint8Array,
  clock: Clock,
): Promise<number> {
  let sent = body;
  if (body.length > COMPRESS_MIN && acceptsCoding(req, 'br')) {
    sent = await brotli(body, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 1,
        [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
      },
    });
    res.setHeader('Content-Encoding', 'br');
  } else if (body.length > COMPRESS_MIN && acceptsCoding(req, 'gzip')) {
    sent = await gzipped(body, { level: 1 });
    res.setHeader('Content-Encoding', 'gzip');
  }
  res.statusCode = 200;
  res.setHeader('Content-Type', contentType);
  res.setHeader('Content-Length', sent.length);
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Vary', 'Accept, Accept-Encoding');
  await taken(res, sent, clock);
  return sent.length;
}

function taken(res: ServerResponse, body: Uint8Array, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    // It went away while the page was made: no event is to come.
    if (res.destroyed) return reject(new CanopyError('canceled', 'the client went away'));
    const timer = clock.after(STALLED, () => {
      reject(new CanopyError('timeout', 'the client does not take the page'));
      res.destroy();
    });
    const { socket } = res;
    res.once('close', () => {
      timer.cancel();
      reject(new CanopyError('canceled', 'the client went away'));
    });
    // Comes before, where all went out; Node tells of it, too, where the connection broke.
    res.once('finish', () => {
      if (socket?.destroyed !== true) resolve();
    });
    res.end(body);
  });
}

/**
 * Nobody may take what was sent for all of it. To a client of HTTP/1.0 the end of the connection is the end of the body: it is
 * reset. (TLS has an end of its own, which is not sent.)
 */
function breakOff(res: ServerResponse): void {
  const { socket } = res;
  if (socket !== null && !('encrypted' in socket)) socket.resetAndDestroy();
  res.destroy();
}

/** Sends an error before any body; where one is under way, breaks the connection instead. */
export function sendError(res: ServerResponse, error: unknown): void {
  if (res.headersSent) return breakOff(res);
  const known = error instanceof CanopyError;
  const later = known && RETRY_LATER.has(error.code);
  res.statusCode = later ? 503 : known ? error.httpStatus : 500;
  for (const name of ['Content-Encoding', 'Content-Length']) res.removeHeader(name);
  if (res.statusCode === 429 || later) res.setHeader('Retry-After', '1');
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.setHeader('Cache-Control', 'no-store');
  // What is not a CanopyError is a bug: its text is for the log.
  res.end(`${known ? errorText(error) : 'internal error'}\n`);
}
