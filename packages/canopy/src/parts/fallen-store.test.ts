import { type Store, asDuration } from '@canopy/model';
import { openRedisStore } from '@canopy/store';
import {
  cutOff,
  redisIsLeftOut,
  redisOptions,
  startRedisSentinel,
  testEntry,
  until,
} from '@canopy/store/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { A, tile } from '../testing/two-journals.js';
import { TileKeeper } from './tile-keeper.js';

const at = (sequence: number) => ({ epoch: 1, sequence });
const TTL = asDuration(60_000);

/** A keeper of one journal, of five entries in a Redis with a replica; its store as `through` makes it. */
async function keeperOverSentinel(through: (store: Store) => Partial<Store>) {
  const servers = await startRedisSentinel();
  onTestFinished(() => servers.stop());
  const store = await openRedisStore(redisOptions(servers.url));
  onTestFinished(() => store[Symbol.asyncDispose]());
  const outcome = await store.acquireLease(A, 'me', TTL);
  if (!outcome.granted) throw new Error('not granted');
  const entries = [1, 2, 3, 4, 5].map((sequence) => testEntry(at(sequence)));
  const rest = { expected: null, position: at(5), cursor: '', ledger: '{}' };
  await store.commit({ lease: outcome.lease, entries, ...rest });
  const said: string[] = [];
  const hooked = new Proxy(store, {
    get: (_, name: keyof Store) => {
      const member = through(store)[name] ?? store[name];
      return typeof member === 'function' ? member.bind(store) : member;
    },
  });
  const keeper = new TileKeeper({
    store: hooked,
    head: () => ({
      position: () => at(5),
      storedTiles: { isAlone: () => true, restoredFrom: () => undefined },
      blocks: { looseTiles: () => [] },
      tileStored: () => {},
      trimmable: () => at(3),
      groupsNotNeeded: () => [],
      layoutsDropped: () => {},
    }),
    owner: 'me',
    leaseTtl: TTL,
    hasUntoldGaps: () => false,
    oldestReader: () => undefined,
    log: (level, message, fields) => {
      said.push(`${level} ${message}: ${String(fields?.error ?? '')}`);
    },
  });
  return { servers, store, keeper, said };
}

describe.skipIf(redisIsLeftOut())('a Redis that fails over', () => {
  it('between a tile and the cut behind it drops no entry of that tile', async () => {
    let reached = (): void => {};
    const isCutting = new Promise<void>((done) => (reached = done));
    let goOn = (): void => {};
    const isBack = new Promise<void>((done) => (goOn = done));
    const { servers, store, keeper, said } = await keeperOverSentinel((real) => ({
      trimJournal: async (...given) => {
        reached();
        await isBack;
        return real.trimJournal(...given);
      },
    }));
    const { master, replica } = servers;
    keeper.add(A, tile(1, 1));
    let writing: Promise<void> | undefined;
    await cutOff(master, replica, async () => {
      writing = keeper.write();
      await isCutting;
      expect((await store.tiles(A)).length).toBe(1);
    });
    await until(() => store.journal(A).then(Boolean, () => false));
    expect(await store.tiles(A)).toEqual([]);
    goOn();
    await writing;
    const left = async () => {
      const read = await store.readEntries(A, at(0), { maxBytes: 1e6, maxEntries: 9 });
      return read.map(({ sequence }) => sequence);
    };
    expect(await left()).toEqual([1, 2, 3, 4, 5]);
    expect(said[0]).toMatch(
      /tiles could not be written.*the store fell back.*it has not tile 1-1-1/,
    );
    // Written again; cut behind the next one.
    await keeper.write();
    expect(said[1]).toMatch(/the store lost tiles that it had taken/);
    expect((await store.tiles(A)).length).toBe(1);
    expect(await left()).toEqual([1, 2, 3, 4, 5]);
    keeper.add(A, tile(2, 2));
    await keeper.write();
    expect(await left()).toEqual([4, 5]);
  });
});
