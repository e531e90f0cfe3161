/** What was seen of a run from outside of its processes; what is wrong at once is a fault at once. */
import { decodeGap, entryPayload } from '@canopy/encoding';
import { CURSOR_HEADER } from '@canopy/federation';
import { parseCursors } from '@canopy/federation/testing';
import {
  EntryKind,
  JOURNAL_START,
  type JournalCommit,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  comparePositions,
  journalIdOf,
} from '@canopy/model';
import type { Database } from './database.js';
import type { Question } from './exchange.js';
import { Truth, originKey } from './truth.js';

/** A scrape whose whole answer reached a leaf. */
export interface Scraped {
  readonly leaf: string;
  /** Run of the leaf's process. */
  readonly life: number;
  readonly target: string;
  readonly number: number;
  /** Milliseconds of the run, and the leaf's wall clock. */
  readonly at: number;
  readonly wall: number;
}

const CURSORS_MAX = 1000;
const LEAVES_PATH = '/api/v1/canopy/leaves';

/** A writer's own gaps have other causes. */
const isTrimmedGap = (entry: JournalEntry): boolean =>
  entry.kind === EntryKind.gap && decodeGap(entryPayload(entry)).cause === 'trimmed';

export class History {
  /** Journals by their writers. */
  readonly truths = new Map<JournalRef, Truth>();
  readonly scraped: Scraped[] = [];
  readonly faults: string[] = [];
  /** Journals that were cut somewhere. */
  readonly trimmed = new Set<JournalRef>();
  /** Writer to the newest run of its process that journalled anything. */
  readonly journalledIn = new Map<string, number>();
  pages = 0;
  pageBytesMax = 0;
  entriesPulled = 0;
  /** Hosts that a leaf has announced. */
  readonly announced = new Set<string>();
  /** Hosts whose leave a parent has acknowledged, until they announce themselves again. */
  readonly left = new Set<string>();
  /** Whom the configuration of a host lists. */
  listedBy: (host: string) => ReadonlySet<string> = () => new Set();
  /** Machine by host name, for what is said by the network. */
  databaseOf: (host: string) => Database | undefined = () => undefined;
  /** Name of the machine whose own journal a database holds. */
  writerOf: (database: Database) => string = () => '';
  /** The run of that machine's process that goes on now, or came last. */
  lifeOf: (database: Database) => number = () => 0;
  /** By database or reader and journal: the last position, and for which of the store's falls it went back. */
  readonly #places = new Map<string, { position: JournalPosition; wentBack: number }>();

  fault(checker: string, text: string): void {
    this.faults.push(`${checker}: ${text}`);
  }

  /** A store has acknowledged a commit, or is about to. */
  committed(database: Database, { lease, position, entries, cursor }: JournalCommit): void {
    const ref = lease.journal;
    const name = `${database.options.name} ${ref}`;
    this.#mustGoOn(`${name} stored`, position, database);
    const writer = this.writerOf(database);
    const isFiltered = (ref as string) !== journalIdOf(ref);
    const isOwn = !isFiltered && (this.truths.get(ref)?.writer ?? writer) === writer;
    // A journal of somebody else that has no cursor was given back from memory.
    if (cursor === '' && isOwn) {
      this.#journalled(name, this.#truth(ref, writer), entries);
      this.journalledIn.set(writer, this.lifeOf(database));
      return;
    }
    this.entriesPulled += entries.length;
    // A filter's view has layouts and frames of its own.
    if (isFiltered) return;
    const truth = this.truths.get(ref);
    for (const entry of entries) {
      const known = truth?.entries.get(originKey(entry));
      // Servers on the way name what they have cut, in the place of something that is gone.
      if (entry.kind === EntryKind.gap) continue;
      if (known !== undefined && Buffer.from(known.bytes).equals(entry.bytes)) continue;
      this.fault('origins', `${name}: ${originKey(entry)} is not what was journalled`);
    }
  }

  #journalled(name: string, truth: Truth, entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      const known = truth.entries.get(originKey(entry));
      // An earlier journal of the same writer may be given back, too, with a gap in the place of what is gone.
      if (known !== undefined && Buffer.from(known.bytes).equals(entry.bytes)) continue;
      if (known !== undefined && isTrimmedGap(entry)) continue;
      if (known !== undefined) {
        this.fault('origins', `${name}: ${originKey(entry)} was given to two entries`);
      }
      truth.take({ ...entry, bytes: entry.bytes.slice() });
    }
  }

  storeWentBack(database: Database): void {
    for (const truth of this.truths.values()) {
      if (truth.writer !== this.writerOf(database)) continue;
      // Answered before anything else happens: the store in memory does not wait.
      void database.store
        .journal(truth.ref)
        .then((state) => truth.fellBack(state?.position ?? JOURNAL_START));
    }
  }

  /** A page left its server; nobody knows whether it comes. */
  paged(body: Uint8Array): void {
    this.pages++;
    this.pageBytesMax = Math.max(this.pageBytesMax, body.length);
  }

  /** A request leaves a machine: with it, what its reader says it has. */
  asks(host: string, question: Question): void {
    this.#mayAsk(host, question);
    const { url, headers } = question;
    const reader = this.databaseOf(host);
    const cursors = headers[CURSOR_HEADER];
    if (reader === undefined || cursors === undefined) return;
    for (const [ref, { position }] of parseCursors(cursors, CURSORS_MAX).byRef) {
      this.#mustGoOn(`${host} of ${new URL(url).host} ${ref} asks with`, position, reader);
    }
  }

  /** Nobody is pulled who was neither announced nor listed. */
  #mayAsk(from: string, { method, url, body }: Question): void {
    const { host, pathname } = new URL(url);
    if (method === 'POST' && pathname === LEAVES_PATH) {
      const announced = new URL((JSON.parse(body) as { url: string }).url).host;
      this.announced.add(announced);
      this.left.delete(announced);
    }
    if (pathname !== '/federate' || this.announced.has(host)) return;
    if (this.listedBy(from).has(host)) return;
    this.fault('registration', `${from} pulls ${host}, which nobody announced or listed`);
  }

  /** A parent has acknowledged that a leaf leaves. */
  leaves({ method, url, body }: Question, status: number): void {
    if (method !== 'DELETE' || new URL(url).pathname !== LEAVES_PATH || status !== 200) return;
    this.left.add(new URL((JSON.parse(body) as { url: string }).url).host);
  }

  /** What is known of a fall of the store comes with the next commit: a place goes back once for each. */
  #mustGoOn(name: string, position: JournalPosition, { wentBack }: Database): void {
    const before = this.#places.get(name);
    const goesBack = before !== undefined && comparePositions(position, before.position) < 0;
    if (goesBack && before.wentBack === wentBack) {
      this.fault('cursors', `${name} ${originKey(position)} after ${originKey(before.position)}`);
    }
    this.#places.set(name, { position, wentBack: goesBack ? wentBack : (before?.wentBack ?? 0) });
  }

  #truth(ref: JournalRef, writer: string): Truth {
    let truth = this.truths.get(ref);
    if (truth === undefined) this.truths.set(ref, (truth = new Truth(ref, writer)));
    return truth;
  }
}
