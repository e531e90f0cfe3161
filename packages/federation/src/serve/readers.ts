/** Who reads which journal and how far, in plain numbers for the status page and for trimming. */
import {
  type Clock,
  type DurationMs,
  FormatError,
  JOURNAL_START,
  type JournalPosition,
  type JournalRef,
  type Milliseconds,
  type Store,
  asList,
  asTime,
  comparePositions,
  readDocument,
} from '@canopy/model';
import type { Log } from '../log.js';

/** Who pulls, as far as it is known. */
export interface ReaderStatus {
  readonly name: string;
  readonly remote: string;
  readonly lastSeen: Milliseconds;
  readonly pulls: number;
  /** By stored journal: what the reader had when it asked last. */
  readonly positions: ReadonlyArray<readonly [ref: JournalRef, position: JournalPosition]>;
}

/** `positions` by stored journal: what the reader has, not what it was sent. */
export interface Reader {
  readonly key: string;
  readonly name: string;
  readonly remote: string;
  lastSeen: Milliseconds;
  pulls: number;
  /** When it was sent a report last; 0 never. */
  lastReport: number;
  /** It came with cursors that could not be read. */
  isUnread: boolean;
  /** When it was told last what was counted of a stored journal (ms since epoch). */
  readonly told: Map<JournalRef, number>;
  readonly positions: Map<JournalRef, JournalPosition>;
  /** By stored journal: entries after it are needed to answer the reader. */
  readonly needs: Map<JournalRef, JournalPosition>;
}

export interface ReadersOptions {
  readonly clock: Clock;
  readonly readersMax: number;
  readonly ttl: DurationMs;
  /** Where they are remembered beyond the life of this process; undefined: nowhere. */
  readonly store: Pick<Store, 'getDocument' | 'putDocument'> | undefined;
  readonly log: Log;
}

/** Name of the store's document: a list of `Remembered`. */
const DOCUMENT = 'readers';
/** A place that is older than what the reader has keeps a little more, nothing else. */
const SAVE_EVERY_MS = 30_000;

type Remembered = readonly [
  key: string,
  name: string,
  remote: string,
  lastSeen: number,
  needs: ReadonlyArray<readonly [ref: JournalRef, epoch: number, sequence: number]>,
];

export class Readers {
  readonly #options: ReadersOptions;
  readonly #readers = new Map<string, Reader>();
  /** Documents that could not be read, by name. */
  readonly unreadable: Record<string, number> = {};
  #loading: Promise<void> | undefined;
  #isLoaded: boolean;
  #isNew = false;
  #savedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ReadersOptions) {
    this.#options = options;
    this.#isLoaded = options.store === undefined;
  }

  /** Resolves once those of an earlier process are known. @throws CanopyError of the store. */
  load(): Promise<void> {
    if (this.#isLoaded) return Promise.resolve();
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /**
   * The record of a reader, made where there is none; why not, where there is no room for one more: half of it is for
   * others, however many names one address makes up.
   */
  admit(name: string, remote: string, selection: string): Reader | string {
    this.#expire();
    const key = JSON.stringify([name, remote, selection]);
    const now = this.#options.clock.now();
    let reader = this.#readers.get(key);
    if (reader === undefined) {
      const { readersMax } = this.#options;
      if (this.#readers.size >= readersMax) return 'too many readers';
      const here = [...this.#readers.values()].filter((one) => one.remote === remote);
      if (here.length >= Math.ceil(readersMax / 2)) return 'too many readers from one address';
      reader = newReader(key, name, remote, now);
      this.#readers.set(key, reader);
      this.#isNew = true;
    }
    reader.lastSeen = now;
    reader.pulls++;
    return reader;
  }

  /**
   * Writes down where readers are: at once where there is a new one, else now and then.
   * @throws CanopyError of the store.
   */
  async save(): Promise<void> {
    const { store, clock } = this.#options;
    const now = clock.monotonic();
    if (store === undefined || (!this.#isNew && now - this.#savedAt < SAVE_EVERY_MS)) return;
    const list = [...this.#readers.values()].map(({ key, name, remote, lastSeen, needs }) => {
      const places = [...needs].map(
        ([ref, { epoch, sequence }]) => [ref, epoch, sequence] as const,
      );
      return [key, name, remote, lastSeen, places] satisfies Remembered;
    });
    await store.putDocument(DOCUMENT, JSON.stringify(list));
    this.#isNew = false;
    this.#savedAt = now;
  }

  all(): ReaderStatus[] {
    this.#expire();
    return [...this.#readers.values()].map(({ name, remote, lastSeen, pulls, positions }) => {
      return { name, remote, lastSeen, pulls, positions: [...positions] };
    });
  }

  has(key: string): boolean {
    return this.#readers.has(key);
  }

  /**
   * Entries after the result are needed; undefined where nobody reads. Before those of an earlier
   * process are known: all entries.
   */
  oldest(ref: JournalRef): JournalPosition | undefined {
    if (!this.#isLoaded) {
      // The store does not answer: asked again with the next question.
      this.load().catch(() => undefined);
      return JOURNAL_START;
    }
    this.#expire();
    let oldest: JournalPosition | undefined;
    for (const { needs } of this.#readers.values()) {
      const position = needs.get(ref);
      if (position === undefined) continue;
      if (oldest === undefined || comparePositions(position, oldest) < 0) oldest = position;
    }
    return oldest;
  }

  async #load(): Promise<void> {
    const text = await this.#options.store?.getDocument(DOCUMENT);
    const lost = 'who reads: journals may be cut before those that stay away, who find a named gap';
    const { log } = this.#options;
    const kind = { name: DOCUMENT, lost, log, unreadable: this.unreadable };
    for (const [key, name, remote, lastSeen, needs] of readDocument(text, kind, remembered) ?? []) {
      const reader = newReader(key, name, remote, asTime(lastSeen));
      for (const [ref, epoch, sequence] of needs) reader.needs.set(ref, { epoch, sequence });
      this.#readers.set(key, reader);
    }
    this.#isLoaded = true;
  }

  #expire(): void {
    const { clock, ttl } = this.#options;
    const now = clock.now();
    for (const [key, { lastSeen }] of this.#readers) {
      if (now - lastSeen > ttl) this.#readers.delete(key);
    }
  }
}

const newReader = (key: string, name: string, remote: string, lastSeen: Milliseconds): Reader => ({
  ...{ key, name, remote, lastSeen, pulls: 0, lastReport: 0, isUnread: false },
  ...{ told: new Map(), positions: new Map(), needs: new Map() },
});

/** @throws FormatError for JSON of another shape. */
const remembered = (json: unknown): Remembered[] =>
  asList(json).map((one) => {
    const [key, name, remote, lastSeen, needs] = asList(one);
    const isNamed = [key, name, remote].every((text) => typeof text === 'string');
    if (!isNamed || !Number.isSafeInteger(lastSeen)) throw new FormatError('not a reader');
    const places = asList(needs).map((place) => {
      const [ref, epoch, sequence] = asList(place);
      const isPlace = Number.isSafeInteger(epoch) && Number.isSafeInteger(sequence);
      if (typeof ref !== 'string' || !isPlace) throw new FormatError('not a place');
      return [ref as JournalRef, epoch as number, sequence as number] as const;
    });
    return [key as string, name as string, remote as string, lastSeen as number, places];
  });
