import { MemoryStore } from '@canopy/federation/testing';
import {
  type JournalRef,
  type StoredTile,
  type TileMeta,
  asDuration,
  asTime,
  journalRef,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { TileKeeper, type TileKeeperOptions } from './tile-keeper.js';

const ref = (digit: string): JournalRef => journalRef(digit.repeat(32) as never);
const A = ref('a');
const B = ref('b');

function tile(sequence: number, maxTime: number, size = 100): StoredTile {
  const meta: TileMeta = {
    ...{ epoch: 1, group: 1, firstSequence: sequence, lastSequence: sequence },
    ...{ minTime: asTime(maxTime - 1), maxTime: asTime(maxTime), byteLength: size },
  };
  return { meta, bytes: new Uint8Array(size) };
}

/** A store that knows both journals. */
async function storeWithJournals(clock: VirtualClock): Promise<MemoryStore> {
  const store = new MemoryStore(clock);
  for (const journal of [A, B]) {
    const outcome = await store.acquireLease(journal, 'me', asDuration(15_000));
    if (!outcome.granted) throw new Error('not granted');
    const position = { epoch: 1, sequence: 1 };
    const rest = { expected: null, entries: [], cursor: '', ledger: '' };
    await store.commit({ lease: outcome.lease, position, ...rest });
    await store.releaseLease(outcome.lease);
  }
  return store;
}

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
