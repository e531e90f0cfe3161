/**
 * One body over HTTP, with a limit on everything: time, bytes, redirects.
 */
import * as http from 'node:http';
import { CanopyError, type Clock, type DurationMs, type Gate } from '@canopy/model';
import { decompress, receive } from './body.js';
import { HttpClients, type OpenedClient, authorizationOf, givenAuth } from './client/clients.js';
import type { Headers, HttpClient, SendOptions } from './client/http-client.js';
import type { Environment } from './client/proxy.js';
import type { Auth, HttpClientConfig } from './config.js';

export interface FetchRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined where `client` has it. */
  readonly auth: Auth | undefined;
  /** TLS, proxy, headers, credentials that have to be fetched or read; undefined: none of these. */
  readonly client?: HttpClientConfig;
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
  readonly headers: ReadonlyMap<string, string>;
  readonly contentType: string;
  /** Decompressed; valid until the promise of `take` is settled. */
  readonly body: Uint8Array;
  /** Body bytes received. */
  readonly wireBytes: number;
}

/** Port: gets one body. */
export interface Fetcher {
  /**
   * Fetches, and hands the body of a 200 answer to `take`. When the headers and the body's beginning are
   * there, `gateFor` says which gate to pass; the rest is received, decompressed and taken inside it. Rejects with a
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
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked for; default: nowhere. */
  readonly env?: Environment;
}

/** The part of a request that an `http_config` decides. */
export type RequestClient = Pick<FetchRequest, 'auth' | 'client' | 'followRedirects'>;

/** Made once for a configuration, spread into each of its requests. */
export function requestClient(config: HttpClientConfig): RequestClient {
  const { tls, proxy, httpHeaders, followRedirects } = config;
  const auth = givenAuth(config.auth);
  const isPlain =
    tls === undefined &&
    proxy === undefined &&
    httpHeaders === undefined &&
    (config.auth === undefined || auth !== undefined);
  return isPlain ? { auth, followRedirects } : { auth: undefined, client: config, followRedirects };
}

const REDIRECTS_MAX = 10;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** Fetches with Node's own client over connections that are kept. */
export class HttpFetcher implements Fetcher, Disposable {
  readonly #options: HttpFetcherOptions;
  readonly #clients: HttpClients;

  constructor(options: HttpFetcherOptions) {
    this.#options = options;
    this.#clients = new HttpClients(options.clock, options.env ?? {}, options.idleTimeout);
  }

  async fetch<T>(
    request: FetchRequest,
    gateFor: (contentType: string) => Gate,
    take: (answer: FetchedBody) => Promise<T>,
  ): Promise<T> {
    const deadline = new Deadline(this.#options.clock, request.timeout, request.signal);
    try {
      const opening = this.#clients.open(request.client ?? PLAIN);
      const opened = await deadline.race(opening);
      const response = await this.#follow(request, opened, deadline.signal);
      if (response.statusCode !== 200) {
        // Its body is of no use and may be endless.
        response.destroy();
        throw new CanopyError('unavailable', `server returned HTTP status ${statusOf(response)}`);
      }
      const { contentType, headers } = readHeaders(response);
      const own = this.#options.bodyBytesMax;
      const limit = request.bodyBytesMax > 0 ? Math.min(request.bodyBytesMax, own) : own;
      const receiving = receive(response, limit, deadline.signal);
      await receiving.begun;
      // Nothing is read meanwhile: a body larger than the socket's buffers waits at the sender.
      const taken = gateFor(contentType)(async () => {
        deadline.signal.throwIfAborted();
        const raw = await receiving.whole();
        deadline.cancel();
        const encoding = (headers.get('content-encoding') ?? '').trim().toLowerCase();
        const body = await decompress(raw, encoding, limit);
        return take({ headers, contentType, body, wireBytes: raw.length });
      });
      return await deadline.race(taken);
    } catch (error) {
      throw describe(error, request.url, deadline.signal);
    } finally {
      deadline.cancel();
    }
  }

  async #follow(
    request: FetchRequest,
    { client, headers: secretHeaders }: OpenedClient,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    let url = new URL(request.url);
    const firstHost = url.host;
    for (let redirects = 0; ; redirects++) {
      // Credentials are for the configured host only.
      const own = url.host === firstHost;
      const headers = headersOf(request, this.#options, own ? secretHeaders : undefined);
      const response = await send(client, url, { headers, signal });
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

  /** Closes kept connections. */
  [Symbol.dispose](): void {
    this.#clients[Symbol.dispose]();
  }
}

const PLAIN: HttpClientConfig = { followRedirects: true };

/** Sends, once more where a kept connection turned out to be closed by the other side. */
function send(client: HttpClient, url: URL, options: SendOptions): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    let answered = false;
    const request = client.request(url, options, (response) => {
      answered = true;
      resolve(response);
    });
    request.on('error', (error) => {
      const stale = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
      if (stale && request.reusedSocket && !answered) {
        send(client, url, options).then(resolve, reject);
      } else reject(error);
    });
    request.end();
  });
}

const DEADLINE = 'context deadline exceeded';

/** A signal that is aborted by time or by another signal, until it is cancelled. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #cancel: () => void;
  #isCancelled = false;

  constructor(clock: Clock, timeout: DurationMs, outer: AbortSignal) {
    const onOuter = (): void => this.#controller.abort(outer.reason);
    const timer = clock.after(timeout, () => {
      // What lies in the socket is read first, as in socket/exchange.ts.
      setImmediate(() => {
        if (!this.#isCancelled) this.#controller.abort(new CanopyError('timeout', DEADLINE));
      });
    });
    if (outer.aborted) onOuter();
    else outer.addEventListener('abort', onOuter, { once: true });
    this.#cancel = () => {
      this.#isCancelled = true;
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

/** `secretHeaders` undefined: the request goes to a host that must not see credentials. */
export function headersOf(
  request: FetchRequest,
  options: HttpFetcherOptions,
  secretHeaders: Headers | undefined,
): Headers {
  const headers: Record<string, string | readonly string[]> = {
    'user-agent': options.userAgent,
    'x-prometheus-scrape-timeout-seconds': String(request.timeout / 1000),
    ...request.headers,
  };
  if (secretHeaders === undefined) return headers;
  if (request.auth !== undefined) headers.authorization = authorizationOf(request.auth);
  for (const [name, value] of Object.entries(secretHeaders)) {
    const known = headers[name.toLowerCase()];
    // Added to what is there, as Go's client does.
    headers[name.toLowerCase()] = known === undefined ? value : [known, value].flat();
  }
  return headers;
}

function readHeaders(response: http.IncomingMessage): {
  contentType: string;
  headers: ReadonlyMap<string, string>;
} {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return { contentType: headers.get('content-type') ?? '', headers };
}

function statusOf(response: http.IncomingMessage): string {
  const text = response.statusMessage || http.STATUS_CODES[response.statusCode ?? 0] || '';
  return `${response.statusCode} ${text}`.trimEnd();
}

/** What went wrong in words that Prometheus's users know. */
export function describe(error: unknown, url: string, signal: AbortSignal): unknown {
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
  if ((error as { proxyConnect?: boolean }).proxyConnect === true) {
    return `proxyconnect tcp: ${known[code] ?? tlsText(code, error) ?? error.message}`;
  }
  if (code.startsWith('HPE_')) return `malformed HTTP response: ${error.message}`;
  return known[code] ?? tlsText(code, error) ?? error.message;
}

const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function tlsText(code: string, error: Error): string | undefined {
  const verify = 'tls: failed to verify certificate: x509:';
  if (UNKNOWN_AUTHORITY.has(code)) return `${verify} certificate signed by unknown authority`;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return `${verify} certificate has expired or is not yet valid`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const { reason } = error as { reason?: string };
    return `${verify} certificate is not valid for the server's name: ${reason ?? ''}`.trimEnd();
  }
  // "C0B7…:error:0A00…:SSL routines:…:wrong version number:ssl/….c:350:": OpenSSL's words only.
  const words = /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1];
  if (words === undefined) return undefined;
  const isText = words === 'wrong version number' || words === 'packet length too long';
  return isText
    ? 'tls: first record does not look like a TLS handshake'
    : `remote error: tls: ${words}`;
}
