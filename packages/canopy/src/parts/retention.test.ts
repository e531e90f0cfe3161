import {
  type BlockMeta,
  type JournalRef,
  type Lease,
  type StoredTile,
  asDuration,
  asTime,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { A, B, storeWithJournals, tile } from '../testing/two-journals.js';
import { JournalLeases } from './journal-leases.js';
import { Retention, type RetentionOptions } from './retention.js';

const HOUR = 3_600_000;
async function rig(given: Partial<RetentionOptions> = {}) {
  const clock = new VirtualClock();
  const store = await storeWithJournals(clock);
  const said: string[] = [];
  const forgotten: string[] = [];
  const retention = new Retention({
    store,
    head: () => ({
      dropTiles: (journal, metas) => {
        for (const { firstSequence } of metas) forgotten.push(`${journal[0]}${firstSequence}`);
      },
      blocks: {
        isLate: () => false,
        dropped: (journal, blocks) => {
          for (const { id } of blocks) forgotten.push(`${journal[0]} block ${id}`);
        },
      },
    }),
    leases: new JournalLeases({ store, clock, owner: 'me', ttl: asDuration(15_000) }),
    retention: asDuration(0),
    bytesMax: () => 0,
    tiles: { write: () => Promise.resolve(), hold: (task) => task() },
    log: (level, message) => void said.push(`${level} ${message}`),
    ...given,
  });
  const held = async (journal: JournalRef): Promise<Lease> => {
    const outcome = await store.acquireLease(journal, 'me', asDuration(15_000));
    if (!outcome.granted) throw new Error('not granted');
    return outcome.lease;
  };
  const put = async (journal: JournalRef, ...tiles: StoredTile[]) =>
    store.putTiles(await held(journal), tiles);
  const putBlock = async (journal: JournalRef, maxTime: number, size: number) => {
    const lease = await held(journal);
    const id = await store.nextBlock(lease);
    await store.putBlockChunks(lease, id, 0, [new Uint8Array(size)]);
    const times = { minTime: asTime(maxTime - 1), maxTime: asTime(maxTime) };
    const meta: BlockMeta = {
      ...{ id, from: asTime(0), to: asTime(1), ...times, last: { epoch: 1, sequence: 1 } },
      ...{ resolution: asDuration(0), intervalMax: asDuration(0) },
      ...{ tileBytes: size, indexBytes: 0, groups: 1, tiles: 1, series: 1 },
    };
    await store.finishBlock(lease, meta, { tiles: [], blocks: [] });
  };
  const left = async (journal: JournalRef) => {
    const tiles = (await store.tiles(journal)).map((meta) => `${meta.firstSequence}`).sort();
    return [...(await store.blocks(journal)).map(({ id }) => `block ${id}`), ...tiles];
  };
  return { clock, store, retention, put, putBlock, forgotten, said, left };
}

it('drops what is past its retention, in every journal it may', async () => {
  const rigged = await rig({ retention: asDuration(10 * HOUR) });
  const { clock, store, retention, put, putBlock, forgotten, left } = rigged;
  const now = clock.now();
  for (const journal of [A, B]) {
    await putBlock(journal, now - 12 * HOUR, 100);
    await putBlock(journal, now - 9 * HOUR, 100);
    await put(journal, tile(1, now - 11 * HOUR), tile(2, now - 9 * HOUR));
  }
  await clock.advance(20_000);
  await store.acquireLease(A, 'another', asDuration(600_000));
  await retention.run(clock.now());
  expect(await left(A)).toEqual(['block 1', 'block 2', '1', '2']);
  expect(await left(B)).toEqual(['block 2', '2']);
  expect(forgotten).toEqual(['b block 1', 'b1']);
  const { droppedBlocks, droppedTiles, droppedBytes, failures } = retention.stats;
  expect([droppedBlocks, droppedTiles, droppedBytes, failures]).toEqual([1, 1, 200, 1]);
});

it('takes what is young, too, where the store is full of what is ours', async () => {
  const rigged = await rig({ bytesMax: () => 1000 });
  const { clock, store, retention, put, said, left } = rigged;
  const now = clock.now();
  const minutes = [30, 20, 10];
  await put(A, ...minutes.map((ago, i) => tile(i + 1, now - ago * 60_000, 300)));
  store.usage = () => Promise.resolve({ usedBytes: 1200, limitBytes: 0 });
  await retention.run(clock.now());
  expect(await left(A)).toEqual(['2', '3']);
  // Others come: what they leave is not taken for them.
  store.usage = () => Promise.resolve({ usedBytes: 1200, limitBytes: 0 });
  await retention.run(clock.now());
  expect(await left(A)).toEqual(['2', '3']);
  expect(said.filter((line) => line.startsWith('error'))).toHaveLength(1);
  // It is not said again, nor every extent read, each time it is looked at.
  let reads = 0;
  const { tiles } = store;
  store.tiles = (ref) => {
    reads++;
    return tiles.call(store, ref);
  };
  await retention.run(clock.now());
  expect(reads).toBe(0);
  await clock.advance(60_000);
  await retention.run(clock.now());
  expect(reads).toBe(2);
  expect(said.filter((line) => line.startsWith('error'))).toHaveLength(2);
});

it('makes room oldest first, and never takes what is young for others', async () => {
  const rigged = await rig({ bytesMax: () => 1000 });
  const { clock, store, retention, put, putBlock, said, left } = rigged;
  const now = clock.now();
  await putBlock(A, now - 9 * HOUR, 300);
  await put(A, tile(2, now - 8 * HOUR, 300), tile(3, now - HOUR, 300));
  store.usage = () => Promise.resolve({ usedBytes: 1200, limitBytes: 0 });
  await retention.run(clock.now());
  expect(await left(A)).toEqual(['2', '3']);
  expect(said.filter((line) => line.startsWith('error'))).toEqual([]);
  store.usage = () => Promise.resolve({ usedBytes: 5000, limitBytes: 0 });
  await retention.run(clock.now());
  expect(await left(A)).toEqual(['3']);
  expect(said).toContain('error the store is over its limit with what retention may not drop');
});
