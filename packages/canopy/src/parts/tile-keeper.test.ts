import {
  type JournalPosition,
  type JournalRef,
  type StoredTile,
  type TileMeta,
  asDuration,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { A, B, storeWithJournals, tile } from '../testing/two-journals.js';
import { JournalLeases } from './journal-leases.js';
import { TileKeeper, type TileKeeperOptions } from './tile-keeper.js';

async function rig(
  given: Partial<TileKeeperOptions> = {},
  trimmable = (): JournalPosition => ({ epoch: 0, sequence: 0 }),
  /** What a restart found: up to where the journals were cut, and their tiles. */
  restored: { from?: JournalPosition; tiles?: TileMeta[] } = {},
  isAlone = (_meta: TileMeta): boolean => true,
) {
  const clock = new VirtualClock();
  const store = await storeWithJournals(clock);
  const stored: string[] = [];
  const metas = new Map([[A, [...(restored.tiles ?? [])]]]);
  const said: string[] = [];
  const keeper = new TileKeeper({
    store,
    head: () => ({
      position: () => ({ epoch: 1, sequence: 1 }),
      storedTiles: { isAlone: (_, meta) => isAlone(meta), restoredFrom: () => restored.from },
      blocks: { looseTiles: (journal) => metas.get(journal) ?? [] },
      tileStored: (journal, meta) => {
        stored.push(`${journal[0]}${meta.firstSequence}`);
        metas.set(journal, [...(metas.get(journal) ?? []), meta]);
      },
      trimmable,
      groupsNotNeeded: () => [],
      layoutsDropped: () => {},
    }),
    leases: new JournalLeases({ store, clock, owner: 'me', ttl: asDuration(15_000) }),
    hasUntoldGaps: () => false,
    oldestReader: () => undefined,
    log: (level, message) => void said.push(`${level} ${message}`),
    ...given,
  });
  const left = async (journal: JournalRef) =>
    (await store.tiles(journal)).map((meta) => meta.firstSequence).sort();
  /** Of journal A, behind the keeper's back. */
  const lose = async ({ meta }: StoredTile): Promise<void> => {
    const lease = await store.acquireLease(A, 'me', asDuration(15_000));
    if (lease.granted) await store.dropTiles(lease.lease, [meta]);
  };
  return { clock, store, keeper, stored, said, left, lose };
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

it('cuts no journal of which something is to be told yet', async () => {
  let isUntold = true;
  const hasUntoldGaps = (journal: JournalRef): boolean => isUntold && journal === A;
  const { store, keeper } = await rig({ hasUntoldGaps }, () => ({ epoch: 1, sequence: 1 }));
  const trimmed = async (journal: JournalRef) => (await store.journal(journal))?.trimmed.sequence;
  for (const journal of [A, B]) keeper.add(journal, tile(1, 1));
  await keeper.write();
  await keeper.write();
  expect([await trimmed(A), await trimmed(B)]).toEqual([0, 1]);
  isUntold = false;
  keeper.add(A, tile(2, 2));
  await keeper.write();
  await keeper.write();
  expect(await trimmed(A)).toBe(1);
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

it('writes no tile again that comes into a block while it is looked for', async () => {
  let isSealed = false;
  const { store, keeper, said, left, lose } = await rig({}, undefined, {}, () => !isSealed);
  keeper.add(A, tile(1, 1));
  await keeper.write();
  const { readTiles } = store;
  store.readTiles = async (journal, metas) => {
    isSealed = true;
    await lose(tile(1, 1));
    return readTiles.call(store, journal, metas);
  };
  await keeper.write();
  expect(await left(A)).toEqual([]);
  expect(said).toEqual([]);
});

it('writes again what the store lost, before it cuts the journal', async () => {
  const upTo = { epoch: 1, sequence: 0 };
  const { store, keeper, said, left, lose } = await rig({}, () => upTo);
  keeper.add(A, tile(1, 1));
  await keeper.write();
  await lose(tile(1, 1));
  keeper.add(A, tile(2, 2));
  upTo.sequence = 1;
  await keeper.write();
  expect(await left(A)).toEqual([1, 2]);
  expect((await store.journal(A))?.trimmed.sequence).toBe(0);
  expect(said).toEqual(['warn the store lost tiles that it had taken; they are written again']);
  keeper.add(A, tile(3, 3));
  await keeper.write();
  expect((await store.journal(A))?.trimmed.sequence).toBe(1);
});

it('asks for a new head where the store fell back to before it cut the journal', async () => {
  const asked: string[] = [];
  const onWentBack = async (journal: JournalRef) => asked.push(journal[0]) > 0;
  const { store, keeper, left } = await rig({ onWentBack }, () => ({ epoch: 1, sequence: 1 }));
  const before = store.copy();
  keeper.add(A, tile(1, 1));
  await keeper.write();
  expect((await store.journal(A))?.trimmed.sequence).toBe(1);
  store.become(before);
  keeper.add(A, tile(2, 2));
  await keeper.write();
  expect(asked).toEqual(['a']);
  expect(await left(A)).toEqual([]);
});

it('cuts nothing behind tiles that were seen in the store and are not there any more', async () => {
  // The own journal's head is not built up anew.
  for (const isBuiltAnew of [true, false]) {
    const asked: string[] = [];
    const onWentBack = async (journal: JournalRef) => asked.push(journal[0]) > 0 && isBuiltAnew;
    const upTo = { epoch: 1, sequence: 0 };
    const { store, keeper, lose } = await rig({ onWentBack }, () => upTo);
    keeper.add(A, tile(1, 1));
    await keeper.write();
    // Found again in the next round; then the store falls back further than that.
    await keeper.write();
    await lose(tile(1, 1));
    keeper.add(A, tile(2, 2));
    upTo.sequence = 1;
    await keeper.write();
    expect(asked).toEqual(['a']);
    expect((await store.journal(A))?.trimmed.sequence).toBe(0);
  }
});

it('cuts nothing where the store fell back to before a cut, or tiles, that a restart found there', async () => {
  const first = tile(1, 1).meta;
  const upTo = { epoch: 1, sequence: 1 };
  for (const restored of [{ from: upTo }, { from: { epoch: 1, sequence: 0 }, tiles: [first] }]) {
    const asked: string[] = [];
    const onWentBack = async (journal: JournalRef) => asked.push(journal[0]) > 0;
    const { store, keeper } = await rig({ onWentBack }, () => upTo, restored);
    keeper.add(A, tile(2, 2));
    await keeper.write();
    expect(asked).toEqual(['a']);
    expect((await store.journal(A))?.trimmed.sequence).toBe(0);
  }
});

it('writes no tile of a head that was built up anew meanwhile', async () => {
  for (const call of ['acquireLease', 'readTiles'] as const) {
    const { store, keeper, left, lose } = await rig({}, () => ({ epoch: 1, sequence: 0 }));
    if (call === 'readTiles') {
      // Written, lost, and looked for in the next round.
      keeper.add(A, tile(1, 1));
      await keeper.write();
      await lose(tile(1, 1));
    }
    const original = store[call].bind(store) as (...given: never[]) => Promise<never>;
    store[call] = async (...given: never[]): Promise<never> => {
      const answer = await original(...given);
      keeper.forget(A);
      return answer;
    };
    keeper.add(A, tile(2, 2));
    await keeper.write();
    expect(await left(A)).toEqual([]);
    expect(keeper.pending).toBe(0);
  }
});

it('writes nothing of a journal of which the store has less than the head', async () => {
  const { store, keeper, stored, left } = await rig();
  const head = { position: () => ({ epoch: 1, sequence: 2 }) };
  const { keeper: ahead } = await rig({ store, head: () => head as never });
  ahead.add(A, tile(2, 2));
  await ahead.write();
  expect(await left(A)).toEqual([]);
  expect(ahead.pending).toBe(1);
  keeper.add(A, tile(1, 1));
  await keeper.write();
  expect(stored).toEqual(['a1']);
});

it('says and cuts nothing that it asked of a head which was built up anew meanwhile', async () => {
  const { store, keeper, stored } = await rig({}, () => ({ epoch: 1, sequence: 1 }));
  const { putTiles, acquireLease } = store;
  /** When the head of A is built up anew: with that call, the so many of them. */
  const check = async (
    call: 'putTiles' | 'acquireLease',
    count: number,
    told: readonly string[],
  ) => {
    let calls = 0;
    const anew = <T>(result: T): T => {
      if (++calls === count) keeper.forget(A);
      return result;
    };
    const on = (name: string) => (name === call ? anew : <T>(result: T): T => result);
    store.putTiles = async (...given) => on('putTiles')(await putTiles.apply(store, given));
    store.acquireLease = async (...given) =>
      on('acquireLease')(await acquireLease.apply(store, given));
    stored.length = 0;
    keeper.add(A, tile(1, 1));
    await keeper.write();
    expect(stored).toEqual(told);
    expect((await store.journal(A))?.trimmed.sequence).toBe(0);
  };
  await check('putTiles', 1, []);
  await check('acquireLease', 2, ['a1']);
});
