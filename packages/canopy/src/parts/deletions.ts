/** What `admin/tsdb/delete_series` was asked to delete, in a document of the store: whoever reads the store hides it. */
import { ErasedView, type Tombstone } from '@canopy/head';
import {
  CanopyError,
  type Clock,
  FormatError,
  type Matcher,
  type Store,
  asList,
  asRecord,
  errorText,
  readDocument,
} from '@canopy/model';
import type { Log } from '../log.js';

const DOCUMENT = 'tombstones';
/** Each is compared with every series that is selected. */
const TOMBSTONES_MAX = 1000;
const DOCUMENT_BYTES_MAX = 1 << 20;

/** As it is stored: a selector, and the times between which its samples are hidden, inclusive, ms. */
interface StoredTombstone {
  readonly match: string;
  readonly minTime: number;
  readonly maxTime: number;
}

export interface DeletionsOptions {
  readonly view: ErasedView;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** How long samples are kept, ms; 0: for ever. */
  readonly retention: number;
  parseSelector(text: string): Matcher[];
}

export class Deletions {
  readonly #options: DeletionsOptions;
  /** Stored documents that could not be read, by name. */
  readonly unreadable: Record<string, number> = {};
  #text = '';
  /** Changes follow one another. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: DeletionsOptions) {
    this.#options = options;
  }

  /** Hides what the store says, which another process may have changed. Errors: those of the store. */
  async load(): Promise<void> {
    const text = (await this.#options.store.getDocument(DOCUMENT)) ?? '';
    if (text !== this.#text) this.#use(text, this.#read(text));
  }

  /** The same, where the store answers; else what is known stays hidden. */
  async follow(): Promise<void> {
    try {
      await this.load();
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
    }
  }

  /** Hides what matches any of the selectors from now on; what is scraped later is not concerned. */
  delete(selectors: readonly string[], start: number, end: number): Promise<void> {
    const minTime = start;
    const maxTime = Math.min(end, this.#options.clock.now());
    if (minTime > maxTime) return Promise.resolve();
    return this.#change((stored) => {
      const more = selectors.map((match) => ({ match, minTime, maxTime }));
      const all = [...stored.filter((one) => !more.some((by) => covers(by, one))), ...more];
      if (all.length <= TOMBSTONES_MAX) return all;
      const text = `more than ${TOMBSTONES_MAX} deletions; samples of earlier ones go with --retention.raw`;
      throw new CanopyError('limit', text);
    });
  }

  /**
   * Forgets deletions of which retention has left nothing.
   * @throws CanopyError `unavailable` where there are others: their samples are hidden, not gone.
   */
  async clean(): Promise<void> {
    const { clock, retention } = this.#options;
    let left: readonly StoredTombstone[] = [];
    await this.#change((stored) => {
      left = stored.filter(({ maxTime }) => retention === 0 || maxTime >= clock.now() - retention);
      return left;
    });
    if (left.length === 0) return;
    const until = Math.max(...left.map(({ maxTime }) => maxTime)) + retention;
    const when = retention === 0 ? 'never (it is off)' : `by ${new Date(until).toISOString()}`;
    throw new CanopyError(
      'unavailable',
      `${left.length} deletions are hidden and stay on disk until retention takes their samples: ${when}`,
    );
  }

  #change(
    change: (stored: readonly StoredTombstone[]) => readonly StoredTombstone[],
  ): Promise<void> {
    const turn = this.#last.then(async () => {
      const { store } = this.#options;
      const text = (await store.getDocument(DOCUMENT)) ?? '';
      const stored = change(this.#read(text));
      const next = stored.length === 0 ? '' : JSON.stringify(stored);
      if (next.length > DOCUMENT_BYTES_MAX) {
        throw new CanopyError('limit', 'the selectors of all deletions take more than 1 MiB');
      }
      if (next !== text) await store.putDocument(DOCUMENT, next === '' ? undefined : next);
      this.#use(next, stored);
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #use(text: string, stored: readonly StoredTombstone[]): void {
    const { view, parseSelector } = this.#options;
    view.tombstones = stored.map(
      ({ match, minTime, maxTime }): Tombstone => ({
        matchers: parseSelector(match),
        minTime,
        maxTime,
      }),
    );
    this.#text = text;
  }

  /** What cannot be read is told, and hides nothing. */
  #read(text: string): readonly StoredTombstone[] {
    const { log, parseSelector } = this.#options;
    const lost = 'what was deleted: it is shown again';
    const kind = { name: DOCUMENT, lost, log, unreadable: this.unreadable };
    const read = (json: unknown): StoredTombstone[] =>
      asList(json).map((one) => tombstoneOf(one, parseSelector));
    return readDocument(text === '' ? undefined : text, kind, read) ?? [];
  }
}

/** @throws FormatError for JSON of another shape. */
function tombstoneOf(
  json: unknown,
  parseSelector: DeletionsOptions['parseSelector'],
): StoredTombstone {
  const { match, minTime, maxTime } = asRecord(json);
  if (typeof match !== 'string' || !Number.isFinite(minTime) || !Number.isFinite(maxTime)) {
    throw new FormatError('not a deletion');
  }
  try {
    parseSelector(match);
  } catch (error) {
    throw new FormatError(errorText(error));
  }
  return { match, minTime: minTime as number, maxTime: maxTime as number };
}

const covers = (by: StoredTombstone, one: StoredTombstone): boolean =>
  by.match === one.match && by.minTime <= one.minTime && by.maxTime >= one.maxTime;
