import { type JournalRef, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { A, B, storeWithJournals, tile } from '../testing/two-journals.js';
import { TileKeeper, type TileKeeperOptions } from './tile-keeper.js';

async function rig(given: Partial<TileKeeperOptions> = {}) {
  const clock = new VirtualClock();
  const store = await storeWithJournals(clock);
  const stored: string[] = [];
  const said: string[] = [];
  const keeper = new TileKeeper({
    store,
    head: () => ({
      tileStored: (journal, meta) => void stored.push(`${journal[0]}${meta.firstSequence}`),
      trimmable: () => ({ epoch: 0, sequence: 0 }),
      groupsNotNeeded: () => [],
      layoutsDropped: () => {},
    }),
    owner: 'me',
    leaseTtl: asDuration(15_000),
    oldestReader: () => undefined,
    log: (level, message) => void said.push(`${level} ${message}`),
    ...given,
  });
  const left = async (journal: JournalRef) =>
    (await store.tiles(journal)).map((meta) => meta.firstSequence).sort();
  return { clock, store, keeper, stored, said, left };
}

it('writes every journal it may, and says of one that it may not', async () => {
  const { store, keeper, stored, said, left } = await rig();
  await store.acquireLease(A, 'another', asDuration(60_000));
  keeper.add(A, tile(1, 1));
  keeper.add(B, tile(1, 1));
  keeper.add(B, tile(2, 2));
  await keeper.write();
  expect(stored).toEqual(['b1', 'b2']);
  expect(await left(B)).toEqual([1, 2]);
  expect(keeper.pending).toBe(1);
  expect(said).toEqual(['warn tiles could not be written; they are kept and written later']);
});

it('writes nothing while it is held', async () => {
  const { keeper, left } = await rig();
  keeper.add(A, tile(1, 1));
  let release = (): void => {};
  const held = keeper.hold(() => new Promise<void>((done) => (release = done)));
  const writing = keeper.write();
  await new Promise((done) => setImmediate(done));
  expect(await left(A)).toEqual([]);
  release();
  await Promise.all([held, writing]);
  expect(await left(A)).toEqual([1]);
});
