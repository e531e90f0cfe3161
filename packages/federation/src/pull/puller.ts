/**
 * The parent's side of a pull: a page is checked whole, then each of its journals goes into the
 * store with its position, cursor and ledger in one write, and after that into the appender. What
 * the puller knows comes from the store: it may be thrown away at any time.
 */
import { createHash } from 'node:crypto';
import {
  CanopyError,
  type Collision,
  FormatError,
  type GapRecord,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type JournalStatus,
  type Ledger,
  type PullFormat,
  type PullOutcome,
  type PullTarget,
  type SourceStatus,
  asList,
  errorText,
  isJournalRef,
  journalIdOf,
  readDocument,
  readRemade,
} from '@canopy/model';
import {
  CURSOR_HEADER,
  EXCLUDE_HEADER,
  PAGE_BYTES_HEADER,
  READER_HEADER,
  joinCursors,
} from '../cursor.js';
import { FRAMES_MEDIA_TYPE, RefusedPage, decodePage } from '../page.js';
import type { JournalSection, Page } from '../page-types.js';
import { JournalIntake } from './journal-intake.js';
import type { FramePullerOptions } from './options.js';
import {
  type Source,
  healthOf,
  newSource,
  noteAnswered,
  noteAsked,
  notePage,
  sourceStatus,
} from './source.js';
import { type PullTotals, emptyTotals } from './totals.js';
import { JournalHomes, type SourceTrust, TRUSTED, homesOf } from './trust.js';

export type { FramePullerOptions } from './options.js';
export type { PullTotals } from './totals.js';

const HASH_DIGITS = 16;
const SOURCES = {
  name: 'sources',
  lost: 'which journals a source has: each is asked for once from its beginning',
};
const HOMES = {
  name: 'journal-homes',
  lost: 'whose journals are: the next to hand one over as its own is its home',
};

/** Pulls pages into the store and then the appender. */
export class FramePuller implements PullFormat {
  readonly mediaType = FRAMES_MEDIA_TYPE;
  /** Plain counts since the start. */
  readonly totals: PullTotals = emptyTotals();
  readonly #options: FramePullerOptions;
  readonly #sources = new Map<string, Source>();
  readonly #journals = new Map<JournalRef, JournalIntake>();
  readonly #homes: JournalHomes;
  #isClosed = false;
  /** Of the totals, when the documents of the sources were last known to be there. */
  #absentSeen = 0;

  constructor(options: FramePullerOptions) {
    const onStoreWentBack = (ref: JournalRef, state: JournalState | undefined): Promise<void> => {
      // A store goes back as a whole, and those of which nothing new comes find out nothing by themselves.
      for (const [other, intake] of this.#journals) if (other !== ref) intake.doubt();
      return options.onStoreWentBack(ref, state);
    };
    this.#options = { ...options, onStoreWentBack };
    const { unreadable } = this.totals;
    this.#homes = new JournalHomes(options.store, options.journalsMax, (text) =>
      readDocument(text, { ...HOMES, log: options.log, unreadable }, homesOf),
    );
  }

  async requestHeaders(target: PullTarget): Promise<Record<string, string>> {
    const source = await this.#source(target);
    const cursors: string[] = [];
    for (const ref of source.refs) {
      const cursor = await this.#intake(ref).cursor();
      if (cursor !== '') cursors.push(cursor);
    }
    const pageBytes = noteAsked(source, this.#options.clock.now());
    return {
      ...(pageBytes === undefined ? {} : { [PAGE_BYTES_HEADER]: String(pageBytes) }),
      [CURSOR_HEADER]: joinCursors(cursors),
      [EXCLUDE_HEADER]: [...this.#options.ownJournals()].join('.'),
      [READER_HEADER]: this.#options.readerName,
    };
  }

  async take(
    target: PullTarget,
    _headers: Readonly<Record<string, string | undefined>>,
    body: Uint8Array,
  ): Promise<PullOutcome> {
    const source = await this.#source(target);
    noteAnswered(source);
    // A request that was given up may still bring its page.
    if (this.#isClosed) throw new CanopyError('unavailable', 'nothing is pulled any more');
    try {
      const page = this.#decode(body);
      const received = this.#options.clock.now();
      const trust = this.#options.trust?.(target) ?? TRUSTED;
      const outcome = await this.#takePage(source, page, trust);
      notePage(source, page, outcome.more, received);
      source.health = 'up';
      source.lastError = '';
      source.lastTaken = this.#options.clock.now();
      return outcome;
    } catch (error) {
      source.health = 'down';
      source.lastError = errorText(error);
      throw error;
    }
  }

  /** Every source asked since the start, by name. */
  sources(): SourceStatus[] {
    const now = this.#options.clock.now();
    const statuses = [...this.#sources.values()].map((source) => {
      const journals = [...source.refs].map((ref) => this.#intake(ref));
      return sourceStatus(source, journals, now);
    });
    return statuses.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** Every journal taken in from any source. */
  journals(): JournalStatus[] {
    const now = this.#options.clock.now();
    return [...this.#journals.values()].flatMap((journal) => journal.status(now) ?? []);
  }

  /** Up to when a pulled journal is complete (ms since epoch); 0 where that is not known. */
  watermark(ref: JournalRef): number {
    return this.#journals.get(ref)?.watermark ?? 0;
  }

  /** Stored and applied up to here; undefined where nothing is, or it is not known. */
  position(ref: JournalRef): JournalPosition | undefined {
    return this.#journals.get(ref)?.position;
  }

  /** As the next commit will have it; undefined where nothing is stored, or known, of the journal. */
  ledgerOf(ref: JournalRef): Ledger | undefined {
    return this.#journals.get(ref)?.status(this.#options.clock.now())?.ledger;
  }

  /** Counts series that a target of the journal gives beside another, in its ledger. */
  nameCollision(ref: JournalRef, collision: Collision): void {
    this.#intake(ref).nameCollision(collision);
  }

  /** Names what the store turned out to have lost of a pulled journal, in its ledger. */
  nameGap(ref: JournalRef, gap: GapRecord): void {
    this.#intake(ref).nameGap(gap);
  }

  /** Gaps were named that no stored ledger of the journal has yet. */
  hasUntoldGaps(ref: JournalRef): boolean {
    return this.#journals.get(ref)?.hasUntoldGaps ?? false;
  }

  /** Gaps of a journal that were named and that no stored ledger has yet. */
  untoldGaps(ref: JournalRef): readonly GapRecord[] {
    return this.#journals.get(ref)?.untoldGaps ?? [];
  }

  /** Every journal that was asked for or named. */
  refs(): JournalRef[] {
    return [...this.#journals.keys()];
  }

  /** Whether a journal was asked for or named. */
  knows(ref: JournalRef): boolean {
    return this.#journals.has(ref);
  }

  /**
   * Stores the ledgers of journals of which gaps wait for a page that may never come, and loads those of which the appender
   * could not be built up. To be called now and then.
   * @throws CanopyError of the store, after all were tried.
   */
  async settle(): Promise<void> {
    const settled = await Promise.allSettled(
      [...this.#journals.values()].map((journal) => journal.settle()),
    );
    for (const one of settled) if (one.status === 'rejected') throw one.reason;
  }

  /**
   * The store has less of a pulled journal than was written, though its position says nothing of it. Resolves when the
   * appender has been told, between two pages. `mend`: writes to the store what can be, before.
   */
  storeWentBack(ref: JournalRef, mend?: () => Promise<void>): Promise<void> {
    return this.#intake(ref).storeWentBack(mend);
  }

  /** The store may have less of a pulled journal than was written: the next pull finds out. */
  doubt(ref: JournalRef): void {
    this.#journals.get(ref)?.doubt();
  }

  /** Targets that are gone: their sources leave the status. What they sent stays. */
  retain(urls: ReadonlySet<string>): void {
    for (const url of this.#sources.keys()) if (!urls.has(url)) this.#sources.delete(url);
  }

  /**
   * Takes no page any more and gives the leases back; errors of the store are of no interest then, leases
   * run out. Resolves when nothing is written any more.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled([...this.#journals.values()].map((journal) => journal.release()));
  }

  #decode(body: Uint8Array): Page {
    const { pageBytesMax, journalsMax } = this.#options;
    try {
      const page = decodePage(body, { pageBytesMax, journalsMax });
      this.totals.pages++;
      this.totals.pageBytes += body.length;
      return page;
    } catch (error) {
      if (error instanceof RefusedPage) this.totals.refusedPages[error.reason]++;
      else if (error instanceof FormatError) this.totals.refusedPages.inconsistent++;
      throw error;
    }
  }

  async #takePage(source: Source, page: Page, trust: SourceTrust): Promise<PullOutcome> {
    const own = this.#options.ownJournals();
    const others = page.journals.filter(({ ref }) => !own.has(journalIdOf(ref)));
    this.#noteLoops(source, page, page.journals.length - others.length);
    source.name = page.serverName;
    if (page.report !== undefined) source.report = page.report;
    if (page.isReportUnusable) this.totals.unusableReports++;
    const sections = await this.#admitted(source, others, trust);
    // Also those that are left to others: their cursors keep them from being sent again and again.
    await this.#learn(source, others);
    source.listed = new Map(others.map(({ ref, keptFor }) => [ref, keptFor]));
    let samples = 0;
    let more = false;
    let firstError: unknown;
    for (const section of sections) {
      try {
        const taken = await this.#intake(section.ref).take(section, trust.labels);
        samples += taken.samples;
        more ||= taken.more;
      } catch (error) {
        // Journals stand for themselves: one that cannot be written stops no other.
        firstError ??= error;
        if (error instanceof CanopyError && error.code === 'storage_unavailable') break;
      }
    }
    // A store that lost a journal has lost the document as well.
    if (this.totals.absent !== this.#absentSeen) {
      for (const one of this.#sources.values()) one.isSaved = false;
      this.#absentSeen = this.totals.absent;
    }
    if (firstError !== undefined) throw firstError;
    return { samples, more };
  }

  /**
   * Sections that this source may hand over and that nobody else is to.
   * @throws CanopyError `forbidden` where one is another's: nothing of the page is taken then.
   */
  async #admitted(
    source: Source,
    sections: readonly JournalSection[],
    trust: SourceTrust,
  ): Promise<JournalSection[]> {
    const told: unknown = source.report?.journal?.ref;
    if (typeof told === 'string' && isJournalRef(told)) source.own = journalIdOf(told);
    source.own = trust.journal ?? source.own;
    const admitted: JournalSection[] = [];
    for (const section of sections) {
      const { ref } = section;
      try {
        const passage = await this.#homes.passage(source.url, source.own, ref, trust, {
          isHeard: (url) => this.#isHeard(url),
          has: (url) => this.#sources.get(url)?.listed?.has(ref) !== false,
        });
        if (passage === 'taken') admitted.push(section);
        else this.totals.homedElsewhere++;
      } catch (error) {
        this.totals.foreignJournals++;
        throw error;
      }
    }
    return admitted;
  }

  #isHeard(url: string): boolean {
    const source = this.#sources.get(url);
    return source !== undefined && healthOf(source, this.#options.clock.now()) === 'up';
  }

  #noteLoops(source: Source, page: Page, refused: number): void {
    this.totals.loops += refused;
    const isLoop = refused > 0 || page.excluded.length > 0;
    if (isLoop && !source.isLoop) {
      this.#options.log('warn', 'the source pulls from this process: what is ours is left out', {
        source: page.serverName,
        url: source.url,
      });
    }
    source.isLoop = isLoop;
  }

  /**
   * Notes the journals of a source before anything of them is stored, so that none is asked for
   * anew.
   */
  async #learn(source: Source, sections: readonly JournalSection[]): Promise<void> {
    const known = source.refs.size;
    for (const { ref } of sections) source.refs.add(ref);
    if (source.refs.size === known && source.isSaved) return;
    const listed = new Set(sections.map(({ ref }) => ref));
    for (const ref of source.refs) {
      // What the source does not have now may come back; but not without end.
      if (source.refs.size > this.#options.journalsMax && !listed.has(ref)) source.refs.delete(ref);
    }
    source.isSaved = false;
    await this.#options.store.putDocument(source.document, JSON.stringify([...source.refs]));
    source.isSaved = true;
  }

  /** The source of a target, with the journals it was known to have. */
  async #source(target: PullTarget): Promise<Source> {
    const known = this.#sources.get(target.url);
    if (known !== undefined) return known;
    const hash = createHash('sha256').update(target.url).digest('hex').slice(0, HASH_DIGITS);
    const document = `sources/${hash}`;
    const text = await readRemade(this.#options.store, document);
    const { log, journalsMax } = this.#options;
    const kind = { ...SOURCES, log, unreadable: this.totals.unreadable };
    const refs = readDocument(text, kind, refsOf)?.slice(0, journalsMax) ?? [];
    const source = newSource(target, document, refs, this.#options.clock.now());
    for (const ref of source.refs) await this.#intake(ref).cursor();
    this.#sources.set(target.url, source);
    return source;
  }

  #intake(ref: JournalRef): JournalIntake {
    let journal = this.#journals.get(ref);
    if (journal === undefined) {
      journal = new JournalIntake(ref, this.#options, this.totals);
      this.#journals.set(ref, journal);
    }
    return journal;
  }
}

/** @throws FormatError for JSON of another shape. */
const refsOf = (json: unknown): JournalRef[] =>
  asList(json).map((ref) => {
    if (typeof ref !== 'string' || !isJournalRef(ref)) throw new FormatError('not a journal');
    return ref;
  });
