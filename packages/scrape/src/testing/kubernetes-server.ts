/**
 * An API server of Kubernetes for tests: lists in pages, watches that stream, versions that are forgotten.
 * Real HTTP; it keeps whatever objects a test puts in.
 */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { type ServerOptions, createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface ApiObject {
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

interface Event {
  readonly version: number;
  readonly resource: string;
  readonly type: string;
  readonly object: ApiObject;
}

interface Watcher {
  readonly response: ServerResponse;
  readonly resource: string;
  readonly wants: (object: ApiObject) => boolean;
}

const PATH = /^\/(?:api\/v1|apis\/[\w.]+\/v1)(?:\/namespaces\/([\w-]+))?\/(\w+)$/;

export class KubernetesServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #scheme: string;
  readonly #objects = new Map<string, { readonly resource: string; readonly object: ApiObject }>();
  #version = 100;
  #events: Event[] = [];
  /** Watches from before it are answered 410. */
  #oldest = 0;
  readonly #watchers = new Set<Watcher>();
  /** Path and query of each request. */
  readonly requests: string[] = [];
  readonly authorizations: Array<string | undefined> = [];
  /** Answers this status to everything while it is not 200. */
  status = 200;
  pageObjectsMax = Number.POSITIVE_INFINITY;

  private constructor(server: Server, scheme: string) {
    this.#server = server;
    this.#scheme = scheme;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  /** With `tls` it speaks HTTPS. */
  static async start(tls?: ServerOptions): Promise<KubernetesServer> {
    const server = tls === undefined ? createServer() : createSecureServer(tls);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return new KubernetesServer(server, tls === undefined ? 'http' : 'https');
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get watching(): number {
    return this.#watchers.size;
  }

  /** Of the lists asked for, watches left out. */
  listsOf(resource: string): number {
    return this.requests.filter(
      (path) => path.includes(`/${resource}?`) && !path.includes('watch=true'),
    ).length;
  }

  /** Adds an object, or puts it in the place of the one of that name. */
  put(resource: string, object: ApiObject): void {
    const key = this.#key(resource, object);
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED';
    const versioned = this.#versioned(object);
    this.#objects.set(key, { resource, object: versioned });
    this.#tell({ version: this.#version, resource, type, object: versioned });
  }

  remove(resource: string, object: ApiObject): void {
    this.#objects.delete(this.#key(resource, object));
    const gone = this.#versioned(object);
    this.#tell({ version: this.#version, resource, type: 'DELETED', object: gone });
  }

  /** Breaks every watch without ending its answer. */
  dropConnections(): void {
    for (const { response } of this.#watchers) response.destroy();
    this.#watchers.clear();
  }

  /** Ends every watch as its time-out does. */
  endWatches(): void {
    for (const { response } of this.#watchers) response.end();
    this.#watchers.clear();
  }

  /** Old versions are compacted: watches that go on from them are answered 410. */
  forget(): void {
    this.#oldest = this.#version + 1;
    this.#version += 10;
    this.#events = [];
  }

  /** Says something to everybody who watches, `text` as it is. */
  shout(text: string): void {
    for (const { response } of this.#watchers) response.write(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  #key(resource: string, { metadata }: ApiObject): string {
    return `${resource}/${metadata.namespace ?? ''}/${metadata.name}`;
  }

  #versioned(object: ApiObject): ApiObject {
    const resourceVersion = String(++this.#version);
    const managedFields = [{ manager: 'test' }];
    return { ...object, metadata: { ...object.metadata, resourceVersion, managedFields } };
  }

  #tell(event: Event): void {
    this.#events.push(event);
    for (const watcher of this.#watchers) send(watcher, event);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', this.url);
    this.requests.push(url.pathname + url.search);
    this.authorizations.push(request.headers.authorization);
    const parts = PATH.exec(url.pathname);
    if (this.status !== 200 || parts === null) {
      response.writeHead(parts === null ? 404 : this.status).end('{}');
      return;
    }
    const [, namespace, resource] = parts;
    const wanted = url.searchParams.get('labelSelector')?.split('=');
    const wants = ({ metadata }: ApiObject): boolean =>
      (namespace === undefined || metadata.namespace === namespace) &&
      (wanted === undefined || metadata.labels?.[wanted[0]] === wanted[1]);
    if (url.searchParams.get('watch') !== 'true') {
      this.#list(url, resource, wants, response);
      return;
    }
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < this.#oldest) {
      const object = { kind: 'Status', code: 410, message: 'too old resource version' };
      response.writeHead(200).end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    const watcher = { response, resource, wants };
    for (const event of this.#events) if (event.version > from) send(watcher, event);
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
  }

  #list(
    url: URL,
    resource: string,
    wants: (object: ApiObject) => boolean,
    response: ServerResponse,
  ): void {
    const all = [...this.#objects.values()]
      .filter((one) => one.resource === resource && wants(one.object))
      .map((one) => one.object);
    const from = Number(url.searchParams.get('continue') ?? 0);
    const limit = Math.min(Number(url.searchParams.get('limit')), this.pageObjectsMax);
    const metadata: Record<string, string> = { resourceVersion: String(this.#version) };
    if (from + limit < all.length) metadata['continue'] = String(from + limit);
    response.end(JSON.stringify({ metadata, items: all.slice(from, from + limit) }));
  }
}

function send({ response, resource, wants }: Watcher, { type, object, ...event }: Event): void {
  if (event.resource !== resource || !wants(object)) return;
  response.write(`${JSON.stringify({ type, object })}\n`);
}
