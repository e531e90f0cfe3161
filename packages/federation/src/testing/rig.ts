/** A frame server on a real socket and a puller beside it, for tests of this package. */
import { type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Clock,
  type JournalId,
  type JournalPosition,
  type Matcher,
  type PullOutcome,
  type PullTarget,
  type Store,
  asDuration,
  makeMatcher,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { FramePuller, type FramePullerOptions } from '../pull/puller.js';
import { FrameServer, type FrameServerOptions } from '../serve/frames.js';
import { RecordingAppender } from './fixture-journal.js';

/** `{a="b",c=~"d"}` only: enough for tests, PromQL's own reader is a sibling. */
export function parseSelector(text: string): Matcher[] {
  const matchers: Matcher[] = [];
  const part = /([a-zA-Z_]+)(=~|!~|!=|=)"([^"]*)"/g;
  for (const [, name, op, value] of text.matchAll(part)) {
    matchers.push(makeMatcher(name, op as Matcher['op'], value));
  }
  if (matchers.length === 0) matchers.push(makeMatcher('__name__', '=', text));
  return matchers;
}

/** Every look at it takes a millisecond. */
export class HurriedClock extends VirtualClock {
  #looks = 0;
  override monotonic(): number {
    return super.monotonic() + this.#looks++;
  }
}

/** What servers sign the cursors of their own journal with. */
export const CURSOR_KEY = Uint8Array.from({ length: 16 }, (_, i) => i);

export const id = (digit: string): JournalId => digit.repeat(32) as JournalId;

/** Serves a store until `close`. */
export class ServerRig {
  server: FrameServer;
  readonly #options: FrameServerOptions;
  readonly broken: JournalPosition[] = [];
  #http: Server | undefined;
  #url = '';

  constructor(store: Store, clock: Clock, own: JournalId, options: Partial<FrameServerOptions>) {
    this.#options = {
      store,
      clock,
      name: 'leaf',
      ownJournal: own,
      cursorKey: CURSOR_KEY,
      commitOwn: () => Promise.resolve(),
      breakEpoch: (above) => void this.broken.push(above),
      report: () => undefined,
      watermark: () => 0,
      position: () => undefined,
      trail: () => [],
      keptFor: () => asDuration(3_600_000),
      reorder: asDuration(10_000),
      parseSelector,
      pageBytes: 4 * 1024 * 1024,
      pageTime: asDuration(200),
      concurrentPullsMax: 4,
      readersMax: 32,
      readerTtl: asDuration(3_600_000),
      rememberReaders: false,
      viewsMax: 8,
      viewBytesMax: 1 << 24,
      log: () => undefined,
      ...options,
    };
    this.server = new FrameServer(this.#options);
  }

  /** Another process at the same address: it remembers nothing. */
  restart(): void {
    this.server = new FrameServer(this.#options);
  }

  /** `seen`: shown each answer before it is made. */
  async listen(seen: (res: ServerResponse) => void = () => {}): Promise<this> {
    this.#http = createServer((req, res) => {
      seen(res);
      void this.server.handle(req, res, new URL(req.url ?? '/', 'http://rig'));
    });
    await new Promise<void>((resolve) => this.#http!.listen(0, '127.0.0.1', resolve));
    this.#url = `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/federate`;
    return this;
  }

  target(...selectors: string[]): PullTarget {
    const query = selectors.map((text) => `match[]=${encodeURIComponent(text)}`).join('&');
    const url = query === '' ? this.#url : `${this.#url}?${query}`;
    return { url, labels: [], interval: asDuration(5000) };
  }

  async close(): Promise<void> {
    this.#http?.closeAllConnections();
    await new Promise<void>((resolve) => void this.#http?.close(() => resolve()));
  }
}

/** Pulls; what came is in `appender`. */
export class PullRig {
  readonly puller: FramePuller;
  readonly appender: RecordingAppender;
  readonly watermarks: number[] = [];
  /** First digit of the journal and the sequence that the store had. */
  readonly loaded: string[] = [];
  /** First digit of the journal and the sequence that is left. */
  readonly wentBack: string[] = [];

  constructor(
    store: Store,
    clock: Clock,
    options: Partial<FramePullerOptions> & { appender?: RecordingAppender } = {},
  ) {
    this.appender = options.appender ?? new RecordingAppender();
    this.puller = new FramePuller({
      store,
      clock,
      owner: 'parent',
      readerName: options.owner ?? 'parent',
      leaseTtl: asDuration(15_000),
      groupOf: () => undefined,
      ownJournals: () => new Set(),
      onWatermark: (_ref, watermark) => void this.watermarks.push(watermark),
      onLoaded: (ref, state) => {
        this.loaded.push(`${ref.slice(0, 1)} ${state?.position.sequence ?? 'nothing'}`);
        return Promise.resolve();
      },
      onStoreWentBack: (ref, state) => {
        this.wentBack.push(`${ref.slice(0, 1)} ${state?.position.sequence ?? 'gone'}`);
        return Promise.resolve();
      },
      pageBytesMax: 64 * 1024 * 1024,
      journalsMax: 100,
      log: () => undefined,
      ...options,
      appender: this.appender,
    });
  }

  /** One request; the body is not taken. */
  async ask(target: PullTarget): Promise<{ status: number; body: Uint8Array }> {
    const headers = await this.puller.requestHeaders(target);
    const accept = { accept: `${this.puller.mediaType},text/plain;q=0.5` };
    const response = await fetch(target.url, { headers: { ...headers, ...accept } });
    return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
  }

  async pull(target: PullTarget): Promise<PullOutcome> {
    const { status, body } = await this.ask(target);
    if (status !== 200) throw new Error(`status ${status}: ${Buffer.from(body).toString()}`);
    return this.puller.take(target, {}, body);
  }

  /** Pulls while there is more; returns the number of pages. */
  async pullAll(target: PullTarget, pagesMax = 200): Promise<number> {
    for (let pages = 1; pages <= pagesMax; pages++) {
      if (!(await this.pull(target)).more) return pages;
    }
    throw new Error('there is always more');
  }
}
