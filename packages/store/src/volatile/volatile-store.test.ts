import {
  CanopyError,
  type GapRecord,
  JOURNAL_START,
  type JournalEntry,
  comparePositions,
} from '@canopy/model';
import { beforeEach, expect, it } from 'vitest';
import type { EmbeddedStore } from '../embedded/embedded-store.js';
import type { JournalWriter } from '../journal/journal-writer.js';
import type { JournalWriterOptions } from '../journal/options.js';
import {
  addSeries,
  advanceUntil,
  at,
  clock,
  committed,
  crash,
  lmdb,
  messages,
  open as openJournal,
  openGroup,
  path,
  write,
  BASE,
} from '../testing/journal-rig.js';
import { readJournal } from '../testing/journal-reader.js';
import { AbsentStore } from './absent-store.js';
import { VolatileMark } from './volatile-mark.js';
import { VolatileStore } from './volatile-store.js';

const FULL = new CanopyError('storage_full', 'no room left on the disk');
const ALL = { maxBytes: 1e9, maxEntries: 1e9 };
/** Of a disk without room, tried again and again, the store must have nothing. */
const WRITES = ['commit', 'putDocument', 'acquireLease', 'putTiles'];

let isFull = false;
let gaps: GapRecord[];
beforeEach(() => {
  isFull = false;
  gaps = [];
});

/** The folder's store, on a disk that is full when the test says so. */
const disk = (): EmbeddedStore =>
  new Proxy(lmdb, {
    get(store, name) {
      const value: unknown = Reflect.get(store, name, store);
      if (typeof value !== 'function') return value;
      if (isFull && WRITES.includes(String(name))) return () => Promise.reject(FULL);
      return value.bind(store) as unknown;
    },
  });

async function openStore(tailBytesMax = 1e6, isAbsent = false): Promise<VolatileStore> {
  const mark = await VolatileMark.look(path);
  const open = async () => {
    if (isAbsent && isFull) throw FULL;
    return disk();
  };
  const log = (_level: string, text: string) => void messages.push(text);
  const store = await VolatileStore.open({ open, path, mark, tailBytesMax, clock, log });
  store.onDropped = (_ref, gap) => void gaps.push(gap);
  return store;
}

const open = (store: VolatileStore, more: Partial<JournalWriterOptions> = {}) =>
  openJournal({
    store,
    get mayGoBack() {
      return store.isVolatile || store.lostTail;
    },
    lostTail: store.lostTail,
    ...more,
  });

async function writeOne(journal: JournalWriter, group: ReturnType<typeof openGroup>, ms: number) {
  write(group, ms, ms / 1000);
  const before = journal.position;
  await clock.advance(1000);
  await advanceUntil(() => comparePositions(journal.position, before) > 0);
}

/** A journal with one group and its first frame. */
async function begin(store: VolatileStore) {
  const journal = await open(store);
  const group = openGroup(journal);
  addSeries(group, 'm');
  await writeOne(journal, group, 1000);
  return { journal, group };
}

const textOf = ({ epoch, sequence, bytes }: JournalEntry): string =>
  `${epoch}-${sequence} ${Buffer.from(bytes).toString('hex')}`;

const framesOf = async (store: VolatileStore | EmbeddedStore, journal: JournalWriter) =>
  (await readJournal(store, journal.ref, BASE)).frames.map((frame) => frame.split(' ')[2]);

it('goes on in another epoch, and the disk gets it under the same numbers', async () => {
  const store = await openStore();
  const { journal, group } = await begin(store);
  isFull = true;
  for (let ms = 2000; ms <= 5000; ms += 1000) await writeOne(journal, group, ms);
  // What waited when the disk refused it has numbers that follow; what came then is of an epoch above.
  expect(committed.map(({ epoch }) => epoch)).toEqual([
    1,
    1,
    1,
    ...Array(4).fill(journal.position.epoch),
  ]);
  expect(journal.position.epoch).toBe(Math.floor(clock.now() / 1000) - 3);
  expect(store.health.message).toMatch(/takes no writes: no room left .* in memory \(\d+ of/);
  expect(await framesOf(store, journal)).toEqual(['m=1', 'm=2', 'm=3', 'm=4', 'm=5']);
  expect(await framesOf(lmdb, journal)).toEqual(['m=1']);
  expect((await store.journal(journal.ref))?.position).toEqual(journal.position);
  await store.putDocument('a', 'b');
  expect([await store.getDocument('a'), await lmdb.getDocument('a')]).toEqual(['b', undefined]);
  await expect(store.putTiles(journal.lease, [])).rejects.toThrow(FULL.message);
  isFull = false;
  await advanceUntil(() => !store.isVolatile);
  expect(store.health.healthy).toBe(true);
  const stored = await lmdb.readEntries(journal.ref, JOURNAL_START, ALL);
  expect(stored.map(textOf)).toEqual(committed.map(textOf));
  expect(await lmdb.getDocument('a')).toBe('b');
  await writeOne(journal, group, 6000);
  expect(await framesOf(lmdb, journal)).toEqual(['m=1', 'm=2', 'm=3', 'm=4', 'm=5', 'm=6']);
  expect(gaps).toEqual([]);
  await journal.close();
});

it('after a kill: another epoch, and a gap from what the disk has', async () => {
  const store = await openStore();
  const { journal, group } = await begin(store);
  isFull = true;
  for (let ms = 2000; ms <= 4000; ms += 1000) await writeOne(journal, group, ms);
  const { epoch } = journal.position;
  await crash();
  isFull = false;
  const next = await openStore();
  expect(next.lostTail).toBe(true);
  await clock.advance(1000);
  const second = await open(next);
  const again = openGroup(second);
  addSeries(again, 'm');
  await writeOne(second, again, 9000);
  expect(second.position.epoch).toBeGreaterThan(epoch);
  const { frames, gaps: named } = await readJournal(lmdb, journal.ref, BASE);
  expect(frames).toHaveLength(2);
  expect(named).toMatchObject([{ group: 0, cause: 'restart' }]);
  expect(named[0].from).toBeLessThanOrEqual(at(2000));
  await second.close();
  // It lost nothing.
  await next[Symbol.asyncDispose]();
  await crash();
  expect((await openStore()).lostTail).toBe(false);
});

it('drops the oldest epoch where memory is full, and names it', async () => {
  const store = await openStore(12_000);
  const { journal, group } = await begin(store);
  isFull = true;
  for (let ms = 2000; ms <= 60_000; ms += 1000) await writeOne(journal, group, ms);
  expect(store.tailBytes).toBeLessThan(2 * 12_000);
  const { frames, gaps: read, undecodable } = await readJournal(store, journal.ref, BASE);
  expect(undecodable).toBe(0);
  expect(read).toEqual(gaps);
  expect(gaps.length).toBeGreaterThan(1);
  expect(gaps.every(({ cause }) => cause === 'trimmed')).toBe(true);
  expect(gaps[0].from).toBe(at(2000) - 1);
  const dropped = gaps.reduce((sum, gap) => sum + gap.frames, 0);
  expect(store.stats.framesDropped).toBe(dropped);
  expect(frames.length).toBe(60 - dropped);
  isFull = false;
  await advanceUntil(() => !store.isVolatile);
  expect(await readJournal(lmdb, journal.ref, BASE)).toEqual(
    await readJournal(store, journal.ref, BASE),
  );
  await journal.close();
});

it('starts where there is no room to make a store, and makes it when there is', async () => {
  isFull = true;
  const store = await openStore(1e6, true);
  expect(store.isVolatile).toBe(true);
  const { journal, group } = await begin(store);
  expect(await framesOf(store, journal)).toEqual(['m=1']);
  isFull = false;
  await advanceUntil(() => !store.isVolatile);
  expect(await framesOf(lmdb, journal)).toEqual(['m=1']);
  await writeOne(journal, group, 2000);
  await journal.close();
  await store[Symbol.asyncDispose]();
  await crash();
  const next = await openStore();
  const second = await open(next, { pathIdentity: 'here' });
  expect([second.id, next.lostTail]).toEqual([journal.id, false]);
  await second.close();
  // It has a place since then.
  const copy = await open(next, { pathIdentity: 'there' });
  expect(copy.id).not.toBe(journal.id);
  await copy.close();
});

it('a store that is not there has nothing and takes nothing', async () => {
  const store = new AbsentStore('no room');
  expect(await store.journals()).toEqual([]);
  await expect(store.commit()).rejects.toMatchObject({ code: 'storage_full' });
  expect(store.health).toEqual({ healthy: false, message: 'no room' });
});
