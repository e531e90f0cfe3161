/** A leaf's tiles beside its journal, on the embedded store itself: what a restart reads, and what it answers then. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Head } from '@canopy/head';
import {
  CanopyError,
  JOURNAL_START,
  type Store,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { JournalWriter, openEmbeddedStore } from '@canopy/store';
import { afterEach, expect, it } from 'vitest';
import { JournalLeases } from './journal-leases.js';
import { RecentTiles } from './recent-tiles.js';
import { recoverLive } from './recovery.js';

const EVER = { minTime: asTime(0), maxTime: asTime(8.64e15) };
const OWNER = { owner: 'leaf', leaseTtl: asDuration(1e9) };
const WINDOW = asDuration(100_000);
const KEY_EVERY = 10;
const cleanUp: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const end of cleanUp.splice(0).reverse()) await end();
});

async function openStore(clock: VirtualClock): Promise<Store> {
  const path = await mkdtemp(join(tmpdir(), 'canopy-recent-'));
  cleanUp.push(() => rm(path, { recursive: true, force: true }));
  const options = { path, maxBytes: 2 ** 26, clock, log: () => {}, onCorrupt: () => {} };
  const store = await openEmbeddedStore(options);
  cleanUp.push(async () => store[Symbol.asyncDispose]());
  return store;
}

/** One that finds a document damaged. */
function withoutDocument(store: Store, name: string): Store {
  const damaged = new CanopyError('storage_corrupt', 'damaged');
  const getDocument = (asked: string): Promise<string | undefined> =>
    asked === name ? Promise.reject(damaged) : store.getDocument(asked);
  return new Proxy(store, {
    get: (of, key) => {
      if (key === 'getDocument') return getDocument;
      const value: unknown = Reflect.get(of, key, of);
      return typeof value === 'function' ? (value.bind(of) as unknown) : value;
    },
  });
}

/** A leaf as far as its own journal, head and tiles go. One scrape a second, the n-th has the value n. */
async function startLeaf(store: Store, clock: VirtualClock, bytesMax = 1e6) {
  const said: string[] = [];
  const log = (level: string, message: string) => void said.push(`${level} ${message}`);
  const leases = new JournalLeases({ store, clock, owner: OWNER.owner, ttl: OWNER.leaseTtl });
  const recent: RecentTiles = new RecentTiles({
    ...{ leases, store, clock, window: WINDOW, bytesMax, log, head: () => head },
  });
  const head = new Head({
    ...{ clock, windowMs: WINDOW, tileFrames: KEY_EVERY, outOfOrderWindow: asDuration(0) },
    onTileClosed: (ref, tile) => recent.add(ref, tile),
    ...{ tileSource: recent.source, maxSeries: 1000 },
  });
  let isLevel = false;
  const journal = await JournalWriter.open({
    ...{ ...OWNER, store, clock, randomBytes, log: () => {}, pathIdentity: '' },
    ...{ commitInterval: asDuration(1), commitBytes: 1e6, queueBytesMax: 1e6 },
    keyFrameEvery: KEY_EVERY,
    onCommitted: (ref, entries) => {
      if (isLevel) head.apply(ref, entries);
    },
    completeUpTo: () => clock.now(),
  });
  const group = journal.openGroup({
    kind: 'aligned',
    ...{ target: labelsFromObject({ job: 'a' }), scrapeUrl: '', interval: asDuration(1000) },
  });
  group.addSlot(labelsFromObject({ __name__: 'x' }), -1);
  const from = await recent.replayFrom(journal.ref, JOURNAL_START);
  await recoverLive(
    { store, head, log: () => {}, onProgress: () => {} },
    { ref: journal.ref, from, position: () => journal.position },
    () => (isLevel = true),
  );
  const write = async (frames: number): Promise<void> => {
    for (let i = 0; i < frames; i++) {
      await clock.advance(1000);
      group.write(clock.now(), Uint8Array.of(1), Float64Array.of(clock.now() / 1000));
    }
    const flushed = journal.flush();
    await clock.advance(0);
    await flushed;
  };
  const [write15s, retain] = recent.chores();
  const keep = async (): Promise<void> => write15s.run();
  const drop = async (): Promise<void> => retain.run();
  const stored = async (): Promise<number> => (await store.tiles(journal.ref)).length;
  return { head, journal, recent, said, from, write, keep, drop, stored };
}

/** The values that a query finds. */
async function seconds(head: Head): Promise<number[]> {
  const snapshot = head.snapshot();
  const series = await snapshot.select([], EVER);
  snapshot.release();
  return series.flatMap(({ values, from, to }) => [...values.subarray(from, to)]);
}

/** Those of the newest scrapes. */
const newest = (clock: VirtualClock, count: number): number[] =>
  Array.from({ length: count }, (_, i) => clock.now() / 1000 - count + 1 + i);

it('lets a restart read tiles and the end of the journal', async () => {
  const clock = new VirtualClock();
  const store = await openStore(clock);
  const first = await startLeaf(store, clock);
  expect(first.from).toEqual(JOURNAL_START);
  await first.write(35);
  await first.keep();
  expect(await first.stored()).toBe(3);
  await first.write(4);
  const answered = await seconds(first.head);
  expect(answered).toEqual(newest(clock, 39));

  const second = await startLeaf(store, clock);
  // The fourth tile is open: its nine frames, of 39.
  expect(second.head.stats).toMatchObject({ framesApplied: 9, framesUndecodable: 0 });
  expect(await seconds(second.head)).toEqual(answered);
  second.recent.start();
  await second.recent.stop();
  await second.write(11);
  expect(await seconds(second.head)).toEqual(newest(clock, 50));
  await second.keep();
  // A new process begins with a key frame.
  expect(await second.stored()).toBe(5);
});

it('reads more of the journal where the document is older, gone or of another journal', async () => {
  const clock = new VirtualClock();
  const store = await openStore(clock);
  const first = await startLeaf(store, clock);
  await first.write(15);
  await first.keep();
  const older = await store.getDocument('journal/tiles');
  await first.write(20);
  await first.keep();
  const other = older!.replace(/[0-9a-f]{32}/, 'f'.repeat(32));
  for (const text of [older, undefined, 'what is this', other]) {
    await store.putDocument('journal/tiles', text);
    const next = await startLeaf(store, clock);
    expect(await seconds(next.head), text).toEqual(newest(clock, 35));
    // Frames in tiles are read and not added again.
    expect(next.head.stats.framesApplied, text).toBe(5);
    expect(next.head.stats.framesRepeated, text).toBe(text === older ? 20 : 30);
  }
  const next = await startLeaf(withoutDocument(store, 'journal/tiles'), clock);
  expect(await seconds(next.head)).toEqual(newest(clock, 35));
});

it('drops what is past the window, also what the store never had', async () => {
  const clock = new VirtualClock();
  const store = await openStore(clock);
  const leaf = await startLeaf(store, clock);
  await leaf.write(25);
  await leaf.keep();
  expect(await leaf.stored()).toBe(2);
  await leaf.write(105);
  await leaf.drop();
  expect(await leaf.stored()).toBe(0);
  expect(leaf.recent.keeper.pending).toBe(10);
  const refusing = new Error('no room');
  const { putTiles } = store;
  store.putTiles = () => Promise.reject(refusing);
  await leaf.write(20);
  await leaf.keep();
  store.putTiles = putTiles;
  expect(leaf.said.at(-1)).toMatch(/could not be written/);
  // The newest 100 of 150 stay, and the tile that reaches up to them.
  expect(leaf.recent.keeper.pending).toBe(10);
  expect(await seconds(leaf.head)).toEqual(newest(clock, 110));
});

it('stores no more than its share, and goes on when there is room', async () => {
  const clock = new VirtualClock();
  const store = await openStore(clock);
  const leaf = await startLeaf(store, clock, 1);
  await leaf.write(15);
  await leaf.keep();
  await leaf.write(20);
  await leaf.keep();
  expect(await leaf.stored()).toBe(1);
  expect(leaf.recent.keeper.pending).toBe(2);
  expect(leaf.said).toEqual([
    'warn recent tiles have reached their share of the store: a restart takes longer',
  ]);
  const restarted = await startLeaf(store, clock, 1);
  expect(await seconds(restarted.head)).toEqual(newest(clock, 35));
  expect(restarted.head.stats.framesApplied).toBe(25);
  await restarted.write(90);
  await restarted.drop();
  await restarted.keep();
  expect(await restarted.stored()).toBeGreaterThan(0);
});
