import { type BlockMeta, type JournalRef, type Store, asDuration, asTime } from '@canopy/model';
import { openRedisStore } from '@canopy/store';
import {
  cutOff,
  redisIsLeftOut,
  redisOptions,
  startRedisSentinel,
  systemClock,
  testEntry,
  until,
} from '@canopy/store/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { A, tile } from '../testing/two-journals.js';
import { type AtRest, doubtWhatIsLess, standing } from './fallen-store.js';
import { JournalLeases } from './journal-leases.js';
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
    leases: new JournalLeases({ store, clock: systemClock, owner: 'me', ttl: TTL }),
    hasUntoldGaps: () => false,
    oldestReader: () => undefined,
    log: (level, message, fields) => {
      said.push(`${level} ${message}: ${String(fields?.error ?? '')}`);
    },
  });
  return { servers, store, keeper, said };
}

/** A block of [from, to) whose newest frame is `last`. */
const block = (id: number, from: number, to: number, last: number): BlockMeta => ({
  ...{ id, from: asTime(from), to: asTime(to), minTime: asTime(from), maxTime: asTime(to - 1) },
  ...{ resolution: asDuration(0), intervalMax: asDuration(0), last: at(last) },
  ...{ tileBytes: 10, indexBytes: 0, groups: 1, tiles: 1, series: 1 },
});

it('knows what a store has lost from what is elsewhere', () => {
  const check = (known: Partial<AtRest>, stored: Partial<AtRest>, cut: number, is: string) => {
    const none = { tiles: [], blocks: [] };
    expect(standing({ ...none, ...known }, { ...none, ...stored }, at(cut))).toBe(is);
  };
  const tiles = [tile(7, 50).meta];
  const [old, other, merged] = [block(1, 0, 100, 6), block(2, 0, 100, 9), block(3, 0, 400, 9)];
  check({ tiles }, { tiles }, 0, 'as known');
  check({ tiles }, {}, 6, 'lost'); // the journal has it
  check({ tiles }, {}, 7, 'as known'); // nobody has it: named when it is needed
  check({ tiles }, { blocks: [other] }, 0, 'moved'); // another parent sealed it
  check({ tiles, blocks: [old] }, { blocks: [old] }, 0, 'lost'); // that block was there before the tile
  check({ tiles }, { blocks: [block(2, 100, 200, 9)] }, 0, 'lost'); // of another window
  check({ blocks: [old] }, { blocks: [old] }, 0, 'as known');
  check({ blocks: [old] }, {}, 5, 'lost');
  check({ blocks: [old] }, {}, 6, 'moved'); // dropped by retention, or lost for good
  check({ blocks: [old, other] }, { blocks: [merged] }, 0, 'moved');
  check({ blocks: [merged] }, { blocks: [old] }, 0, 'moved'); // back before the merge
  check({ blocks: [old] }, { blocks: [{ ...old, last: at(5) }] }, 0, 'moved'); // its number, another block
});

it('doubts each journal of which the store has less, the own one too', async () => {
  const check = async (stored: Record<string, number>, doubted: string[]) => {
    const states = Object.entries(stored).map(([ref, sequence]) => {
      const state = { ref: ref as JournalRef, position: at(sequence), trimmed: at(0) };
      return { ...state, cursor: '', ledger: '', entryBytes: 0 };
    });
    const found: string[] = [];
    await doubtWhatIsLess(new Map(states.map((state) => [state.ref, state])), {
      puller: {
        refs: () => ['a', 'b'] as JournalRef[],
        position: () => at(5),
        doubt: (ref) => void found.push(ref),
      },
      journal: {
        ...{ ref: 'own' as JournalRef, position: at(3) },
        doubt: () => Promise.resolve(void found.push('own')),
      },
    });
    expect(found).toEqual(doubted);
  };
  await check({ a: 5, b: 6, own: 3 }, []);
  await check({ a: 4, b: 5, own: 2 }, ['a', 'own']);
  await check({}, ['a', 'b', 'own']);
});

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
