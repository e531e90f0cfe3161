/**
 * Leaves that announced themselves, on the parent's side. An announcement makes the parent call an
 * address, so it is taken from this machine or with the token only.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type Milliseconds,
  type Store,
  errorText,
} from '@canopy/model';
import type { Log } from '../log.js';
import { sendError } from '../serve/reply.js';
import { type Announcement, parseAnnouncement } from './announcement.js';

export interface LeafRegistryOptions {
  readonly store: Pick<Store, 'getDocument' | 'putDocument'>;
  readonly clock: Clock;
  /** Read at each request so that tokens rotate; undefined: loopback only. */
  readToken(): Promise<string | undefined>;
  /** Whether it is this process that is announced: a loop of one. */
  isOwn(announcement: Announcement): boolean;
  readonly leavesMax: number;
  /** A leaf not heard of for this long is lost (and still pulled). */
  readonly lostAfter: DurationMs;
  readonly log: Log;
}

export interface RegisteredLeaf extends Announcement {
  readonly lastSeen: Milliseconds;
  readonly lost: boolean;
}

interface Entry {
  announcement: Announcement;
  lastSeen: Milliseconds;
}

type Listener = (leaves: readonly RegisteredLeaf[]) => void;

const DOCUMENT = 'registry';
const BODY_BYTES_MAX = 16 * 1024;

/** Leaves that announced themselves; kept in the store's document `registry`. */
export class LeafRegistry {
  /** Plain counts since the start. */
  readonly totals = { accepted: 0, refused: 0 };
  readonly #options: LeafRegistryOptions;
  /** By URL. */
  readonly #leaves = new Map<string, Entry>();
  readonly #listeners = new Set<Listener>();
  #loaded = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: LeafRegistryOptions) {
    this.#options = options;
  }

  /** Reads the document. Call before anything else, again where another process may have written it. */
  load(): Promise<void> {
    return this.#inTurn(() => this.#load());
  }

  /** Answers a POST of an announcement: 200 once it is stored. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      if (req.method !== 'POST') throw new CanopyError('bad_data', 'announcements are posted');
      await this.#authorize(req);
      // A page in a browser on this machine cannot send this without asking first.
      if (!/^application\/json\b/i.test(req.headers['content-type'] ?? '')) {
        throw new CanopyError('bad_data', 'announcements are application/json');
      }
      const announcement = parseAnnouncement(await readBody(req));
      await this.#inTurn(() => this.#accept(announcement));
      this.totals.accepted++;
      res.statusCode = 200;
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify({ status: 'success', data: { name: announcement.name } }));
    } catch (error) {
      this.totals.refused++;
      if (!(error instanceof CanopyError)) {
        this.#options.log('error', 'an announcement failed', { error: errorText(error) });
      }
      // What is left of the body is not wanted.
      if (!req.complete) res.setHeader('Connection', 'close');
      sendError(res, error);
    }
  }

  /** By URL; lost ones too. */
  leaves(): RegisteredLeaf[] {
    const { clock, lostAfter } = this.#options;
    const now = clock.now();
    return [...this.#leaves.values()]
      .map(({ announcement, lastSeen }) => ({
        ...announcement,
        lastSeen,
        lost: now - lastSeen > lostAfter,
      }))
      .sort((a, b) => (a.url < b.url ? -1 : 1));
  }

  /** Calls `listener` when a leaf came, went or changed. Returns what undoes it. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Forgets a leaf. */
  remove(url: string): Promise<void> {
    return this.#inTurn(async () => {
      const entry = this.#leaves.get(url);
      if (entry === undefined) return;
      await this.#change(() => this.#leaves.delete(url));
    });
  }

  async #load(): Promise<void> {
    const text = await this.#options.store.getDocument(DOCUMENT);
    this.#loaded = true;
    // Heard of before the restart: each gets its time to announce itself again.
    const now = this.#options.clock.now();
    const before = new Map(this.#leaves);
    this.#leaves.clear();
    let isChanged = false;
    for (const announcement of fromDocument(text, this.#options)) {
      const known = before.get(announcement.url);
      const isSameLeaf = known !== undefined && isSame(known.announcement, announcement);
      isChanged ||= !isSameLeaf;
      this.#leaves.set(announcement.url, { announcement, lastSeen: known?.lastSeen ?? now });
    }
    if (isChanged || this.#leaves.size !== before.size) this.#tell();
  }

  /** @throws CanopyError `forbidden` */
  async #authorize(req: IncomingMessage): Promise<void> {
    // Behind a proxy everybody comes from this machine.
    const isForwarded = 'x-forwarded-for' in req.headers || 'forwarded' in req.headers;
    const isFromBrowser = 'origin' in req.headers;
    const isLocal = isLoopback(req.socket.remoteAddress) && !isForwarded && !isFromBrowser;
    if (isLocal) return;
    const token = await this.#options.readToken();
    if (token === undefined || token === '') {
      const message =
        'announcements from other machines need a token: ' +
        'start parent and leaf with --federation.token-file';
      throw new CanopyError('forbidden', message);
    }
    const given = /^Bearer\s+(\S+)\s*$/i.exec(req.headers.authorization ?? '')?.[1] ?? '';
    if (!sameText(given, token)) throw new CanopyError('forbidden', 'wrong or missing token');
  }

  async #accept(announcement: Announcement): Promise<void> {
    if (!this.#loaded) await this.#load();
    const now = this.#options.clock.now();
    const { url, journal, name } = announcement;
    if (this.#options.isOwn(announcement)) {
      throw new CanopyError('bad_data', `announcement refused: ${url} is this process itself`);
    }
    const known = this.#leaves.get(url);
    if (known !== undefined && isSame(known.announcement, announcement)) {
      known.lastSeen = now;
      return;
    }
    // The same leaf at another address takes the place of the old one.
    const moved: string[] = [];
    for (const [other, entry] of this.#leaves) {
      if (other === url) continue;
      if (entry.announcement.journal === journal) moved.push(other);
      else if (entry.announcement.name === name) this.#checkName(entry, announcement);
    }
    const count = this.#leaves.size - moved.length + (known === undefined ? 1 : 0);
    if (count > this.#options.leavesMax) {
      throw new CanopyError('too_many_requests', 'more leaves than this parent takes');
    }
    await this.#change(() => {
      for (const other of moved) this.#leaves.delete(other);
      this.#leaves.set(url, { announcement, lastSeen: now });
    });
    this.#options.log('info', 'a leaf announced itself', { leaf: name, url });
  }

  /** Two leaves of one name are told apart by nobody: the one that is there keeps it. */
  #checkName(entry: Entry, { name, url }: Announcement): void {
    const { clock, lostAfter } = this.#options;
    if (clock.now() - entry.lastSeen > lostAfter) return;
    const other = entry.announcement.url;
    const message = `the name ${name} is taken by ${other}: give ${url} another with --leaf.name`;
    throw new CanopyError('bad_data', message);
  }

  /** Changes the list, stores it, tells of it; undone where it cannot be stored. */
  async #change(change: () => void): Promise<void> {
    const before = [...this.#leaves];
    change();
    const text = JSON.stringify([...this.#leaves.values()].map((entry) => entry.announcement));
    try {
      await this.#options.store.putDocument(DOCUMENT, text);
    } catch (error) {
      this.#leaves.clear();
      for (const [url, entry] of before) this.#leaves.set(url, entry);
      throw error;
    }
    this.#tell();
  }

  #tell(): void {
    const leaves = this.leaves();
    for (const listener of this.#listeners) listener(leaves);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task, task);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

/** What cannot be read is left out: a leaf announces itself again soon. */
function fromDocument(text: string | undefined, options: LeafRegistryOptions): Announcement[] {
  if (text === undefined) return [];
  const read = <T>(parse: () => T): T | undefined => {
    try {
      return parse();
    } catch (error) {
      options.log('warn', 'a leaf in the registry cannot be read; it will announce itself again', {
        error: errorText(error),
      });
      return undefined;
    }
  };
  const parsed: unknown = read(() => JSON.parse(text) as unknown);
  if (!Array.isArray(parsed)) return [];
  return parsed
    .slice(0, options.leavesMax)
    .map((leaf) => read(() => parseAnnouncement(JSON.stringify(leaf))))
    .filter((leaf) => leaf !== undefined);
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw new CanopyError('limit', 'announcement is larger than 16 KiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isLoopback(address: string | undefined): boolean {
  return /^(::ffff:)?127\.\d+\.\d+\.\d+$|^::1$/.test(address ?? '');
}

/** In a time that does not tell where the texts differ. */
function sameText(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

function isSame(a: Announcement, b: Announcement): boolean {
  const labels = (leaf: Announcement) => JSON.stringify(Object.entries(leaf.labels).sort());
  return a.name === b.name && a.journal === b.journal && labels(a) === labels(b);
}
