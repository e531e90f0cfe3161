/**
 * The word that scrapes are coming, in the store before the first of them: a process that is killed before its first commit
 * would leave nothing else that a gap could be told from.
 */
import { type Milliseconds, type Store, asTime, errorText } from '@canopy/model';
import type { StoreLog } from '../health.js';
import { type JournalIdentity, saveIdentity } from './journal-id.js';

const DOCUMENT = 'journal/scrapes';

export class ExpectedScrapes {
  /** A time before the first scrape that an earlier process may have had an answer to; undefined where there is none. */
  readonly from: Milliseconds | undefined;
  readonly #store: Store;
  readonly #identity: JournalIdentity;
  readonly #log: StoreLog;
  /** Settled once the store has it; undefined before anybody asked. */
  #told: Promise<void> | undefined;

  private constructor(
    store: Store,
    identity: JournalIdentity,
    log: StoreLog,
    text: string | undefined,
  ) {
    this.#store = store;
    this.#identity = identity;
    this.#log = log;
    const [journal, time] = text?.split(' ') ?? [];
    // A word of another journal: the folder was copied.
    if (journal !== identity.id) return;
    this.from = asTime(Number(time));
    this.#told = Promise.resolve();
  }

  static async load(
    store: Store,
    identity: JournalIdentity,
    log: StoreLog,
  ): Promise<ExpectedScrapes> {
    return new ExpectedScrapes(store, identity, log, await store.getDocument(DOCUMENT));
  }

  /** As the port's `expectScrapes`. */
  tell(time: Milliseconds): Promise<void> {
    this.#told ??= save(this.#store, this.#identity, time).catch((error: unknown) => {
      this.#told = undefined;
      const text = errorText(error);
      this.#log('warn', `the store does not take the word that scrapes are coming: ${text}`);
    });
    return this.#told;
  }

  /** The store lost its documents, and all that was journalled with them: who the journal is is told again, too. */
  async tellAgain(): Promise<void> {
    // The next process must find this journal, not make another.
    await saveIdentity(this.#store, this.#identity);
    if (this.#told !== undefined) await save(this.#store, this.#identity, asTime(1));
  }
}

const save = (store: Store, { id }: JournalIdentity, time: Milliseconds): Promise<void> =>
  store.putDocument(DOCUMENT, `${id} ${time - 1}`);
