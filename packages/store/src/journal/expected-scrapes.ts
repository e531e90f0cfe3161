/**
 * The word that scrapes are coming, in the store before the first of them: a process that is killed before its first commit
 * would leave nothing else that a gap could be told from.
 */
import {
  type JournalRef,
  type Milliseconds,
  type Store,
  asTime,
  errorText,
  journalIdOf,
} from '@canopy/model';
import type { StoreLog } from '../health.js';
import { saveJournalId } from './journal-id.js';

const DOCUMENT = 'journal/scrapes';

export class ExpectedScrapes {
  /** A time before the first scrape that an earlier process may have had an answer to; undefined where there is none. */
  readonly from: Milliseconds | undefined;
  readonly #store: Store;
  readonly #ref: JournalRef;
  readonly #log: StoreLog;
  /** Settled once the store has it; undefined before anybody asked. */
  #told: Promise<void> | undefined;

  private constructor(store: Store, ref: JournalRef, log: StoreLog, text: string | undefined) {
    this.#store = store;
    this.#ref = ref;
    this.#log = log;
    const [journal, time] = text?.split(' ') ?? [];
    // A word of another journal: the folder was copied.
    if (journal !== ref) return;
    this.from = asTime(Number(time));
    this.#told = Promise.resolve();
  }

  static async load(store: Store, ref: JournalRef, log: StoreLog): Promise<ExpectedScrapes> {
    return new ExpectedScrapes(store, ref, log, await store.getDocument(DOCUMENT));
  }

  /** As the port's `expectScrapes`. */
  tell(time: Milliseconds): Promise<void> {
    this.#told ??= save(this.#store, this.#ref, time).catch((error: unknown) => {
      this.#told = undefined;
      const text = errorText(error);
      this.#log('warn', `the store does not take the word that scrapes are coming: ${text}`);
    });
    return this.#told;
  }

  /** The store lost its documents, and all that was journalled with them: the id is told again, too. */
  async tellAgain(place: string): Promise<void> {
    // The next process must find this journal, not make another.
    await saveJournalId(this.#store, journalIdOf(this.#ref), place);
    if (this.#told !== undefined) await save(this.#store, this.#ref, asTime(1));
  }
}

const save = (store: Store, ref: JournalRef, time: Milliseconds): Promise<void> =>
  store.putDocument(DOCUMENT, `${ref} ${time - 1}`);
