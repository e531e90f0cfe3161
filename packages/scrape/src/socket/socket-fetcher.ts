/**
 * Bodies over bare sockets: plain HTTP/1.1 to targets without TLS, proxy or redirects, which are
 * nearly all. Node's client costs several times what reading the body does, mostly in memory
 * that has to be collected again. Whatever is not plain goes to another Fetcher.
 */
import { type Timer, asDuration } from '@canopy/model';
import {
  type FetchRequest,
  type Fetcher,
  type HttpFetcherOptions,
  describe,
  headersOf,
} from '../fetch.js';
import { Aborts } from './aborts.js';
import { BodyPool } from './body-pool.js';
import { Connection, type Origin } from './connection.js';
import { Exchange, type ExchangeWorld, type GateFor, OddAnswer, type Take } from './exchange.js';

export interface SocketFetcherOptions extends HttpFetcherOptions {
  /** Asked where this one cannot. The caller disposes of it. */
  readonly fallback: Fetcher;
}

/** Kept connections of one origin, as Prometheus: as many as targets behind one address are asked together. */
const FREE_PER_ORIGIN = 1000;
/** URLs whose parts are remembered. */
const ROUTES_MAX = 200_000;
/** After an answer that is not plain, so many requests go to the fallback at once. */
const ODD_REQUESTS = 50;

const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const NEVER = new AbortController().signal;

/** What is remembered of a URL. */
interface Route extends Origin {
  readonly key: string;
  readonly hostHeader: string;
  readonly path: string;
  /** Requests that still go to the fallback. */
  odd: number;
  /** The last request: a target's are all the same. */
  last: { readonly request: FetchRequest; readonly text: string } | undefined;
}

export class SocketFetcher implements Fetcher, Disposable {
  readonly #options: SocketFetcherOptions;
  readonly #pool = new BodyPool();
  readonly #aborts = new Aborts();
  readonly #routes = new Map<string, Route | null>();
  readonly #free = new Map<string, Connection[]>();
  readonly #open = new Set<Connection>();
  #sweep: Timer | undefined;

  constructor(options: SocketFetcherOptions) {
    this.#options = options;
  }

  async fetch<T>(request: FetchRequest, gateFor: GateFor, take: Take<T>): Promise<T> {
    const { clock, fallback } = this.#options;
    const route = this.#routeOf(request);
    const text = route === null ? null : this.#requestText(request, route);
    if (route === null || text === null) return fallback.fetch(request, gateFor, take);
    if (route.odd > 0) {
      route.odd--;
      return fallback.fetch(request, gateFor, take);
    }
    const begun = clock.monotonic();
    try {
      return await this.#exchange(request, route, text, gateFor, take);
    } catch (error) {
      if (!(error instanceof OddAnswer)) throw describe(error, request.url, NEVER);
      route.odd = ODD_REQUESTS;
      const left = asDuration(Math.max(1, request.timeout - (clock.monotonic() - begun)));
      return fallback.fetch({ ...request, timeout: left }, gateFor, take);
    }
  }

  #exchange<T>(
    request: FetchRequest,
    route: Route,
    text: string,
    gateFor: GateFor,
    take: Take<T>,
  ): Promise<T> {
    const { bodyBytesMax: own, clock } = this.#options;
    const limit = request.bodyBytesMax > 0 ? Math.min(request.bodyBytesMax, own) : own;
    return new Promise((resolve, reject) => {
      const world: ExchangeWorld = {
        clock,
        pool: this.#pool,
        aborts: this.#aborts,
        connect: (fresh) => this.#connection(route, fresh),
        putAside: (connection) => this.#putAside(route, connection),
      };
      const outcome = { resolve, reject };
      new Exchange(world, request, text, limit, { gateFor, take }, outcome).start();
    });
  }

  #connection(route: Route, fresh: boolean): Connection {
    const free = this.#free.get(route.key);
    const kept = fresh ? undefined : free?.pop();
    if (kept !== undefined) return kept;
    const connection = new Connection(route, this.#pool, (closed) => this.#closed(route, closed));
    this.#open.add(connection);
    return connection;
  }

  #closed(route: Route, connection: Connection): void {
    this.#open.delete(connection);
    const free = this.#free.get(route.key);
    if (free === undefined) return;
    const index = free.indexOf(connection);
    if (index >= 0) free.splice(index, 1);
    if (free.length === 0) this.#free.delete(route.key);
  }

  #putAside(route: Route, connection: Connection): void {
    if (!connection.isFree) return;
    const { clock, idleTimeout } = this.#options;
    let free = this.#free.get(route.key);
    if (free === undefined) this.#free.set(route.key, (free = []));
    if (free.length >= FREE_PER_ORIGIN) return connection.destroy();
    connection.idleSince = clock.monotonic();
    free.push(connection);
    this.#sweep ??= clock.after(idleTimeout, () => this.#closeIdle());
  }

  #closeIdle(): void {
    const { clock, idleTimeout } = this.#options;
    const before = clock.monotonic() - idleTimeout;
    for (const free of [...this.#free.values()]) {
      for (const connection of [...free]) if (connection.idleSince <= before) connection.destroy();
    }
    const again = this.#free.size > 0;
    this.#sweep = again ? clock.after(idleTimeout, () => this.#closeIdle()) : undefined;
  }

  /** Null for URLs and requests that are not plain. */
  #routeOf(request: FetchRequest): Route | null {
    if (request.client !== undefined) return null;
    let route = this.#routes.get(request.url);
    if (route === undefined) {
      route = readRoute(request.url);
      if (this.#routes.size >= ROUTES_MAX) this.#routes.clear();
      this.#routes.set(request.url, route);
    }
    return route;
  }

  /** Null where a header holds what no header may. */
  #requestText(request: FetchRequest, route: Route): string | null {
    const { last } = route;
    if (last !== undefined && isSameRequest(last.request, request)) return last.text;
    let text = `GET ${route.path} HTTP/1.1\r\nhost: ${route.hostHeader}\r\n`;
    const headers = headersOf(request, this.#options, {});
    for (const [name, value] of Object.entries(headers)) {
      if (typeof value !== 'string' || !HEADER_VALUE.test(value)) return null;
      text += `${name}: ${value}\r\n`;
    }
    text += 'connection: keep-alive\r\n\r\n';
    route.last = { request, text };
    return text;
  }

  /** Closes all connections; fetches under way fail. */
  [Symbol.dispose](): void {
    this.#sweep?.cancel();
    for (const connection of [...this.#open]) connection.close();
  }
}

function readRoute(text: string): Route | null {
  const url = new URL(text);
  if (url.protocol !== 'http:' || url.username !== '' || url.password !== '') return null;
  return {
    key: url.host,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    hostHeader: url.host,
    path: url.pathname + url.search,
    odd: 0,
    last: undefined,
  };
}

/** Whether both say the same to the same URL; headers and credentials are compared as objects. */
function isSameRequest(a: FetchRequest, b: FetchRequest): boolean {
  return a.headers === b.headers && a.auth === b.auth && a.timeout === b.timeout;
}
