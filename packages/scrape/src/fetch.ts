/**
 * One body over HTTP, with a limit on everything: time, bytes, redirects.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import { CanopyError, type Clock, type DurationMs, type Gate } from '@canopy/model';
import { readBody } from './body.js';
import type { Auth } from './config.js';

export interface FetchRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth: Auth | undefined;
  /** From the start to the last byte of the body, waiting at the gate included. */
  readonly timeout: DurationMs;
  /** Decompressed. 0: the fetcher's own maximum. */
  readonly bodyBytesMax: number;
  readonly followRedirects: boolean;
  /** Aborting it ends the fetch while the body is not complete. */
  readonly signal: AbortSignal;
}

export interface FetchedBody {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly contentType: string;
  /** Decompressed; valid until the promise of `take` is settled. */
  readonly body: Uint8Array;
  /** Body bytes received. */
  readonly wireBytes: number;
}

/** Port: gets one body. */
export interface Fetcher {
  /**
   * Fetches, and hands the body of a 200 answer to `take`. When the headers are there, `gateFor` says
   * which gate to pass; the body is received, decompressed and taken inside it. Rejects with a
   * CanopyError whose text is for people, or with what `take` throws.
   */
  fetch<T>(
    request: FetchRequest,
    gateFor: (contentType: string) => Gate,
    take: (answer: FetchedBody) => Promise<T>,
  ): Promise<T>;
}

export interface HttpFetcherOptions {
  readonly clock: Clock;
  /** `Canopy/<version>`. */
  readonly userAgent: string;
  /** Most bytes of any body, before and after decompression. */
  readonly bodyBytesMax: number;
  /** How long an unused connection is kept. */
  readonly idleTimeout: DurationMs;
}

const REDIRECTS_MAX = 10;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** Fetches with Node's own client over connections that are kept. */
export class HttpFetcher implements Fetcher, Disposable {
  readonly #options: HttpFetcherOptions;
  readonly #httpAgent: http.Agent;
  readonly #httpsAgent: https.Agent;

  constructor(options: HttpFetcherOptions) {
    this.#options = options;
    // One target is asked by one loop at a time: one kept connection is enough.
    const agent = { keepAlive: true, maxFreeSockets: 2, timeout: options.idleTimeout };
    this.#httpAgent = new http.Agent(agent);
    this.#httpsAgent = new https.Agent(agent);
  }

  async fetch<T>(
    request: FetchRequest,
    gateFor: (contentType: string) => Gate,
    take: (answer: FetchedBody) => Promise<T>,
  ): Promise<T> {
    const deadline = new Deadline(this.#options.clock, request.timeout, request.signal);
    try {
      const response = await this.#follow(request, deadline.signal);
      if (response.statusCode !== 200) {
        // Its body is of no use and may be endless.
        response.destroy();
        throw new CanopyError('unavailable', `server returned HTTP status ${statusOf(response)}`);
      }
      const { contentType, headers } = readHeaders(response);
      // Nothing reads the response yet: a body larger than the socket's buffers waits at the sender.
      const taken = gateFor(contentType)(async () => {
        deadline.signal.throwIfAborted();
        const own = this.#options.bodyBytesMax;
        const limit = request.bodyBytesMax > 0 ? Math.min(request.bodyBytesMax, own) : own;
        const { body, wireBytes } = await readBody(response, limit, deadline.signal);
        deadline.cancel();
        return take({ headers, contentType, body, wireBytes });
      });
      return await deadline.race(taken);
    } catch (error) {
      throw describe(error, request.url, deadline.signal);
    } finally {
      deadline.cancel();
    }
  }

  async #follow(request: FetchRequest, signal: AbortSignal): Promise<http.IncomingMessage> {
    let url = new URL(request.url);
    const firstHost = url.host;
    for (let redirects = 0; ; redirects++) {
      // Credentials are for the configured host only.
      const auth = url.host === firstHost ? request.auth : undefined;
      const response = await this.#send(url, headersOf(request, this.#options, auth), signal);
      const { location } = response.headers;
      const redirected = REDIRECT_STATUS.has(response.statusCode ?? 0) && location !== undefined;
      if (!redirected || !request.followRedirects) return response;
      response.destroy();
      if (redirects === REDIRECTS_MAX) throw new Error(`stopped after ${REDIRECTS_MAX} redirects`);
      if (!URL.canParse(location, url.href)) {
        throw new Error(`failed to parse Location header "${location}"`);
      }
      url = new URL(location, url);
      if (url.protocol !== 'http:' && url.protocol !== 'https:') {
        throw new Error(`unsupported protocol scheme "${url.protocol.slice(0, -1)}"`);
      }
    }
  }

  /** Sends, once more where a kept connection turned out to be closed by the other side. */
  async #send(
    url: URL,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const secure = url.protocol === 'https:';
    const send = (): Promise<http.IncomingMessage> =>
      new Promise((resolve, reject) => {
        let answered = false;
        const onResponse = (response: http.IncomingMessage): void => {
          answered = true;
          resolve(response);
        };
        const request = secure
          ? https.request(url, { headers, signal, agent: this.#httpsAgent }, onResponse)
          : http.request(url, { headers, signal, agent: this.#httpAgent }, onResponse);
        request.on('error', (error) => {
          const stale = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
          if (stale && request.reusedSocket && !answered) send().then(resolve, reject);
          else reject(error);
        });
        request.end();
      });
    return send();
  }

  /** Closes kept connections. */
  [Symbol.dispose](): void {
    this.#httpAgent.destroy();
    this.#httpsAgent.destroy();
  }
}

const DEADLINE = 'context deadline exceeded';

/** A signal that is aborted by time or by another signal, until it is cancelled. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #cancel: () => void;

  constructor(clock: Clock, timeout: DurationMs, outer: AbortSignal) {
    const onOuter = (): void => this.#controller.abort(outer.reason);
    const timer = clock.after(timeout, () =>
      this.#controller.abort(new CanopyError('timeout', DEADLINE)),
    );
    if (outer.aborted) onOuter();
    else outer.addEventListener('abort', onOuter, { once: true });
    this.#cancel = () => {
      timer.cancel();
      outer.removeEventListener('abort', onOuter);
    };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cancel(): void {
    this.#cancel();
  }

  /** Settles as `promise` does, or rejects when the signal is aborted before. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(this.signal.reason as Error);
      if (this.signal.aborted) onAbort();
      this.signal.addEventListener('abort', onAbort, { once: true });
      promise.then(resolve, reject);
    });
  }
}

function headersOf(
  request: FetchRequest,
  options: HttpFetcherOptions,
  auth: Auth | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {
    'user-agent': options.userAgent,
    'x-prometheus-scrape-timeout-seconds': String(request.timeout / 1000),
    ...request.headers,
  };
  if (auth?.type === 'basic') {
    const pair = Buffer.from(`${auth.username}:${auth.password}`).toString('base64');
    headers.authorization = `Basic ${pair}`;
  } else if (auth?.type === 'header') {
    headers.authorization = `${auth.scheme} ${auth.credentials}`;
  }
  return headers;
}

function readHeaders(response: http.IncomingMessage): {
  contentType: string;
  headers: Record<string, string | undefined>;
} {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { contentType: headers['content-type'] ?? '', headers };
}

function statusOf(response: http.IncomingMessage): string {
  const text = response.statusMessage || http.STATUS_CODES[response.statusCode ?? 0] || '';
  return `${response.statusCode} ${text}`.trimEnd();
}

/** What went wrong in words that Prometheus's users know. */
function describe(error: unknown, url: string, signal: AbortSignal): unknown {
  // Aborting makes any error of the streams; the reason is what counts.
  const cause: unknown = signal.aborted ? signal.reason : error;
  if (cause instanceof CanopyError) {
    if (cause.code !== 'timeout') return cause;
    return new CanopyError('timeout', `Get "${url}": ${cause.message}`);
  }
  if (!(cause instanceof Error)) return cause;
  return new CanopyError('unavailable', `Get "${url}": ${networkText(cause)}`, { cause });
}

function networkText(error: NodeJS.ErrnoException): string {
  // Both families of a host name failed: the first says enough.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return networkText(error.errors[0] as Error);
  }
  const { address, port } = error as { address?: string; port?: number };
  const at =
    address === undefined ? '' : ` ${address.includes(':') ? `[${address}]` : address}:${port}`;
  const code = error.code ?? '';
  const known: Record<string, string> = {
    ECONNREFUSED: `dial tcp${at}: connect: connection refused`,
    EHOSTUNREACH: `dial tcp${at}: connect: no route to host`,
    ENETUNREACH: `dial tcp${at}: connect: network is unreachable`,
    ETIMEDOUT: `dial tcp${at}: i/o timeout`,
    ENOTFOUND: `dial tcp: lookup ${(error as { hostname?: string }).hostname ?? ''}: no such host`,
    EAI_AGAIN: 'dial tcp: lookup: temporary failure in name resolution',
    ECONNRESET: error.message.includes('socket hang up') ? 'EOF' : 'connection reset by peer',
    EPIPE: 'connection reset by peer',
  };
  if (code.startsWith('HPE_')) return `malformed HTTP response: ${error.message}`;
  return known[code] ?? error.message;
}
