/** A head that follows a store beside the one that writes it, on the embedded store itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { MemoryStore } from '@canopy/federation/testing';
import { Head } from '@canopy/head';
import {
  type BlockMeta,
  CanopyError,
  type Clock,
  type GroupWriter,
  type JournalEntry,
  type JournalRef,
  type Store,
  type StoredTile,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { JournalWriter, type JournalWriterOptions, openEmbeddedStore } from '@canopy/store';
import { afterEach, expect, it, vi } from 'vitest';
import { BlockWriter, Pause } from './block-writer.js';
import { Follower } from './follower.js';
import { recoverJournal } from './recovery.js';
import { sealTiles } from './seal.js';

const EVER = { minTime: asTime(0), maxTime: asTime(8.64e15) };
const cleanUp: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const end of cleanUp.splice(0).reverse()) await end();
});

async function openStore(clock: Clock): Promise<Store> {
  const path = await mkdtemp(join(tmpdir(), 'canopy-follow-'));
  cleanUp.push(() => rm(path, { recursive: true, force: true }));
  const options = { path, maxBytes: 2 ** 26, clock, log: () => {}, onCorrupt: () => {} };
  const store = await openEmbeddedStore(options);
  cleanUp.push(async () => store[Symbol.asyncDispose]());
  return store;
}

async function rig<S extends Store>(open: (clock: Clock) => Promise<S>) {
  const clock = new VirtualClock();
  const store = await open(clock);
  const closed: StoredTile[] = [];
  const headOf = (onTileClosed: (ref: never, tile: StoredTile) => void): Head =>
    new Head({
      ...{ clock, windowMs: asDuration(7_200_000), tileFrames: 5, onTileClosed },
      ...{ outOfOrderWindow: asDuration(0), tileSource: store, maxSeries: 1000 },
    });
  const written = headOf((_ref, tile) => void closed.push(tile));
  const head: Head = headOf((ref, tile) => follower.add(ref, tile));
  const rebuilt: string[] = [];
  const follower = new Follower({
    ...{ store, clock, every: asDuration(2000), log: () => {} },
    head: () => head,
    onRebuild: (ref) => void rebuilt.push(ref),
    onRebuilt: () => {},
    onLevel: () => {},
  });
  const writer: JournalWriterOptions = {
    ...{ store, clock, randomBytes, owner: 'writer', leaseTtl: asDuration(1e9) },
    ...{ commitInterval: asDuration(1), commitBytes: 1e6, queueBytesMax: 1e6, keyFrameEvery: 5 },
    onCommitted: (ref: JournalRef, entries: readonly JournalEntry[]) =>
      void written.apply(ref, entries),
    completeUpTo: () => clock.now(),
    ...{ log: () => {}, pathIdentity: '', mayGoBack: true },
  };
  let journal: JournalWriter;
  let group: GroupWriter;
  const beginTerm = async (given: Partial<JournalWriterOptions> = {}): Promise<void> => {
    journal = await JournalWriter.open({ ...writer, ...given });
    group = journal.openGroup({
      kind: 'aligned',
      ...{ target: labelsFromObject({ job: 'a' }), scrapeUrl: '', interval: asDuration(1000) },
    });
    group.addSlot(labelsFromObject({ __name__: 'x' }), -1);
  };
  await beginTerm();
  let count = 0;
  const write = async (frames: number): Promise<void> => {
    for (let i = 0; i < frames; i++) {
      await clock.advance(1000);
      group.write(clock.now(), Uint8Array.of(1), Float64Array.of(count++));
    }
    const flushed = journal.flush();
    await clock.advance(10);
    await flushed;
  };
  /** What the parent that writes does with its tiles. */
  const storeTiles = async (): Promise<void> => {
    const tiles = closed.splice(0);
    await store.putTiles(journal.lease, tiles);
    for (const { meta } of tiles) written.tileStored(journal.ref, meta);
    await store.trimJournal(journal.lease, written.trimmable(journal.ref));
  };
  /** A block of the oldest tiles, as the parent that writes makes them. */
  const seal = async (count: number): Promise<BlockMeta> => {
    const tiles = (await store.tiles(journal.ref)).slice(0, count);
    const { epoch, lastSequence } = tiles[count - 1];
    const meta: BlockMeta = {
      ...{ id: await store.nextBlock(journal.lease), resolution: asDuration(0) },
      ...{ from: asTime(0), to: asTime(8.64e15), minTime: tiles[0].minTime },
      ...{ maxTime: tiles[count - 1].maxTime, intervalMax: asDuration(1000) },
      ...{ last: { epoch, sequence: lastSequence }, tileBytes: 10, indexBytes: count },
      ...{ groups: 1, tiles: count, series: 1 },
    };
    await store.putBlockChunks(journal.lease, meta.id, 0, [new Uint8Array(10 + count)]);
    await store.finishBlock(journal.lease, meta, { tiles, blocks: [] });
    return meta;
  };
  const parts = {
    clock,
    store,
    written,
    closed,
    seal,
    head,
    follower,
    rebuilt,
    write,
    storeTiles,
    beginTerm,
  };
  return { ...parts, journal: journal! };
}

async function values(head: Head): Promise<number[]> {
  const snapshot = head.snapshot();
  const [series] = await snapshot.select([], EVER);
  snapshot.release();
  return series === undefined ? [] : [...series.values.subarray(series.from, series.to)];
}

/** What a process that starts now would answer. */
async function freshHead(store: MemoryStore): Promise<Head> {
  const head = new Head({
    ...{ clock: new VirtualClock(), windowMs: asDuration(7_200_000), tileFrames: 5 },
    ...{ outOfOrderWindow: asDuration(0), tileSource: store, maxSeries: 1000 },
    onTileClosed: () => {},
  });
  for (const state of await store.journals()) await recoverJournal(store, head, state, () => {});
  return head;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

it('applies what comes, and ticks off the tiles that the other has stored', async () => {
  const { journal, store, head, follower, rebuilt, write, storeTiles } = await rig(openStore);
  await write(7);
  await follower.catchUpAll();
  await storeTiles();
  await write(6);
  await follower.catchUpAll();
  expect(await values(head)).toEqual(upTo(13));
  await follower.compareTiles((await store.journal(journal.ref))!);
  expect(rebuilt).toEqual([]);
  // Of two tiles that both closed, one is stored: the other is left for who writes now.
  const left = [...follower.takeClosed()].map(([, { meta }]) => meta.firstSequence);
  expect(left.length).toBe(1);
  expect(left[0]).toBeGreaterThan((await store.tiles(journal.ref))[0].lastSequence);
});

it('follows by itself, a little later', async () => {
  const { clock, head, follower, write } = await rig(openStore);
  follower.start();
  await write(2);
  await clock.advance(2500);
  await expect.poll(() => values(head), { timeout: 10_000 }).toEqual(upTo(2));
  await follower.stop();
});

it('builds a head anew where the journal was cut past it, or the tiles are others', async () => {
  const { journal, store, head, follower, rebuilt, write, storeTiles } = await rig(openStore);
  await write(2);
  await follower.catchUpAll();
  await write(12);
  await storeTiles();
  await follower.catchUpAll();
  expect(rebuilt).toEqual([journal.ref]);
  expect(await values(head)).toEqual(upTo(14));

  // A tile that this head knows with another end.
  const [meta] = await store.tiles(journal.ref);
  const [bytes] = await store.readTiles(journal.ref, [meta]);
  const other = { ...meta, lastSequence: meta.lastSequence - 1 };
  await store.putTiles(journal.lease, [{ meta: other, bytes: bytes! }]);
  await follower.compareTiles((await store.journal(journal.ref))!);
  expect(rebuilt.length).toBe(2);
});

it('takes in what another parent wrote that was not known to lead no more', async () => {
  const { store, head, follower, write, rebuilt, journal } = await rig(openStore);
  await write(3);
  await follower.catchUpAll();
  await write(2);
  const states = await store.journals();
  await follower.catchUpOthers(states, (ref) => ref === journal.ref);
  expect(await values(head)).toEqual(upTo(3));
  await write(1);
  // Also where others ask at the same time.
  const all = [1, 2].map(() => follower.catchUpOthers(states, () => false));
  await Promise.all([...all, follower.catchUpAll()]);
  expect(await values(head)).toEqual(upTo(6));
  expect(rebuilt).toEqual([]);
});

it('takes in what came through between a takeover and the first commit of its own, where the store was wiped', async () => {
  const open = (clock: Clock): Promise<MemoryStore> => Promise.resolve(new MemoryStore(clock));
  const { store, head, follower, write, beginTerm, journal } = await rig(open);
  await write(2);
  await follower.catchUpAll();
  store.wipe();
  // A takeover: nothing is there, so nothing is fenced. What the one before has under way makes the journal again.
  await follower.catchUpAll();
  await write(4);
  const late = await values(await freshHead(store));
  // The first was under way when the store was found empty: named as lost.
  expect(late).toEqual([3, 4, 5]);
  await store.releaseLease(journal.lease);
  await beginTerm({
    owner: 'other',
    onCommitted: (ref, entries) => void head.apply(ref, entries),
    seenUpTo: (ref) => head.position(ref),
    onFound: async (_, state) => {
      if (state !== undefined) await follower.catchUpOthers([state], () => false);
      return false;
    },
  });
  await write(1);
  expect(await values(head)).toEqual([...late, 6]);
});

it('has no more than the ledger of the state that it was told of', async () => {
  const { store, journal, head, follower, write } = await rig(openStore);
  await write(2);
  await follower.catchUpAll();
  await write(2);
  const state = (await store.journal(journal.ref))!;
  await write(3);
  await follower.catchUp(state);
  expect(await values(head)).toEqual(upTo(4));
  expect(head.position(journal.ref)).toEqual(state.position);
  await follower.catchUpAll();
  expect(await values(head)).toEqual(upTo(7));
});

it('takes in whole a journal that was cut before it was seen', async () => {
  const { store, journal, head, follower, rebuilt, write, storeTiles } = await rig(openStore);
  await write(14);
  await storeTiles();
  expect((await store.journal(journal.ref))!.trimmed.sequence).toBeGreaterThan(1);
  await follower.catchUpAll();
  expect(await values(head)).toEqual(upTo(14));
  await write(2);
  await follower.catchUpAll();
  expect(await values(head)).toEqual(upTo(16));
  expect(rebuilt).toEqual([journal.ref]);
});

it('builds a head anew where the store went back', async () => {
  const { journal, store, head, follower, rebuilt, write } = await rig(openStore);
  await write(3);
  await follower.catchUpAll();
  const state = (await store.journal(journal.ref))!;
  const position = { ...state.position, sequence: state.position.sequence - 1 };
  await follower.catchUp({ ...state, position });
  expect(rebuilt).toEqual([journal.ref]);
  expect(await values(head)).toEqual(upTo(3));
});

it.each(['journal', 'blocks', 'readLayouts', 'tiles', 'readEntries'] as const)(
  'begins to build a head anew again where the store was away amid it: %s',
  async (read) => {
    const open = (clock: Clock): Promise<MemoryStore> => Promise.resolve(new MemoryStore(clock));
    const { journal, store, head, follower, write, storeTiles } = await rig(open);
    await write(14);
    await storeTiles();
    await follower.catchUpAll();
    const state = (await store.journal(journal.ref))!;
    expect(state.trimmed.sequence).toBeGreaterThan(1);
    const away = new CanopyError('storage_unavailable', 'away');
    const asked = vi.spyOn(store, read).mockRejectedValueOnce(away);
    await expect(follower.rebuild(journal.ref, state)).rejects.toThrow('away');
    asked.mockRestore();
    // It goes on meanwhile: what comes now must not stand for what is not there.
    await write(2);
    await follower.catchUpAll();
    expect(await values(head)).toEqual(upTo(16));
  },
);

it('builds a head anew that has what the store lost before another writer began', async () => {
  const open = (clock: Clock): Promise<MemoryStore> => Promise.resolve(new MemoryStore(clock));
  const { store, clock, head, follower, rebuilt, write, beginTerm, journal } = await rig(open);
  await write(3);
  const backup = store.copy();
  await write(3);
  await follower.catchUpAll();
  expect(await values(head)).toEqual(upTo(6));
  // By the time it is looked at again it is not behind any more.
  store.become(backup);
  await clock.advance(10_000);
  await beginTerm();
  await write(2);
  await follower.catchUpAll();
  expect(rebuilt).toEqual([journal.ref]);
  expect(await values(head)).toEqual([0, 1, 2, 6, 7]);

  // A new epoch with nothing lost before it goes on from there.
  await clock.advance(10_000);
  await beginTerm();
  await write(2);
  await follower.catchUpAll();
  expect(rebuilt.length).toBe(1);
  expect(await values(head)).toEqual([0, 1, 2, 6, 7, 8, 9]);
});

it('builds a head anew whose tiles or blocks the store lost, though no entry', async () => {
  const open = (clock: Clock): Promise<MemoryStore> => Promise.resolve(new MemoryStore(clock));
  const { store, journal, head, follower, rebuilt, write, storeTiles } = await rig(open);
  const compare = async (): Promise<void> =>
    follower.compareTiles((await store.journal(journal.ref))!);
  await write(7);
  await follower.catchUpAll();
  const before = store.copy();
  await storeTiles();
  await compare();
  expect([...follower.takeClosed()]).toEqual([]);
  expect(rebuilt).toEqual([]);
  expect(follower.hasFollowed(journal.ref)).toBe(false);
  // Nothing is followed in this time, and the store falls back.
  follower.start();
  await follower.stop();
  store.become(before);
  expect(follower.hasFollowed(journal.ref)).toBe(true);
  await compare();
  expect(rebuilt).toEqual([journal.ref]);
  expect(await values(head)).toEqual(upTo(7));
  // Its tile is to be written again.
  expect([...follower.takeClosed()].length).toBe(1);
});

it('has no tile in a store that has put it into a block since', async () => {
  const open = (clock: Clock): Promise<MemoryStore> => Promise.resolve(new MemoryStore(clock));
  const { store, journal, head, follower, rebuilt, write, storeTiles, seal } = await rig(open);
  await write(7);
  await follower.catchUpAll();
  await storeTiles();
  const block = await seal(1);
  await follower.compareTiles((await store.journal(journal.ref))!);
  expect([...follower.takeClosed()]).toEqual([]);
  // Whoever seals what is in no block finds no bytes of it, and names a gap that is none.
  expect(head.blocks.looseTiles(journal.ref)).toEqual([]);
  expect(head.blocks.list(journal.ref)).toEqual([block]);
  expect(rebuilt).toEqual([]);
});

it('has no tile to write that is in a block, though a reader kept the journal from being cut', async () => {
  const open = (clock: Clock): Promise<MemoryStore> => Promise.resolve(new MemoryStore(clock));
  const { clock, store, journal, closed, head, follower, rebuilt, write } = await rig(open);
  await write(7);
  await follower.catchUpAll();
  const { ref, lease } = journal;
  await store.putTiles(lease, closed);
  const tiles = await store.tiles(ref);
  const pause = new Pause(clock);
  const window = { from: asTime(0), to: asTime(8.64e15) };
  const writer = await BlockWriter.begin(store, () => Promise.resolve(lease), pause);
  const { meta } = await sealTiles(store, ref, tiles, window, writer, pause);
  await store.finishBlock(lease, meta!, { tiles, blocks: [] });
  await write(5);
  await follower.catchUpAll();
  await follower.compareTiles((await store.journal(ref))!);
  // Of two that both closed.
  const left = [...follower.takeClosed()].map(([, { meta: tile }]) => tile.firstSequence);
  expect(left.length).toBe(1);
  expect(left[0]).toBeGreaterThan(tiles[0].lastSequence);
  expect(head.blocks.looseTiles(ref)).toEqual([]);
  expect(rebuilt).toEqual([]);
  expect(await values(head)).toEqual(upTo(12));
});

it('takes another block for another, though a store that fell back gave it the same number', async () => {
  const open = (clock: Clock): Promise<MemoryStore> => Promise.resolve(new MemoryStore(clock));
  const { clock, store, journal, head, follower, write, storeTiles, seal } = await rig(open);
  await write(12);
  await storeTiles();
  await follower.catchUpAll();
  const before = store.copy();
  follower.start();
  const first = await seal(1);
  await clock.advance(62_000);
  await expect.poll(() => head.blocks.list(journal.ref), { timeout: 10_000 }).toEqual([first]);
  store.become(before);
  const second = await seal(2);
  expect(second.id).toBe(first.id);
  await clock.advance(62_000);
  await expect.poll(() => head.blocks.list(journal.ref), { timeout: 10_000 }).toEqual([second]);
  await follower.stop();
});
