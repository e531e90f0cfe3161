/**
 * A store outside of processes: what survives them. It can be away, slow, wiped, lose its last writes or a disk, fall
 * back to an older state as a whole or in a part, hold a damaged record; a process reaches it through a link, and may die
 * before, after or in the middle of anything it asks for.
 */
import { type AtRest, MemoryStore } from '@canopy/federation/testing';
import {
  CanopyError,
  type CommitOutcome,
  type JournalCommit,
  type JournalPosition,
  type JournalRef,
  type Store,
  asTime,
} from '@canopy/model';
import type { CorruptRecord, ReportingStore } from '@canopy/store';
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
  /** Of everything: refused, though the store answers what comes before and after. */
  refused: number;
}

export interface DatabaseOptions {
  readonly name: string;
  /** The store of one process on its own disk: it does not lose what it has acknowledged. */
  readonly isEmbedded: boolean;
  readonly time: SimTime;
  readonly chance: Chance;
  /** What is damaged at rest. */
  readonly damages: Chance;
  readonly refusals: Chance;
  readonly history: History;
  readonly trace: Trace;
  readonly canaries: Canaries;
}

/** A fall is no deeper. */
const COPIES_KEPT_MS = 16_000;
/** What a canary falls back by. Writes. */
const CANARY_WRITES = 8;
const COMMAND_TIMEOUT_MS = 5000;

/** Documents that are made anew; others end the process that cannot read them, in words. */
const REMADE = /^(registry|journal-homes|sources\/.*)$/;

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
  readonly weather: LinkWeather = {
    ...{ crashBefore: 0, crashAfter: 0, crashAmid: 0, lostAnswer: 0, refused: 0 },
  };
  /** Times the content went back; whoever compares places across such a moment must not. */
  wentBack = 0;
  /** Something in it was damaged: counts of what can be read differ. */
  isDamaged = false;
  /** Told of what a read finds damaged, while it reads. */
  onCorrupt: (record: CorruptRecord) => void = () => {};
  readonly #copies: Array<{ readonly at: number; readonly content: MemoryStore }> = [];

  constructor(options: DatabaseOptions) {
    this.options = options;
    const { time } = options;
    const clock = {
      now: () => asTime(Math.floor(EPOCH_MS + time.now)),
      monotonic: () => time.now,
      after: () => ({ cancel: () => {} }),
    };
    this.store = new MemoryStore(clock, (record) => this.onCorrupt({ ...record, message: '' }));
  }

  /** Before each write: every state in between may be fallen back to. */
  remember(): void {
    if (this.options.isEmbedded) return;
    const { now } = this.options.time;
    this.#copies.push({ at: now, content: this.store.copy() });
    while (this.#copies.length > 1 && this.#copies[1].at < now - COPIES_KEPT_MS) {
      this.#copies.shift();
    }
  }

  /** FLUSHALL, or a new disk. */
  wipe(): void {
    this.#note('wiped');
    this.store.wipe();
    this.#goneBack();
  }

  /** A replica or a restart without the last moment: the content of `ms` ago. */
  fallBack(ms: number): void {
    const { now } = this.options.time;
    const at = this.#copies.findLastIndex((copy) => copy.at <= now - ms);
    return this.#becomeCopy(Math.max(0, at), `falls back by ${ms.toFixed(0)} ms`);
  }

  /** A file that ends earlier: the last writes are gone. */
  cut(writes: number): void {
    this.#becomeCopy(Math.max(0, this.#copies.length - writes), `loses ${writes} writes`);
  }

  #becomeCopy(index: number, text: string): void {
    const copy = this.#copies[index];
    if (copy === undefined) return;
    this.#note(text);
    this.store.become(copy.content);
    // What came after it never was.
    this.#copies.length = index;
    this.#goneBack();
  }

  /** One of two nodes, whose keys go by their names, falls back. */
  nodeFallsBack(node: number, ms: number): void {
    const { now } = this.options.time;
    const copy = this.#copies.findLast(({ at }) => at <= now - ms) ?? this.#copies[0];
    if (copy === undefined) return;
    this.#note(`node ${node} falls back by ${ms.toFixed(0)} ms`);
    this.store.become(copy.content, (name) => nodeOf(name) === node);
    this.#goneBack();
  }

  /** A bit of the entry that is `back` before the newest of a journal flips, where it has so many. */
  damage(back: number): void {
    const ref = this.options.chance.of(this.store.refs());
    const place =
      ref === undefined
        ? undefined
        : this.store.damageAt(ref, back, this.options.canaries.spoilDamage());
    if (place === undefined) return;
    this.#note(`record ${place.epoch}-${place.sequence} of ${shortRef(ref)} is damaged`);
    this.isDamaged = true;
  }

  /** Something that lies in it fails its checks from now on, where there is any such thing. */
  damageAtRest(what: AtRest | 'document', how: 'flip' | 'cut'): void {
    // Of its own: what else is decided in this database stays as it is.
    const { damages, canaries } = this.options;
    const pick = (count: number): number => damages.int(0, count - 1);
    if (what === 'document') {
      const names = this.store.documents().filter((name) => REMADE.test(name));
      if (names.length === 0) return;
      const name = names[pick(names.length)];
      this.store.damageDocument(name);
      return this.#damaged(`document ${name}`, 'document');
    }
    const refs = this.store.refs();
    if (refs.length === 0) return;
    const ref = refs[pick(refs.length)];
    const spoil =
      (kind: AtRest) =>
      (bytes: Uint8Array): Uint8Array => {
        const at = pick(bytes.length);
        const damaged = how === 'cut' ? bytes.slice(0, at) : bytes.slice();
        if (how === 'flip') damaged[at] ^= 1 << pick(8);
        return canaries.spoilAtRest(kind, bytes, damaged);
      };
    // What there is of it: blocks come late in a run.
    for (const kind of [what, 'block', 'tile', 'layout'] as const) {
      const place = this.store.damageAtRest(ref, kind, pick, spoil(kind));
      if (place === undefined) continue;
      return this.#damaged(`${kind} ${place} of ${shortRef(ref)}`, kind);
    }
  }

  #damaged(text: string, what: string): void {
    this.options.trace.note(`${this.options.name} ${text} is damaged`, `damaged: ${what}`);
    this.isDamaged ||= what !== 'document';
  }

  /** For a canary: nobody is told. */
  fallSilently(): void {
    const copy = this.#copies.at(-CANARY_WRITES) ?? this.#copies[0];
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

function nodeOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) | 0;
  return hash & 1;
}

export interface LinkOptions {
  readonly database: Database;
  readonly life: Life;
  readonly onCorrupt: (record: CorruptRecord) => void;
  /** Ends the process at once. */
  die(why: string): void;
  diesAtRead(): boolean;
}

/** What one process has of a database. */
export function linkTo(link: LinkOptions): ReportingStore {
  const { database, life } = link;
  const die = (why: string): void => link.die(why);
  const { store, options, weather } = database;
  const { chance, refusals, trace, time, history, canaries, name, isEmbedded } = options;
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
      if (!isWrite && link.diesAtRead()) {
        return void life.in(wait, () => die(`reading (${what})`));
      }
      const act = (): void => {
        if (time.now < database.awayUntil) {
          const left = Math.min(COMMAND_TIMEOUT_MS, database.awayUntil - time.now);
          const refuse = () => reject(new CanopyError('storage_unavailable', `${name} is away`));
          // A server that is down refuses at once, one that hangs does not answer.
          life.in(chance.isHit(0.5) ? 0.3 : left, refuse);
          return;
        }
        if (!isEmbedded && refusals.isHit(weather.refused)) {
          trace.note(`${name} refuses ${what}`, 'refused by stores');
          return reject(new CanopyError('storage_unavailable', `${name} refuses`));
        }
        // Nobody is the worse for a read that did not happen.
        const doom = isWrite ? chance.between(0, 1) : Number.NaN;
        const { crashBefore, crashAfter, crashAmid, lostAnswer } = weather;
        if (doom < crashBefore) return die(`before ${what}`);
        if (amid !== undefined && doom < crashBefore + crashAmid) {
          database.remember();
          amid();
          return die(`amid ${what}`);
        }
        if (isWrite) database.remember();
        database.onCorrupt = link.onCorrupt;
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
    dropLayouts: (lease, groups, cut) => {
      const half = groups.slice(0, groups.length >> 1);
      return ask(
        'dropLayouts',
        () => store.dropLayouts(lease, groups, cut),
        () => void store.dropLayouts(lease, half, cut).catch(() => {}),
      );
    },
    trimJournal: (lease, upTo, behind) => {
      const trim = (to: JournalPosition): Promise<number> => {
        history.trimmed.add(lease.journal);
        return store.trimJournal(lease, to, behind);
      };
      // By slices of the journal, oldest first.
      const part = { ...upTo, sequence: upTo.sequence >> 1 };
      return ask(
        'trimJournal',
        () => trim(upTo),
        () => void trim(part).catch(() => {}),
      );
    },
    dropJournal: plain('dropJournal'),
    tiles: plain('tiles'),
    readTiles: plain('readTiles'),
    blocks: plain('blocks'),
    nextBlock: plain('nextBlock'),
    putBlockChunks: (lease, block, first, chunks) => {
      const put = (given: readonly Uint8Array[]): Promise<void> =>
        store.putBlockChunks(lease, block, first, given);
      return ask(
        'putBlockChunks',
        () => put(chunks),
        () => void put(chunks.slice(0, chunks.length >> 1)).catch(() => {}),
      );
    },
    finishBlock: plain('finishBlock'),
    readBlocks: plain('readBlocks'),
    dropBlocks: (lease, blocks) =>
      ask(
        'dropBlocks',
        () => store.dropBlocks(lease, blocks),
        () => void store.dropBlocks(lease, blocks.slice(0, blocks.length >> 1)).catch(() => {}),
      ),
    sweepBlocks: plain('sweepBlocks'),
    getDocument: (document) =>
      ask('getDocument', async () =>
        canaries.spoilDocument(document, await store.getDocument(document)),
      ),
    putDocument: plain('putDocument'),
    usage: plain('usage'),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export const shortRef = (ref: JournalRef): string => ref.slice(0, 4);
