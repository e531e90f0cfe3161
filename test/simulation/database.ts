/**
 * A store outside of processes: what survives them. It can be away, slow, wiped, or fall back to an older state; a
 * process reaches it through a link, and may die before, after or in the middle of anything it asks for.
 */
import { MemoryStore } from '@canopy/federation/testing';
import {
  CanopyError,
  type CommitOutcome,
  type JournalCommit,
  type JournalRef,
  type Store,
  asTime,
} from '@canopy/model';
import type { ReportingStore } from '@canopy/store';
import type { Canaries } from './canaries.js';
import type { History } from './history.js';
import type { Chance } from './random.js';
import { EPOCH_MS, type Life, type SimTime } from './time.js';
import type { Trace } from './trace.js';

/** How the link of a process fares. Shares of what is asked for. */
export interface LinkWeather {
  crashBefore: number;
  crashAfter: number;
  crashAmid: number;
  lostAnswer: number;
}

export interface DatabaseOptions {
  readonly name: string;
  /** The store of one process on its own disk: it does not lose what it has acknowledged. */
  readonly isEmbedded: boolean;
  readonly time: SimTime;
  readonly chance: Chance;
  readonly history: History;
  readonly trace: Trace;
  readonly canaries: Canaries;
}

const COPIES_KEPT = 16;
const COPY_EVERY_MS = 1000;
const COMMAND_TIMEOUT_MS = 5000;

const WRITES: ReadonlySet<string> = new Set([
  'commit',
  'putTiles',
  'dropTiles',
  'putBlockChunks',
  'finishBlock',
  'dropBlocks',
  'sweepBlocks',
  'trimJournal',
  'dropLayouts',
  'putDocument',
  'nextBlock',
]);

export class Database {
  readonly options: DatabaseOptions;
  readonly store: MemoryStore;
  /** Until then nothing answers. Milliseconds of the run. */
  awayUntil = 0;
  /** Until then every command takes up to so long. */
  slowUntil = 0;
  slowMs = 0;
  readonly weather: LinkWeather = { crashBefore: 0, crashAfter: 0, crashAmid: 0, lostAnswer: 0 };
  /** Times the content went back; whoever compares places across such a moment must not. */
  wentBack = 0;
  readonly #copies: Array<{ readonly at: number; readonly content: MemoryStore }> = [];

  constructor(options: DatabaseOptions) {
    this.options = options;
    const { time } = options;
    this.store = new MemoryStore({
      now: () => asTime(Math.floor(EPOCH_MS + time.now)),
      monotonic: () => time.now,
      after: () => ({ cancel: () => {} }),
    });
    if (!options.isEmbedded) this.#copy();
  }

  #copy(): void {
    const { time } = this.options;
    this.#copies.push({ at: time.now, content: this.store.copy() });
    if (this.#copies.length > COPIES_KEPT) this.#copies.shift();
    time.at(time.now + COPY_EVERY_MS, () => this.#copy());
  }

  /** FLUSHALL. */
  wipe(): void {
    this.#note('wiped');
    this.store.wipe();
    this.#goneBack();
  }

  /** A replica or a restart without the last moment: the content of about `ms` ago. Returns how long ago. */
  fallBack(ms: number): number {
    const { now } = this.options.time;
    const copy = this.#copies.findLast(({ at }) => at <= now - ms) ?? this.#copies[0];
    if (copy === undefined) return 0;
    this.#note(`falls back by ${(now - copy.at).toFixed(0)} ms`);
    this.store.become(copy.content);
    this.#goneBack();
    return now - copy.at;
  }

  /** For a canary: nobody is told. */
  fallSilently(): void {
    const copy = this.#copies.at(-COPIES_KEPT / 2) ?? this.#copies[0];
    if (copy !== undefined) this.store.become(copy.content);
  }

  #goneBack(): void {
    this.wentBack++;
    this.options.history.storeWentBack(this);
  }

  #note(what: string): void {
    this.options.trace.note(`${this.options.name} ${what}`);
  }
}

/** What one process has of a database. `die` ends the process at once. */
export function linkTo(database: Database, life: Life, die: (why: string) => void): ReportingStore {
  const { store, options, weather } = database;
  const { chance, trace, time, history, canaries, name, isEmbedded } = options;
  // Whoever opens a folder has it for itself.
  if (isEmbedded) store.forgetLeases();

  const delay = (isWrite: boolean): number => {
    if (time.now < database.slowUntil) return chance.between(1, database.slowMs);
    if (isEmbedded) return isWrite ? chance.between(0.2, 4) : 0;
    return chance.isHit(0.01) ? chance.between(5, 80) : chance.between(0.1, 1.5);
  };

  const ask = <T>(what: string, effect: () => Promise<T>, amid?: () => void): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (!life.isAlive) return;
      const isWrite = WRITES.has(what);
      const wait = delay(isWrite);
      const act = (): void => {
        if (time.now < database.awayUntil) {
          const left = Math.min(COMMAND_TIMEOUT_MS, database.awayUntil - time.now);
          const refuse = () => reject(new CanopyError('storage_unavailable', `${name} is away`));
          // A server that is down refuses at once, one that hangs does not answer.
          life.in(chance.isHit(0.5) ? 0.3 : left, refuse);
          return;
        }
        // Nobody is the worse for a read that did not happen.
        const doom = isWrite ? chance.between(0, 1) : Number.NaN;
        const { crashBefore, crashAfter, crashAmid, lostAnswer } = weather;
        if (doom < crashBefore) return die(`before ${what}`);
        if (amid !== undefined && doom < crashBefore + crashAmid) {
          amid();
          return die(`amid ${what}`);
        }
        const done = effect();
        if (doom > 1 - crashAfter) {
          done.catch(() => {});
          return die(`after ${what}`);
        }
        if (!isEmbedded && doom > 1 - crashAfter - lostAnswer) {
          done.catch(() => {});
          trace.note(`${name} answer to ${what} is lost`, 'answers of stores lost');
          return reject(new CanopyError('storage_unavailable', 'the connection was lost'));
        }
        done.then(resolve, reject);
      };
      if (wait === 0) act();
      else life.in(wait, act);
    });

  const commit = (given: JournalCommit): Promise<CommitOutcome> =>
    ask('commit', async () => {
      const written = canaries.spoilCommit(database, given);
      const outcome = await store.commit(written);
      const { epoch, sequence } = given.position;
      const { journal } = given.lease;
      const short = journal.slice(0, 4);
      trace.note(`${name} commit ${short} ${epoch}-${sequence} ${outcome.outcome}`);
      // What a leaf's store leaves out was never journalled; what a parent's does, it had to write.
      const seen = isEmbedded ? written : given;
      if (outcome.outcome === 'applied') history.committed(database, seen);
      return outcome;
    });

  const plain = <K extends keyof Store>(what: K) =>
    ((...args: never[]) =>
      ask(what as string, () =>
        (store[what] as (...given: never[]) => Promise<unknown>).apply(store, args),
      )) as unknown as Store[K];

  return {
    kind: 'embedded',
    health: { healthy: true, message: name },
    commit,
    putTiles: (lease, tiles) =>
      ask(
        'putTiles',
        () => store.putTiles(lease, tiles),
        () => void store.putTiles(lease, tiles.slice(0, tiles.length >> 1)).catch(() => {}),
      ),
    dropTiles: (lease, tiles) =>
      ask(
        'dropTiles',
        () => store.dropTiles(lease, tiles),
        () => void store.dropTiles(lease, tiles.slice(0, tiles.length >> 1)).catch(() => {}),
      ),
    journals: plain('journals'),
    journal: plain('journal'),
    acquireLease: plain('acquireLease'),
    releaseLease: plain('releaseLease'),
    readEntries: plain('readEntries'),
    readLayouts: plain('readLayouts'),
    dropLayouts: plain('dropLayouts'),
    trimJournal: (lease, upTo) =>
      ask('trimJournal', () => {
        history.trimmed.add(lease.journal);
        return store.trimJournal(lease, upTo);
      }),
    dropJournal: plain('dropJournal'),
    tiles: plain('tiles'),
    readTiles: plain('readTiles'),
    blocks: plain('blocks'),
    nextBlock: plain('nextBlock'),
    putBlockChunks: plain('putBlockChunks'),
    finishBlock: plain('finishBlock'),
    readBlocks: plain('readBlocks'),
    dropBlocks: plain('dropBlocks'),
    sweepBlocks: plain('sweepBlocks'),
    getDocument: plain('getDocument'),
    putDocument: plain('putDocument'),
    usage: plain('usage'),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export const shortRef = (ref: JournalRef): string => ref.slice(0, 4);
