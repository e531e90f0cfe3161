/**
 * The word that scrapes are coming, in the store before the first of each process: one that is killed before its first
 * commit would leave nothing else that a gap could be told from, nor which time its clock had.
 */
import {
  type JournalPosition,
  type Milliseconds,
  type Store,
  asTime,
  errorText,
} from '@canopy/model';
import type { StoreLog } from '../health.js';
import { type JournalIdentity, saveIdentity } from './journal-id.js';

const DOCUMENT = 'journal/scrapes';

export class ExpectedScrapes {
  /** A time before the first scrape that an earlier process may have had an answer to; undefined where there is none. */
  readonly from: Milliseconds | undefined;
  /** The same of the process before alone, or of one with a later clock. */
  readonly newest: Milliseconds | undefined;
  /** The earliest of all processes since the last commit, whose clocks may have been set back; undefined where there is none. */
  readonly oldest: Milliseconds | undefined;
  readonly #store: Store;
  readonly #identity: JournalIdentity;
  readonly #log: StoreLog;
  /** Of the last commit before this process. */
  readonly #position: string;
  /** Settled once the store has it; undefined before anybody asked. */
  #told: Promise<void> | undefined;

  private constructor(
    store: Store,
    identity: JournalIdentity,
    log: StoreLog,
    position: string,
    text: string | undefined,
  ) {
    this.#store = store;
    this.#identity = identity;
    this.#log = log;
    this.#position = position;
    const [journal, first, newest = first, oldest, after] = text?.split(' ') ?? [];
    // A word of another journal: the folder was copied.
    if (journal !== identity.id) return;
    this.from = asTime(Number(first));
    this.newest = asTime(Number(newest));
    if (after === position) this.oldest = asTime(Number(oldest));
  }

  static async load(
    store: Store,
    identity: JournalIdentity,
    log: StoreLog,
    { epoch, sequence }: JournalPosition,
  ): Promise<ExpectedScrapes> {
    const text = await store.getDocument(DOCUMENT);
    return new ExpectedScrapes(store, identity, log, `${epoch}-${sequence}`, text);
  }

  /** As the port's `expectScrapes`. */
  tell(time: Milliseconds): Promise<void> {
    const before = asTime(time - 1);
    const newest = asTime(Math.max(before, this.newest ?? 0));
    const oldest = asTime(Math.min(before, this.oldest ?? before));
    this.#told ??= this.#save([this.from ?? before, newest, oldest]).catch((error: unknown) => {
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
    const isComing = this.#told !== undefined || this.from !== undefined;
    if (isComing) await this.#save([0, this.newest ?? 0, 0]);
  }

  #save(times: readonly [first: number, newest: number, oldest: number]): Promise<void> {
    const text = [this.#identity.id, ...times, this.#position].join(' ');
    return this.#store.putDocument(DOCUMENT, text);
  }
}
