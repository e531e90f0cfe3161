/**
 * An HTTP server with a bounded life: it opens with a clear error or an address, and closes within
 * a given time whatever its clients do.
 */
import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  createServer,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { CanopyError, type Clock, type DurationMs, errorText } from '@canopy/model';
import { type GuardSource, OPEN, type ServerTls } from './guard/guard.js';
import { PasswordCheck } from './guard/password-check.js';
import { secureServer } from './guard/server-tls.js';
import type { Web } from './options.js';

export interface HttpServerOptions {
  readonly handler: RequestListener & Partial<Pick<Web, 'messages'>>;
  readonly clock: Clock;
  /** For a client to send its whole request. */
  readonly requestTimeout: DurationMs;
  /** How long an idle connection is kept. */
  readonly keepAliveTimeout: DurationMs;
  /** Request line and headers together; more is answered with 431. */
  readonly headerBytesMax: number;
  /** Connections at once, half of them from one address; more are closed as they come. */
  readonly connectionsMax: number;
  /** How long `close` waits for answers under way before it cuts them off. */
  readonly closeTimeout: DurationMs;
  /** What is asked of clients; default: nothing. */
  readonly guard?: GuardSource;
}

/**
 * What the guard turned away. `tls`: connections that were no TLS, or without a certificate as it must be; `unauthorized`:
 * requests without a right name and password; `busy`: requests beyond the passwords that may wait to be compared;
 * `connections`: those beyond the limit.
 */
export type RefusedTotals = Record<'tls' | 'unauthorized' | 'busy' | 'connections', number>;

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
  readonly refused: RefusedTotals = { tls: 0, unauthorized: 0, busy: 0, connections: 0 };
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #guard: GuardSource;
  readonly #passwords = new PasswordCheck();
  /** Connections as they were accepted, those with a handshake under way among them. */
  readonly #accepted = new Set<Socket>();
  /** By address. */
  readonly #connections = new Map<string, number>();
  /** Takes connections under `#tls`. */
  #secure: TlsServer | undefined;
  #tls: ServerTls | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#guard = options.guard ?? (() => OPEN);
    const { messages } = options.handler;
    this.#server = createServer(
      { maxHeaderSize: options.headerBytesMax, ...messages },
      (req, res) => this.#admit(req, res),
    );
    if (this.#guard().tls !== undefined) this.#takeSecureOnly();
    this.#server.requestTimeout = options.requestTimeout;
    this.#server.headersTimeout = options.requestTimeout;
    this.#server.keepAliveTimeout = options.keepAliveTimeout;
    this.#server.maxConnections = options.connectionsMax;
    this.#server.on('drop', () => this.refused.connections++);
    this.#server.on('connection', (socket: Socket) => this.#countIn(socket));
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
        for (const socket of this.#accepted) socket.destroy();
      });
      // An error here means that it never listened: closed all the same.
      this.#server.close(() => {
        cut.cancel();
        void this.#passwords.close().then(resolve);
      });
      this.#server.closeIdleConnections();
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Each connection goes through a handshake before the HTTP server, which listens and keeps the limits, sees
   * it: a TLS server for each state of the guard, so that another certificate needs no restart.
   */
  #takeSecureOnly(): void {
    const [accept] = this.#server.listeners('connection') as Array<(socket: Socket) => void>;
    this.#server.off('connection', accept);
    const onSecure = (socket: Socket): void => accept.call(this.#server, socket);
    this.#server.on('connection', (socket: Socket) => {
      const { tls } = this.#guard();
      if (tls === undefined) return void socket.destroy();
      if (this.#secure === undefined || tls !== this.#tls) {
        this.#tls = tls;
        this.#secure = secureServer(tls, onSecure, () => this.refused.tls++);
      }
      this.#accepted.add(socket);
      socket.once('close', () => this.#accepted.delete(socket));
      this.#secure.emit('connection', socket);
    });
  }

  /** Half of the connections are for others, however many one address opens. */
  #countIn(socket: Socket): void {
    const { remoteAddress = '' } = socket;
    const there = this.#connections.get(remoteAddress) ?? 0;
    if (there >= Math.ceil(this.#options.connectionsMax / 2)) {
      this.refused.connections++;
      socket.destroy();
      return;
    }
    this.#connections.set(remoteAddress, there + 1);
    socket.once('close', () => {
      const left = this.#connections.get(remoteAddress)! - 1;
      if (left > 0) this.#connections.set(remoteAddress, left);
      else this.#connections.delete(remoteAddress);
    });
  }

  #admit(req: IncomingMessage, res: ServerResponse): void {
    const { headers, users } = this.#guard();
    setOver(res, headers);
    if (users.size === 0) return void this.#options.handler(req, res);
    this.#passwords.check(req.headers.authorization, users).then(
      (outcome) => {
        if (outcome === 'right') this.#options.handler(req, res);
        else if (outcome === 'busy') this.#refuse(req, res, 429, 'busy', 'Too Many Requests\n');
        else {
          res.setHeader('WWW-Authenticate', 'Basic');
          this.#refuse(req, res, 401, 'unauthorized', 'Unauthorized\n');
        }
      },
      () => this.#refuse(req, res, 500, 'busy', 'Internal Server Error\n'),
    );
  }

  #refuse(
    req: IncomingMessage,
    res: ServerResponse,
    status: number,
    reason: keyof RefusedTotals,
    text: string,
  ): void {
    this.refused[reason]++;
    // What is left of the body is not wanted.
    if (!req.complete) res.setHeader('Connection', 'close');
    res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(text);
  }
}

/** Sets headers when the answer begins, so that nothing else has the last word. */
function setOver(res: ServerResponse, headers: Readonly<Record<string, string>>): void {
  const entries = Object.entries(headers);
  if (entries.length === 0) return;
  const writeHead = res.writeHead.bind(res) as (...given: unknown[]) => ServerResponse;
  res.writeHead = (...given: unknown[]) => {
    for (const [name, value] of entries) res.setHeader(name, value);
    return writeHead(...given);
  };
}
