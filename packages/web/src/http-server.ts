/**
 * An HTTP server with a bounded life: it opens with a clear error or an address, and closes within
 * a given time whatever its clients do.
 */
import { type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CanopyError, type Clock, type DurationMs, errorText } from '@canopy/model';

export interface HttpServerOptions {
  readonly handler: RequestListener;
  readonly clock: Clock;
  /** For a client to send its whole request. */
  readonly requestTimeout: DurationMs;
  /** How long an idle connection is kept. */
  readonly keepAliveTimeout: DurationMs;
  /** Request line and headers together; more is answered with 431. */
  readonly headerBytesMax: number;
  /** Connections at once; more are refused. */
  readonly connectionsMax: number;
  /** How long `close` waits for answers under way before it cuts them off. */
  readonly closeTimeout: DurationMs;
}

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

export type ListenFailure = 'in_use' | 'not_permitted' | 'no_such_address' | 'other';

const FAILURES: Readonly<Record<string, readonly [ListenFailure, string]>> = {
  EADDRINUSE: ['in_use', 'the port is in use by another process'],
  EACCES: ['not_permitted', 'this user may not use the port'],
  EADDRNOTAVAIL: ['no_such_address', 'this machine does not have the address'],
  ENOTFOUND: ['no_such_address', 'the host name cannot be resolved'],
};

/** The server could not be opened; `reason` says why, so that the caller can name its flag. */
export class ListenError extends CanopyError {
  readonly host: string;
  readonly port: number;
  readonly reason: ListenFailure;
  constructor(host: string, port: number, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException | null)?.code ?? '';
    const [reason, text] = FAILURES[code] ?? ['other', errorText(cause)];
    super('unavailable', `cannot listen on ${formatHostPort(host, port)}: ${text}`, { cause });
    this.name = 'ListenError';
    this.host = host;
    this.port = port;
    this.reason = reason;
  }
}

/** `127.0.0.1:9090`, `[::1]:9090`. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** One listening socket. Opened once, closed once. */
export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  #closing: Promise<void> | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer({ maxHeaderSize: options.headerBytesMax }, options.handler);
    this.#server.requestTimeout = options.requestTimeout;
    this.#server.headersTimeout = options.requestTimeout;
    this.#server.keepAliveTimeout = options.keepAliveTimeout;
    this.#server.maxConnections = options.connectionsMax;
    this.#server.on('request', (_req, res: ServerResponse) => {
      res.once('close', () => {
        // The connection becomes idle after this event; one kept alive would hold up the end.
        if (this.#closing !== undefined) setImmediate(() => this.#server.closeIdleConnections());
      });
    });
  }

  /**
   * Opens the socket; port 0 takes a free one, which the result names.
   * @throws ListenError
   */
  listen(host: string, port: number): Promise<BoundAddress> {
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(new ListenError(host, port, error));
      this.#server.once('error', onError);
      this.#server.listen(port, host, () => {
        this.#server.off('error', onError);
        const address = this.#server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  /** Takes no more requests, ends idle connections at once and all others after `closeTimeout`. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const cut = this.#options.clock.after(this.#options.closeTimeout, () => {
        this.#server.closeAllConnections();
      });
      // An error here means that it never listened: closed all the same.
      this.#server.close(() => {
        cut.cancel();
        resolve();
      });
      this.#server.closeIdleConnections();
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
