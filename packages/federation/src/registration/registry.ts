/**
 * Leaves that announced themselves, on the parent's side. Whose registration stands is decided here; what it is good for,
 * in authority.ts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type ErrorCode,
  FormatError,
  type Milliseconds,
  type Store,
  asList,
  asRecord,
  errorText,
  readDocument,
  readRemade,
} from '@canopy/model';
import type { Log } from '../log.js';
import { sendError } from '../serve/reply.js';
import { type Announcement, parseAnnouncement } from './announcement.js';
import { type AuthorityOptions, type Rights, checkRights, rightsOf } from './authority.js';

export interface LeafRegistryOptions extends AuthorityOptions {
  readonly store: Pick<Store, 'getDocument' | 'putDocument'>;
  readonly clock: Clock;
  /** Whether it is this process that is announced: a loop of one. */
  isOwn(announcement: Announcement): boolean;
  /** Whether pulls of a registered address go well: nobody else takes its place then. */
  isHeard(url: string): boolean;
  readonly leavesMax: number;
  /** Registrations that are new or change something, over any minute. */
  readonly changesPerMinuteMax: number;
  /** A leaf not heard of for this long is lost (and still pulled). */
  readonly lostAfter: DurationMs;
  readonly log: Log;
}

export interface RegisteredLeaf extends Announcement {
  readonly lastSeen: Milliseconds;
  readonly lost: boolean;
  readonly rights: Rights;
}

interface Entry {
  readonly announcement: Announcement;
  readonly rights: Rights;
  lastSeen: Milliseconds;
}

type Listener = (leaves: readonly RegisteredLeaf[]) => void;

const DOCUMENT = 'registry';
const NO_LEAVES = '[]';
const BODY_BYTES_MAX = 16 * 1024;
/** Requests being answered; over it 429. */
const REQUESTS_MAX = 256;
const MINUTE_MS = 60_000;

/** Leaves that announced themselves; kept in the store's document `registry`. */
export class LeafRegistry {
  /** Plain counts since the start; requests, refused ones by code. */
  readonly totals = {
    accepted: 0,
    left: 0,
    refused: {} as Partial<Record<ErrorCode, number>>,
    /** Stored documents that could not be read, by name. */
    unreadable: {} as Record<string, number>,
  };
  readonly #options: LeafRegistryOptions;
  /** By URL. */
  readonly #leaves = new Map<string, Entry>();
  readonly #listeners = new Set<Listener>();
  #loaded = false;
  #turn: Promise<unknown> = Promise.resolve();
  #answering = 0;
  /** When the newest changes were made, oldest first. */
  readonly #changes: number[] = [];

  constructor(options: LeafRegistryOptions) {
    this.#options = options;
  }

  /** Reads the document. Call before anything else, again where another process may have written it. */
  load(): Promise<void> {
    return this.#inTurn(() => this.#load());
  }

  /** Writes the document again where the store has another one: it fell back, was wiped, or holds a damaged one. */
  keep(): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#loaded) return;
      const { store } = this.#options;
      const [text, stored] = [this.#text(), await readRemade(store, DOCUMENT)];
      if (text !== (stored ?? NO_LEAVES)) await store.putDocument(DOCUMENT, text);
    });
  }

  /** Answers an announcement (POST) or its end (DELETE): 200 once it is stored. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    this.#answering++;
    try {
      const announcement = await this.#handle(req);
      res.statusCode = 200;
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify({ status: 'success', data: { name: announcement.name } }));
    } catch (error) {
      const code = error instanceof CanopyError ? error.code : 'internal';
      this.totals.refused[code] = (this.totals.refused[code] ?? 0) + 1;
      if (!(error instanceof CanopyError)) {
        this.#options.log('error', 'an announcement failed', { error: errorText(error) });
      }
      // What is left of the body is not wanted.
      if (!req.complete) res.setHeader('Connection', 'close');
      sendError(res, error);
    } finally {
      this.#answering--;
    }
  }

  async #handle(req: IncomingMessage): Promise<Announcement> {
    const isEnd = req.method === 'DELETE';
    if (req.method !== 'POST' && !isEnd) {
      throw new CanopyError('bad_data', 'announcements are posted');
    }
    if (this.#answering > REQUESTS_MAX) {
      throw new CanopyError('too_many_requests', 'too many announcements at once');
    }
    const rights = await rightsOf(req, this.#options);
    // A page in a browser on this machine cannot send this without asking first.
    if (!/^application\/json\b/i.test(req.headers['content-type'] ?? '')) {
      throw new CanopyError('bad_data', 'announcements are application/json');
    }
    const announcement = parseAnnouncement(await readBody(req));
    checkRights(announcement, rights, this.#options.clientNames(req));
    if (isEnd) {
      await this.#inTurn(() => this.#end(announcement, rights));
      this.totals.left++;
    } else {
      await this.#inTurn(() => this.#accept(announcement, rights));
      this.totals.accepted++;
    }
    return announcement;
  }

  /** By URL; lost ones too. */
  leaves(): RegisteredLeaf[] {
    return [...this.#leaves.values()]
      .map((entry) => this.#told(entry))
      .sort((a, b) => (a.url < b.url ? -1 : 1));
  }

  /** The leaf announced at this address. */
  at(url: string): RegisteredLeaf | undefined {
    const entry = this.#leaves.get(url);
    return entry && this.#told(entry);
  }

  #told({ announcement, rights, lastSeen }: Entry): RegisteredLeaf {
    return { ...announcement, rights, lastSeen, lost: this.#isLost(lastSeen) };
  }

  #isLost(lastSeen: Milliseconds): boolean {
    return this.#options.clock.now() - lastSeen > this.#options.lostAfter;
  }

  /** Calls `listener` when a leaf came, went or changed. Returns what undoes it. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Forgets a leaf. */
  remove(url: string): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#leaves.has(url)) await this.#change(() => this.#leaves.delete(url));
    });
  }

  async #load(): Promise<void> {
    const text = await readRemade(this.#options.store, DOCUMENT);
    this.#loaded = true;
    // Heard of before the restart: each gets its time to announce itself again.
    const now = this.#options.clock.now();
    const before = new Map(this.#leaves);
    this.#leaves.clear();
    let isChanged = false;
    for (const stored of this.#read(text)) {
      const { url } = stored.announcement;
      const known = before.get(url);
      isChanged ||= known === undefined || !isSame(known, stored);
      this.#leaves.set(url, { ...stored, lastSeen: known?.lastSeen ?? now });
    }
    if (isChanged || this.#leaves.size !== before.size) this.#tell();
  }

  /** What cannot be read is left out: a leaf announces itself again soon. */
  #read(text: string | undefined): Stored[] {
    const { log, leavesMax } = this.#options;
    const { unreadable } = this.totals;
    const lost = 'which leaves there are: each announces itself again within 30 s';
    const all = { name: DOCUMENT, lost, log, unreadable };
    const leaves = readDocument(text, all, asList)?.slice(0, leavesMax) ?? [];
    const one = { ...all, lost: 'a leaf: it announces itself again within 30 s' };
    return leaves.flatMap((leaf) => readDocument(JSON.stringify(leaf), one, storedLeaf) ?? []);
  }

  async #accept(announcement: Announcement, rights: Rights): Promise<void> {
    if (!this.#loaded) await this.#load();
    const lastSeen = this.#options.clock.now();
    const { url, name } = announcement;
    if (this.#options.isOwn(announcement)) {
      throw new CanopyError('bad_data', `announcement refused: ${url} is this process itself`);
    }
    const known = this.#leaves.get(url);
    if (known !== undefined && isSame(known, { announcement, rights })) {
      known.lastSeen = lastSeen;
      return;
    }
    const replaced = this.#replacedBy(announcement, rights);
    const count = this.#leaves.size - replaced.length + (known === undefined ? 1 : 0);
    if (count > this.#options.leavesMax) {
      throw new CanopyError('too_many_requests', 'more leaves than this parent takes');
    }
    this.#takeTurn(lastSeen);
    await this.#change(() => {
      for (const other of replaced) this.#leaves.delete(other);
      this.#leaves.set(url, { announcement, rights, lastSeen });
    });
    this.#options.log('info', 'a leaf announced itself', { leaf: name, url });
  }

  async #end({ url, name, journal }: Announcement, rights: Rights): Promise<void> {
    if (!this.#loaded) await this.#load();
    const known = this.#leaves.get(url);
    // It has moved meanwhile, or never came: there is nothing to end.
    if (known === undefined || known.announcement.journal !== journal) return;
    checkIdentity(known, rights);
    this.#takeTurn(this.#options.clock.now());
    await this.#change(() => this.#leaves.delete(url));
    this.#options.log('info', 'a leaf has left', { leaf: name, url });
  }

  /**
   * Addresses whose registration ends with this one: the same leaf has moved.
   * @throws CanopyError `conflict`, `forbidden` where a registration that stands is in the way.
   */
  #replacedBy({ url, journal, name }: Announcement, rights: Rights): string[] {
    const moved: string[] = [];
    for (const [other, entry] of this.#leaves) {
      const { announcement: there } = entry;
      const isSameJournal = there.journal === journal;
      const isLost = this.#isLost(entry.lastSeen);
      if (other === url || isSameJournal) checkIdentity(entry, rights);
      if (other === url) continue;
      if (isSameJournal) {
        if (!isLost && this.#options.isHeard(other)) {
          const message = `journal ${journal} is pulled from ${other}, which answers`;
          throw new CanopyError('conflict', message);
        }
        moved.push(other);
      } else if (there.name === name && !isLost) {
        // Two leaves of one name are told apart by nobody: the one that is there keeps it.
        const message = `the name ${name} is taken by ${other}: give ${url} another with --leaf.name`;
        throw new CanopyError('conflict', message);
      }
    }
    return moved;
  }

  /** @throws CanopyError `too_many_requests` */
  #takeTurn(now: number): void {
    while (this.#changes.length > 0 && this.#changes[0] <= now - MINUTE_MS) this.#changes.shift();
    if (this.#changes.length >= this.#options.changesPerMinuteMax) {
      throw new CanopyError('too_many_requests', 'too many registrations within a minute');
    }
    this.#changes.push(now);
  }

  /** Changes the list, stores it, tells of it; undone where it cannot be stored. */
  async #change(change: () => void): Promise<void> {
    const before = [...this.#leaves];
    change();
    try {
      await this.#options.store.putDocument(DOCUMENT, this.#text());
    } catch (error) {
      this.#leaves.clear();
      for (const [url, entry] of before) this.#leaves.set(url, entry);
      throw error;
    }
    this.#tell();
  }

  #text(): string {
    const entries = [...this.#leaves.values()];
    return JSON.stringify(entries.map(({ announcement, rights }) => ({ ...announcement, rights })));
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

type Stored = Pick<Entry, 'announcement' | 'rights'>;

/**
 * What was registered with a certificate is changed with it only, also while its leaf is away.
 * @throws CanopyError `forbidden`
 */
function checkIdentity({ announcement, rights: { identity } }: Stored, rights: Rights): void {
  if (identity === '' || identity === rights.identity) return;
  const message = `${announcement.url} was registered with the certificate of ${identity}`;
  throw new CanopyError('forbidden', message);
}

/** @throws FormatError for JSON of another shape. */
function storedLeaf(json: unknown): Stored {
  try {
    return {
      announcement: parseAnnouncement(JSON.stringify(json)),
      rights: storedRights(asRecord(json).rights),
    };
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    throw new FormatError(error.message);
  }
}

/** Of an earlier version, or damaged: the least there is, until the leaf announces itself again. */
function storedRights(stored: unknown): Rights {
  const { identity, relays, labels } = (stored ?? {}) as Partial<Rights>;
  return {
    identity: typeof identity === 'string' ? identity : '',
    relays: relays === true,
    labels: typeof labels === 'object' && labels !== null ? labels : {},
  };
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

function isSame(a: Stored, b: Stored): boolean {
  const text = ({ announcement, rights }: Stored): string => {
    const { name, url, journal, role, labels } = announcement;
    const sorted = Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
    return JSON.stringify([name, url, journal, role, sorted, rights]);
  };
  return text(a) === text(b);
}
