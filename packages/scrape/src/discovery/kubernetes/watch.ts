/**
 * A copy of one resource of an API server, kept up to date: a list in pages, then a watch that
 * goes on from the last version seen; a version too old (410) is listed anew. Protocol:
 * kubernetes.io/docs/reference/using-api/api-concepts, "Efficient detection of changes".
 */
import type { IncomingMessage } from 'node:http';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  asDuration,
  errorText,
  sleep,
} from '@canopy/model';
import type { DiscoveryReport } from '../discovery.js';
import type { KubernetesApi } from './connector.js';
import { type KubeObject, RESOURCES, type Resource, keyOf } from './objects.js';

export interface WatchOptions {
  readonly clock: Clock;
  readonly api: KubernetesApi;
  readonly resource: Resource;
  /** '' for all. */
  readonly namespace: string;
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly report: DiscoveryReport;
  /** After the first list and after each change. */
  onChange(): void;
}

/** Objects a page; some tens of milliseconds of JSON for the largest ones. */
const PAGE_OBJECTS = 200;
const PAGE_BYTES_MAX = 64 << 20;
/** Objects kept of one resource; with more, what is known stays as it is and that is reported. */
const OBJECTS_MAX = 200_000;
/** One object in a watch; the server itself takes no more than 1.5 MiB. */
const EVENT_BYTES_MAX = 8 << 20;
/** Asked of the server; it ends the watch then, and the next one goes on. */
const WATCH_SECONDS = 300;
/** A watch that has not ended this long after its time is dead. */
const WATCH_GRACE = asDuration(30_000);
const ANSWER_TIMEOUT = asDuration(30_000);
const LIST_TIMEOUT = asDuration(120_000);
const KEEP_ALIVE_MS = 30_000;
const BACKOFF_MIN_MS = 1000;
const BACKOFF_MAX_MS = 30_000;

const GONE = 410;

/** The list that the version stands for is no longer known to the server. */
class GoneError extends Error {}

export class ResourceWatch {
  readonly #options: WatchOptions;
  readonly #stopping = new AbortController();
  #objects = new Map<string, KubeObject>();
  #isListed = false;
  /** Where the next watch begins; undefined: list first. */
  #version: string | undefined;
  #backoff = BACKOFF_MIN_MS;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** By `keyOf`. Another object stands for another version. */
  get objects(): ReadonlyMap<string, KubeObject> {
    return this.#objects;
  }

  /** All of it has been seen once. */
  get isListed(): boolean {
    return this.#isListed;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopping.abort(new Error('discovery has stopped'));
  }

  async #run(): Promise<void> {
    const { clock, resource, namespace, report } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let pause = 0;
      try {
        if (this.#version === undefined) await this.#list();
        const began = clock.monotonic();
        const events = await this.#watch();
        // A server that ends watches at once is not to be asked without end.
        const isUseless = events === 0 && clock.monotonic() - began < BACKOFF_MIN_MS;
        if (isUseless) pause = this.#nextBackoff();
        else this.#backoff = BACKOFF_MIN_MS;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof GoneError) {
          this.#version = undefined;
          // The first new list comes at once.
          pause = this.#backoff === BACKOFF_MIN_MS ? 0 : this.#backoff;
          this.#nextBackoff();
        } else {
          report('cannot watch Kubernetes', { resource, namespace, error: errorText(error) });
          // What cannot be read would come again from there.
          if (isUnreadable(error)) this.#version = undefined;
          pause = this.#nextBackoff();
        }
      }
      if (pause > 0) await sleep(clock, asDuration(pause), signal).catch(() => {});
    }
  }

  #nextBackoff(): number {
    const pause = this.#backoff;
    this.#backoff = Math.min(BACKOFF_MAX_MS, pause * 2);
    return pause;
  }

  /** Replaces what is known when the last page is there. */
  async #list(): Promise<void> {
    const objects = new Map<string, KubeObject>();
    let token = '';
    let version = '';
    do {
      const page = await this.#page(token);
      for (const item of page.items) this.#add(objects, item);
      ({ token, version } = page);
    } while (token !== '');
    this.#objects = objects;
    this.#version = version;
    this.#isListed = true;
    this.#options.onChange();
  }

  async #page(token: string): Promise<{ items: unknown[]; token: string; version: string }> {
    const query: Record<string, string> = { limit: String(PAGE_OBJECTS) };
    if (token !== '') query.continue = token;
    const text = await this.#within(LIST_TIMEOUT, async (signal) => {
      const response = await this.#get(query, signal);
      return readAll(response, PAGE_BYTES_MAX);
    });
    const { items, metadata } = JSON.parse(text) as {
      items?: unknown[] | null;
      metadata?: { continue?: string; resourceVersion?: string };
    };
    if (items !== null && items !== undefined && !Array.isArray(items)) {
      throw new CanopyError('format', 'the answer is not a list of objects');
    }
    return {
      items: items ?? [],
      token: metadata?.continue ?? '',
      version: metadata?.resourceVersion ?? '',
    };
  }

  /** @returns events taken in, bookmarks included. Rejects where the connection broke or the version is gone. */
  async #watch(): Promise<number> {
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version ?? '',
      timeoutSeconds: String(WATCH_SECONDS),
    };
    const limit = asDuration(WATCH_SECONDS * 1000 + WATCH_GRACE);
    return this.#within(limit, async (signal) => {
      const response = await this.#within(ANSWER_TIMEOUT, (waiting) =>
        this.#get(query, AbortSignal.any([signal, waiting])),
      );
      response.socket?.setKeepAlive(true, KEEP_ALIVE_MS);
      let events = 0;
      for await (const line of linesOf(response, signal)) {
        this.#take(JSON.parse(line) as WatchEvent);
        events++;
      }
      return events;
    });
  }

  #take({ type, object }: WatchEvent): void {
    if (type === 'ERROR') {
      const { code, message } = object as { code?: number; message?: string };
      if (code === GONE) throw new GoneError();
      throw new CanopyError('unavailable', message ?? 'the server ended the watch');
    }
    const { metadata } = object as unknown as KubeObject;
    if (type === 'DELETED') this.#objects.delete(keyOf(metadata.namespace, metadata.name));
    else if (type === 'ADDED' || type === 'MODIFIED') this.#add(this.#objects, object);
    // A bookmark has a version and nothing else.
    this.#version = metadata.resourceVersion ?? this.#version;
    this.#backoff = BACKOFF_MIN_MS;
    if (type !== 'BOOKMARK') this.#options.onChange();
  }

  #add(objects: Map<string, KubeObject>, item: unknown): void {
    const { metadata } = item as { metadata?: { name?: unknown; namespace?: string } };
    if (typeof metadata?.name !== 'string') {
      throw new CanopyError('format', 'an object without a name');
    }
    const key = keyOf(metadata.namespace, metadata.name);
    if (objects.size >= OBJECTS_MAX && !objects.has(key)) {
      throw new CanopyError('limit', `more than ${OBJECTS_MAX} objects`);
    }
    // Half of a typical object; nobody reads it here.
    delete (metadata as { managedFields?: unknown }).managedFields;
    objects.set(key, item as KubeObject);
  }

  /** @throws GoneError, CanopyError for every status but 200. */
  async #get(query: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> {
    const { api, resource, namespace, labelSelector, fieldSelector } = this.#options;
    const { base, isNamespaced } = RESOURCES[resource];
    const parameters = new URLSearchParams(query);
    if (labelSelector !== '') parameters.set('labelSelector', labelSelector);
    if (fieldSelector !== '') parameters.set('fieldSelector', fieldSelector);
    const place =
      namespace === '' || !isNamespaced ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
    const response = await api.get(`${base}${place}/${resource}?${parameters}`, signal);
    if (response.statusCode === 200) return response;
    response.destroy();
    if (response.statusCode === GONE) throw new GoneError();
    const status = `${response.statusCode} ${response.statusMessage ?? ''}`.trimEnd();
    throw new CanopyError('unavailable', `the API server answers ${status}`);
  }

  /** Runs `task` with a signal that is aborted after `limit` or when this stops. */
  async #within<T>(limit: DurationMs, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const { signal } = this.#stopping;
    const onStop = (): void => controller.abort(signal.reason);
    const timer = this.#options.clock.after(limit, () =>
      controller.abort(new CanopyError('timeout', 'the API server does not answer')),
    );
    if (signal.aborted) onStop();
    signal.addEventListener('abort', onStop, { once: true });
    try {
      return await task(controller.signal);
    } catch (error) {
      // Aborting makes any error of the stream; the reason is what counts.
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onStop);
    }
  }
}

function isUnreadable(error: unknown): boolean {
  if (error instanceof CanopyError) return error.code === 'format' || error.code === 'limit';
  return error instanceof SyntaxError || error instanceof TypeError;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: Readonly<Record<string, unknown>>;
}

async function readAll(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) throw new CanopyError('limit', `an answer of more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Lines as they come; a line that is cut off by the end of the answer is left out. */
async function* linesOf(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  const onAbort = (): void => void response.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
        parts.push(chunk.subarray(from, end));
        const line = Buffer.concat(parts).toString('utf8');
        parts = [];
        size = 0;
        from = end + 1;
        if (line.trim() !== '') yield line;
      }
      const rest = chunk.subarray(from);
      size += rest.length;
      if (size > EVENT_BYTES_MAX) {
        throw new CanopyError('limit', `an event of more than ${EVENT_BYTES_MAX} bytes`);
      }
      if (rest.length > 0) parts.push(rest);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
