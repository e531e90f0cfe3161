/** A leaf's head comes back while its journal goes on, on the embedded store itself. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeLayout, entryPayload, joinLayouts } from '@canopy/encoding';
import { MemoryStore } from '@canopy/federation/testing';
import { Head } from '@canopy/head';
import { JournalScript, smallHead } from '@canopy/head/testing';
import {
  type GroupWriter,
  JOURNAL_START,
  type JournalEntry,
  type Store,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { JournalWriter, openEmbeddedStore } from '@canopy/store';
import { afterEach, expect, it, vi } from 'vitest';
import { BlockWriter, Pause } from './block-writer.js';
import { recoverHead, recoverJournal, recoverLive } from './recovery.js';

const EVER = { minTime: asTime(0), maxTime: asTime(8.64e15) };
const cleanUp: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const end of cleanUp.splice(0).reverse()) await end();
});

async function rig() {
  const clock = new VirtualClock();
  const path = await mkdtemp(join(tmpdir(), 'canopy-recover-'));
  cleanUp.push(() => rm(path, { recursive: true, force: true }));
  const options = { path, maxBytes: 2 ** 26, clock, log: () => {}, onCorrupt: () => {} };
  const store = await openEmbeddedStore(options);
  cleanUp.push(async () => store[Symbol.asyncDispose]());
  const head = new Head({
    ...{ clock, windowMs: asDuration(7_200_000), tileFrames: 100, onTileClosed: () => {} },
    ...{ outOfOrderWindow: asDuration(0), tileSource: null, maxSeries: 1000 },
  });
  const level = { is: false };
  const journal = await JournalWriter.open({
    ...{ store, clock, randomBytes, owner: 'leaf', leaseTtl: asDuration(1e9) },
    ...{ commitInterval: asDuration(1), commitBytes: 1e6, queueBytesMax: 1e6, keyFrameEvery: 100 },
    onCommitted: (ref, entries) => {
      if (level.is) head.apply(ref, entries);
    },
    completeUpTo: () => clock.now(),
    ...{ log: () => {}, pathIdentity: '' },
  });
  const group: GroupWriter = journal.openGroup({
    kind: 'aligned',
    ...{ target: labelsFromObject({ job: 'a' }), scrapeUrl: '', interval: asDuration(1000) },
  });
  group.addSlot(labelsFromObject({ __name__: 'x' }), -1);
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
  const recover = (reading: Store): Promise<void> =>
    recoverLive(
      { store: reading, head, log: () => {}, onProgress: () => {} },
      { ref: journal.ref, from: JOURNAL_START, position: () => journal.position },
      () => (level.is = true),
    );
  return { store, head, journal, level, write, recover };
}

async function values(head: Head): Promise<number[]> {
  const snapshot = head.snapshot();
  const [series] = await snapshot.select([], EVER);
  snapshot.release();
  return [...series.values.subarray(series.from, series.to)];
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

it('takes in what is committed while it reads, in order and once', async () => {
  const { store, head, level, write, recover } = await rig();
  await write(20);
  /** Hands out three entries at a time; a commit comes after each of the first reads, and after the last. */
  let reads = 0;
  const reading = new Proxy(store, {
    get(target, name) {
      if (name !== 'readEntries') {
        const value = Reflect.get(target, name) as unknown;
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      }
      return async (...[ref, after]: Parameters<Store['readEntries']>): Promise<JournalEntry[]> => {
        const entries = await target.readEntries(ref, after, { maxBytes: 1e6, maxEntries: 3 });
        if (reads++ < 4 || entries.length < 3) if (reads < 20) await write(1);
        return entries;
      };
    },
  });
  await recover(reading);
  expect(level.is).toBe(true);
  const written = (await values(head)).length;
  expect(written).toBeGreaterThan(24);
  await write(2);
  expect(await values(head)).toEqual(upTo(written + 2));
  expect(head.stats).toMatchObject({ framesRepeated: 0, framesUndecodable: 0 });
});

it('begins anew where another process cuts the journal while it reads', async () => {
  const { store, head, journal, write } = await rig();
  await write(20);
  const state = (await store.journal(journal.ref))!;
  let lists = 0;
  const reading = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (name !== 'tiles') return typeof value === 'function' ? value.bind(target) : value;
      return async (...[ref]: Parameters<Store['tiles']>) => {
        const tiles = await target.tiles(ref);
        if (lists++ === 0) await target.trimJournal(journal.lease, { epoch: 1, sequence: 8 });
        return tiles;
      };
    },
  });
  await recoverJournal(reading, head, state, () => {});
  // Tiles behind the cut are there the second time.
  expect(lists).toBe(2);
  expect(head.position(journal.ref)).toEqual(state.position);
});

it('says how far it is, in the log and for the status page', async () => {
  const { store, head, write } = await rig();
  await write(400);
  const logged: string[] = [];
  const told: string[] = [];
  // Reading takes seconds.
  let now = 0;
  const slow = vi.spyOn(performance, 'now').mockImplementation(() => (now += 3000));
  cleanUp.push(async () => slow.mockRestore());
  await recoverHead({
    ...{ store, head, onProgress: (text) => void told.push(text) },
    log: (level, message, fields) =>
      void logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
  });
  expect(told[0]).toMatch(/^recovering: \d+ %$/);
  expect(logged[0]).toMatch(/^info recovering .*"percent":\d+,"journalBytes":\d+,"ofBytes":\d+/);
  expect(logged.at(-1)).toMatch(/^info recovered from the store .*"journals":1/);
});

it('begins at once with a journal that is new', async () => {
  const { store, head, level, write, recover } = await rig();
  await recover(store);
  expect(level.is).toBe(true);
  await write(3);
  expect(await values(head)).toEqual(upTo(3));
});

it('knows how far a group was whose tiles are all in a block, and the journal cut behind them', async () => {
  const clock = new VirtualClock();
  const script = new JournalScript('a');
  const { ref } = script;
  const group = script.group().add({ __name__: 'x' });
  for (const time of [1000, 2000, 3000]) group.frame(time, [time]);
  const entries = script.take();
  const position = { epoch: 1, sequence: 4 };
  const store = new MemoryStore(clock);
  const outcome = await store.acquireLease(ref, 'me', asDuration(1e9));
  if (!outcome.granted) throw new Error('not granted');
  const { lease } = outcome;
  await store.commit({ lease, expected: null, position, entries, cursor: '', ledger: '' });
  const writer = await BlockWriter.begin(store, async () => lease, new Pause(clock));
  const extent = {
    firstSequence: 2,
    lastSequence: 4,
    minTime: asTime(1000),
    maxTime: asTime(3000),
  };
  const tile = await writer.addTile(extent, new Uint8Array(9));
  const records = [{ layout: decodeLayout(entryPayload(entries[0])), time: 0 }];
  writer.addGroup({ epoch: 1, ...joinLayouts(records), tiles: [tile] });
  const meta = (await writer.end(asTime(0), asTime(7_200_000)))!;
  await store.finishBlock(lease, meta, { tiles: [], blocks: [] });
  store.damageBlock(ref, meta.id, meta.tileBytes + 1);
  const again = smallHead(4000);
  await recoverJournal(store, again, (await store.journal(ref))!, () => {});
  // Nothing of the block can be read, and the journal has all of it.
  expect(again.stats.framesApplied).toBe(3);
  store.damageBlock(ref, meta.id, meta.tileBytes + 1);
  await store.trimJournal(lease, position);
  const head = smallHead(4000);
  await recoverJournal(store, head, (await store.journal(ref))!, () => {});
  group.frame(2500, [1], true);
  expect(head.apply(ref, script.take()).refused).toEqual({ out_of_order: 1 });
  group.frame(3500, [1]);
  expect(head.apply(ref, script.take()).samples).toBe(1);
});
