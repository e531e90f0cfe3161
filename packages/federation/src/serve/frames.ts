/**
 * Pages of frames over HTTP. Stateless but for caches: what a reader has is in its cursors. See
 * ../../frames.format.md for the protocol.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type HierarchyStatus,
  type JournalId,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Matcher,
  type Store,
  type TrailLevel,
  Turns,
  asDuration,
  comparePositions,
  errorText,
  isJournalId,
  journalIdOf,
  parseLedger,
  sleep,
} from '@canopy/model';
import {
  CURSOR_HEADER,
  type ReadCursor,
  EXCLUDE_HEADER,
  JOURNALS_MAX,
  PAGE_BYTES_HEADER,
  READER_HEADER,
  parseCursors,
} from '../cursor.js';
import type { Log } from '../log.js';
import { FRAMES_MEDIA_TYPE, PAGE_ENTRIES_MAX, encodePage } from '../page.js';
import type { JournalSection, Page } from '../page-types.js';
import { Branches } from './branches.js';
import { type Budget, JournalRead } from './journal-read.js';
import { LayoutReader } from './layouts.js';
import { type Reader, type ReaderStatus, Readers } from './readers.js';
import { sendBody, sendError } from './reply.js';
import { type Selection, selectionOf, viewRef } from './selection.js';
import { trailOf } from '../trail.js';
import { Views } from './views.js';

export type { ReaderStatus } from './readers.js';

export interface FrameServerOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** How this process calls itself in pages. */
  readonly name: string;
  /** The journal this process writes; the others in the store are passed on. */
  readonly ownJournal: JournalId;
  /** Secret; of the own journal's life: a cursor from beyond its end counts only where it is signed with it. */
  readonly cursorKey: Uint8Array;
  /** Puts what the own journal holds back for its next commit into the store, if it can: the page is fresher by that. Never rejects. */
  commitOwn(): Promise<void>;
  /** Starts a new epoch above both the journal's end and `above`. Repeating it is harmless. */
  breakEpoch(above: JournalPosition): void;
  /** What this process says of itself, sent now and then; undefined to send nothing. */
  report(): HierarchyStatus | undefined;
  /** Up to when a journal is complete at its stored position (ms since epoch); 0 unknown. */
  watermark(ref: JournalRef): number;
  /** As of which position that is; undefined where it is not known. */
  position(ref: JournalRef): JournalPosition | undefined;
  /** What was said last of a journal that is pulled, also where the store does not have it yet; else empty. */
  trail(ref: JournalRef): readonly TrailLevel[];
  /** How long an entry written to a journal now will be kept here; -1 unknown. */
  keptFor(ref: JournalRef): DurationMs;
  /**
   * A frame may stand in a journal this much later than a frame that is younger (a scrape's
   * time-out).
   */
  readonly reorder: DurationMs;
  parseSelector(text: string): Matcher[];
  /** Entries of a page, before compression. */
  readonly pageBytes: number;
  /** Time spent on a page, waiting for the store included. */
  readonly pageTime: DurationMs;
  /** Pulls answered at once, until the page is taken; further ones get 429, so do those over half of it from one address. */
  readonly concurrentPullsMax: number;
  /** Readers remembered, half of them from one address; further ones get 429 while all of them are alive. */
  readonly readersMax: number;
  /** A reader not heard of for this long is forgotten. */
  readonly readerTtl: DurationMs;
  /** Readers are remembered in the store: the journals are cut behind the last of them. */
  readonly rememberReaders: boolean;
  /** Filtered views whose decoding state is kept between pulls, and what they may take, about. */
  readonly viewsMax: number;
  readonly viewBytesMax: number;
  readonly log: Log;
}

const METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD']);
const NAME_LENGTH_MAX = 200;
/** A reader gets a report no more often. */
const REPORT_INTERVAL_MS = 10_000;
/** Says how long the reader waits, as Prometheus does. Seconds. */
const TIMEOUT_HEADER = 'x-prometheus-scrape-timeout-seconds';
/** This part of it is for reading: a page that comes too late is asked for again and again. */
const TIMEOUT_PART = 4;
/** First-pass share of a journal: no journal is starved by one that has much to say. */
const SHARE_MIN_BYTES = 64 * 1024;

interface Request {
  readonly selection: Selection;
  readonly cursors: ReadonlyMap<JournalRef, ReadCursor>;
  /** Cursors of another version, of journals that nobody knows. */
  readonly unread: number;
  readonly excluded: ReadonlySet<string>;
  readonly reader: Reader;
  /** How long it waits for the page. Milliseconds. */
  readonly timeout: number;
  /** Entries it wants at most. Bytes. */
  readonly bytesMax: number;
  /** It does not wait any more. */
  isGone(): boolean;
}

/** What this process knew of a journal before it asked the store. */
interface Known {
  readonly watermark: number;
  readonly position: JournalPosition | undefined;
}

interface Open {
  readonly stored: JournalState;
  readonly read: JournalRead;
  readonly watermark: number;
}

/** Answers pulls by cursor from the store; keeps nothing that a cursor could not bring back. */
export class FrameServer {
  /** Plain counts since the start. */
  readonly totals = {
    pages: 0,
    refused: 0,
    /** By error code. */
    refusedBy: {} as Record<string, number>,
    /** Their readers went away, or did not take them. */
    abandoned: 0,
    entries: 0,
    bytes: 0,
    bytesSent: 0,
    layoutDumps: 0,
    gaps: 0,
    epochBreaks: 0,
    /** Pages for readers that have another entry under the number of one of ours. */
    branches: 0,
    /** Of another version: their readers began anew. */
    unreadCursors: 0,
    undecodable: 0,
    replays: 0,
    evaluated: 0,
    viewsDropped: 0,
  };
  readonly #options: FrameServerOptions;
  /** Pages that are made at once hold the event loop no longer than one does. */
  readonly #turns = new Turns(setImmediate);
  readonly #layouts: LayoutReader;
  readonly #branches: Branches;
  readonly #views: Views;
  readonly #readers: Readers;
  /** Journals there were when the last page was made; others have no watermark yet. */
  #refs: readonly JournalRef[];
  /** By address; until the page has left. */
  readonly #pulling = new Map<string, number>();

  constructor(options: FrameServerOptions) {
    this.#options = options;
    this.#refs = [options.ownJournal as string as JournalRef];
    const { store, clock, readersMax, readerTtl: ttl } = options;
    this.#layouts = new LayoutReader(store, clock);
    this.#branches = new Branches(store);
    this.#views = new Views(store, clock, this.#turns, this.#layouts, options);
    const remembered = options.rememberReaders ? store : undefined;
    this.#readers = new Readers({ clock, readersMax, ttl, store: remembered, log: options.log });
  }

  /**
   * Answers one request completely; errors become HTTP errors, never a cut body with status 200.
   */
  async handle(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    const remote = req.socket.remoteAddress ?? '';
    const fromThere = this.#pulling.get(remote) ?? 0;
    const tooMany = this.#tooMany(fromThere);
    if (tooMany !== undefined) {
      this.#countRefused('too_many_requests');
      return sendError(res, new CanopyError('too_many_requests', tooMany));
    }
    this.#pulling.set(remote, fromThere + 1);
    try {
      await this.#readers.load();
      const page = await this.#page(this.#request(req, res, url));
      await this.#turns.next();
      const bytes = encodePage(page);
      const sent = await sendBody(req, res, FRAMES_MEDIA_TYPE, bytes, this.#options.clock);
      this.totals.pages++;
      this.totals.bytes += bytes.length;
      this.totals.bytesSent += sent;
    } catch (error) {
      if (res.destroyed) this.totals.abandoned++;
      else this.#countRefused(error instanceof CanopyError ? error.code : 'internal');
      if (!(error instanceof CanopyError)) {
        this.#options.log('error', 'a page could not be made', { error: errorText(error) });
      }
      sendError(res, error);
    } finally {
      const left = (this.#pulling.get(remote) ?? 0) - 1;
      if (left > 0) this.#pulling.set(remote, left);
      else this.#pulling.delete(remote);
    }
  }

  /** Half of the pulls are for others, however many one address asks for. */
  #tooMany(fromThere: number): string | undefined {
    const { concurrentPullsMax: max } = this.#options;
    let pulling = 0;
    for (const count of this.#pulling.values()) pulling += count;
    if (pulling >= max) return 'too many pulls at once';
    return fromThere >= Math.ceil(max / 2) ? 'too many pulls at once from one address' : undefined;
  }

  #countRefused(code: string): void {
    this.totals.refused++;
    this.totals.refusedBy[code] = (this.totals.refusedBy[code] ?? 0) + 1;
  }

  /** Of filtered views between two pulls, about. */
  get viewBytes(): number {
    return this.#views.bytes;
  }

  /** Stored documents that could not be read, by name. */
  get unreadable(): Readonly<Record<string, number>> {
    return this.#readers.unreadable;
  }

  readers(): ReaderStatus[] {
    return this.#readers.all();
  }

  /**
   * Entries after it are needed by the reader of `ref` (any view of it) that is furthest behind;
   * undefined without readers.
   */
  oldestReader(ref: JournalRef): JournalPosition | undefined {
    return this.#readers.oldest(ref);
  }

  /** @throws CanopyError for a request that cannot be understood, or from a reader too many. */
  #request(req: IncomingMessage, res: ServerResponse, url: URL): Request {
    if (!METHODS.has(req.method)) {
      throw new CanopyError('bad_data', 'pages are pulled with GET');
    }
    const { parseSelector } = this.#options;
    const selection = selectionOf(url.searchParams.getAll('match[]'), parseSelector);
    const cursorText = headerText(req, CURSOR_HEADER);
    const { cursorKey } = this.#options;
    const { byRef: cursors, unread } = parseCursors(cursorText, JOURNALS_MAX, cursorKey);
    const excluded = new Set(headerText(req, EXCLUDE_HEADER).split('.').filter(isJournalId));
    const name = headerText(req, READER_HEADER).slice(0, NAME_LENGTH_MAX);
    const remote = req.socket.remoteAddress ?? '';
    const reader = this.#readers.admit(name, remote, selection.canonical);
    if (typeof reader === 'string') throw new CanopyError('too_many_requests', reader);
    if (unread > 0) this.#noteUnread(reader, unread);
    const timeout = (boundIn(req, TIMEOUT_HEADER) ?? Number.POSITIVE_INFINITY) * 1000;
    const bytesMax = boundIn(req, PAGE_BYTES_HEADER) ?? Number.POSITIVE_INFINITY;
    const isGone = (): boolean => res.destroyed;
    return { selection, cursors, unread, excluded, reader, timeout, bytesMax, isGone };
  }

  /** Its next pages bring cursors that can be read. */
  #noteUnread(reader: Reader, count: number): void {
    this.totals.unreadCursors += count;
    if (reader.isUnread) return;
    reader.isUnread = true;
    const text =
      'a reader has cursors of another version: it begins anew, and leaves out what it has';
    this.#options.log('warn', text, { reader: reader.name, cursors: count });
  }

  async #page(request: Request): Promise<Page> {
    const { clock, pageTime, pageBytes, name } = this.#options;
    const deadline = clock.monotonic() + Math.min(pageTime, request.timeout / TIMEOUT_PART);
    await this.#commitOwn(deadline);
    const { opened, excluded } = await this.#open(request);
    const bytes = Math.min(pageBytes, request.bytesMax);
    const budget = { bytes, entries: PAGE_ENTRIES_MAX / 2, deadline };
    await this.#fill(opened, budget, request);
    if (request.isGone()) throw new CanopyError('canceled', 'the reader does not wait any more');
    const journals: JournalSection[] = [];
    for (const { stored, read, watermark } of opened) {
      await read.verify();
      const mayBreak = read.isBeyond || read.isHeld;
      const isBroken = mayBreak && this.#breakEpoch(stored.ref, read.from);
      const keptFor = this.#options.keptFor(stored.ref);
      const section = read.finish(watermark, keptFor, isBroken, (since) =>
        this.#trail(request.reader, stored, since),
      );
      const isAnew = request.unread > 0 && !request.cursors.has(section.ref);
      journals.push(isAnew ? { ...section, begunAnew: true } : section);
      this.totals.entries += section.entries.length;
      this.totals.gaps += read.totals.gaps;
      this.totals.layoutDumps += read.totals.layoutDumps;
    }
    this.#layouts.expire();
    this.#views.retain((reader) => this.#readers.has(reader));
    this.totals.undecodable = this.#views.undecodable;
    this.totals.replays = this.#views.replays;
    this.totals.evaluated = this.#views.evaluated;
    this.totals.viewsDropped = this.#views.dropped;
    const report = this.#report(request.reader);
    return { serverName: name, serverTime: clock.now(), report, excluded, journals };
  }

  /** Half of the page's time at most: a disk that is slow to write can still be read. */
  async #commitOwn(deadline: number): Promise<void> {
    const { clock, commitOwn } = this.#options;
    const over = new AbortController();
    const left = asDuration(Math.max(0, (deadline - clock.monotonic()) / 2));
    await Promise.race([commitOwn(), sleep(clock, left, over.signal).catch(() => {})]);
    over.abort();
  }

  /** Opens what the store has, most lagging reader's place first. @throws CanopyError for a forged cursor. */
  async #open(request: Request): Promise<{ opened: Open[]; excluded: JournalId[] }> {
    const { store, clock, reorder, ownJournal, cursorKey } = this.#options;
    const { matcherSets } = request.selection;
    if (matcherSets !== null) this.#views.checkRoom(request.reader);
    const parts = {
      store,
      layouts: this.#layouts,
      branches: this.#branches,
      reorder,
      ownJournal,
      cursorKey,
      views: matcherSets === null ? null : this.#views.of(request.reader, request.selection),
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
    };
    // Asked before the store: what was complete then is in what the store says after it.
    const known = new Map<JournalRef, Known>();
    for (const ref of this.#refs) {
      const [watermark, position] = [this.#options.watermark(ref), this.#options.position(ref)];
      known.set(ref, { watermark, position });
    }
    const journals = await store.journals();
    this.#refs = journals.map(({ ref }) => ref);
    const opened: Open[] = [];
    const excluded = new Set<JournalId>();
    const { positions, needs } = request.reader;
    positions.clear();
    needs.clear();
    for (const stored of journals) {
      const id = journalIdOf(stored.ref);
      if (request.excluded.has(id)) {
        excluded.add(id);
        continue;
      }
      const ref = viewRef(stored.ref, request.selection);
      const cursor = request.cursors.get(ref);
      const read = new JournalRead(parts, stored, ref, cursor);
      await read.compare();
      if (read.isBranched) this.#noteBranch(stored, read, request.reader);
      if (read.isForged) {
        throw new CanopyError('bad_data', 'cursor from beyond the journal that was not given here');
      }
      opened.push({ stored, read, watermark: watermarkOf(stored, known.get(stored.ref)) });
      positions.set(stored.ref, read.from);
      needs.set(stored.ref, read.needs);
    }
    await this.#readers.save();
    opened.sort((a, b) => a.read.complete - b.read.complete);
    return { opened, excluded: [...excluded] };
  }

  /** Two rounds: a fair share to each journal, then the rest to whoever has more. */
  async #fill(opened: readonly Open[], budget: Budget, { isGone }: Request): Promise<void> {
    const { clock } = this.#options;
    const waiting = opened.filter(({ read }) => read.hasMore);
    const fair = Math.floor(budget.bytes / Math.max(1, waiting.length));
    let steps = 0;
    for (const share of [Math.max(SHARE_MIN_BYTES, fair), budget.bytes]) {
      for (const { read } of waiting) {
        const own: Budget = {
          bytes: Math.min(share, budget.bytes),
          entries: budget.entries,
          deadline: budget.deadline,
        };
        const { bytes, entries } = own;
        while (own.bytes > 0 && own.entries > 0) {
          // At least one step of one journal, however slow the store is.
          if (steps > 0 && clock.monotonic() >= budget.deadline) break;
          // Whoever asks again must not find us at work for nobody.
          if (isGone()) return;
          steps++;
          await this.#turns.next();
          const goesOn = await read.step(own);
          if (!goesOn) break;
        }
        budget.bytes -= bytes - own.bytes;
        budget.entries -= entries - own.entries;
      }
    }
  }

  /** Now and then only, as reports: it may be larger than the frames of a page. One that begins anew knows nothing. */
  #trail({ told }: Reader, stored: JournalState, since: number): TrailLevel[] {
    const { clock, name, ownJournal } = this.#options;
    const before = told.get(stored.ref) ?? 0;
    if (since > 0 && Math.abs(clock.now() - before) < REPORT_INTERVAL_MS) return [];
    const isOwn = (stored.ref as string) === ownJournal;
    const heard = this.#options.trail(stored.ref);
    const trail = trailOf(name, stored, isOwn, Math.min(since, before), heard);
    if (trail.length > 0 && trail[0].frames > 0) told.set(stored.ref, clock.now());
    return trail;
  }

  #report(reader: Reader): HierarchyStatus | undefined {
    const { clock } = this.#options;
    const now = clock.now();
    if (Math.abs(now - reader.lastReport) < REPORT_INTERVAL_MS) return undefined;
    reader.lastReport = now;
    return this.#options.report();
  }

  #noteBranch(stored: JournalState, { from, isHeld }: JournalRead, { name }: Reader): void {
    this.totals.branches++;
    if (!this.#branches.isNews(stored, from)) return;
    const text = isHeld
      ? 'it gets nothing before the next epoch'
      : 'it goes on with the next epoch';
    const fields = { reader: name, epoch: from.epoch, sequence: from.sequence };
    this.#options.log('warn', `a reader has another entry than this journal: ${text}`, fields);
  }

  /** True where the journal is ours to break; one that is passed on comes back by itself. */
  #breakEpoch(ref: JournalRef, above: JournalPosition): boolean {
    if ((ref as string) !== this.#options.ownJournal) return false;
    this.totals.epochBreaks++;
    const { epoch, sequence } = above;
    this.#options.log('warn', 'a reader has what the journal lost: a new epoch begins', {
      epoch,
      sequence,
    });
    this.#options.breakEpoch(above);
    return true;
  }
}

/** A store that has fallen back is complete up to what it says itself. */
function watermarkOf(stored: JournalState, known: Known | undefined): number {
  const { watermark = 0, position } = known ?? {};
  if (position === undefined || comparePositions(stored.position, position) >= 0) return watermark;
  return Math.min(watermark, parseLedger(stored.ledger).watermark);
}

const headerText = (req: IncomingMessage, name: string): string => {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join('.') : (value ?? '');
};

/** A positive number; undefined where there is none. */
function boundIn(req: IncomingMessage, name: string): number | undefined {
  const bound = Number(headerText(req, name));
  return bound > 0 ? bound : undefined;
}
