/** A store that falls back while a page is made: what is not there at the moment is not lost. */
import { asTime, type JournalPosition, type Store } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { CURSOR_KEY, id } from '../testing/rig.js';
import { Branches } from './branches.js';
import { JournalRead } from './journal-read.js';
import { LayoutReader } from './layouts.js';

const T0 = 1_700_000_000_000;
const FRAMES = 20;

async function written(): Promise<{
  clock: VirtualClock;
  store: MemoryStore;
  journal: FixtureJournal;
}> {
  const clock = new VirtualClock(T0);
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  journal.layout(1, ['up']);
  for (let i = 0; i < FRAMES; i++) journal.frame(1, T0 + i * 1000, [1]);
  await journal.commit();
  return { clock, store, journal };
}

/** What a fresh reader's page holds and where its cursor is, with `store` doing odd things. */
async function page(
  clock: VirtualClock,
  store: MemoryStore,
  seen: Partial<Store>,
): Promise<{ entries: number; position: JournalPosition; more: boolean }> {
  const [stored] = await store.journals();
  const odd = new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(seen, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const parts = {
    ...{
      store: odd,
      layouts: new LayoutReader(odd, clock),
      views: null,
      branches: new Branches(odd),
    },
    ...{ ownJournal: id('f'), cursorKey: CURSOR_KEY },
    ...{ now: () => asTime(T0), monotonic: () => clock.monotonic(), reorder: 0 },
  };
  const read = new JournalRead(parts, stored, stored.ref, undefined);
  const budget = { bytes: 1e6, entries: 1000, deadline: clock.monotonic() + 1000 };
  while (await read.step(budget));
  await read.verify();
  const { entries, position, more } = read.finish(T0, -1, false, () => []);
  return { entries: entries.length, position, more };
}

it('reads all that there is', async () => {
  const { clock, store, journal } = await written();
  expect(await page(clock, store, {})).toEqual({
    ...{ entries: FRAMES + 1, position: journal.position, more: false },
  });
});

it('gives nothing where the store was wiped meanwhile, and written again with less', async () => {
  const { clock, store } = await written();
  const readEntries: Store['readEntries'] = async () => {
    store.wipe();
    const again = new FixtureJournal(store, id('a'));
    again.layout(1, ['up']);
    await again.commit();
    return [];
  };
  expect((await page(clock, store, { readEntries })).position).toEqual({ epoch: 0, sequence: 0 });
});

it('reads again where the store was wiped meanwhile, and written again with all of it', async () => {
  const { clock, store, journal } = await written();
  let isWiped = true;
  const readEntries: Store['readEntries'] = async (...args) => {
    const read = isWiped ? [] : await store.readEntries(...args);
    isWiped = false;
    return read;
  };
  expect(await page(clock, store, { readEntries })).toEqual({
    ...{ entries: FRAMES + 1, position: journal.position, more: false },
  });
});

it('takes back what was read of a store that had more than it has afterwards', async () => {
  const { clock, store, journal } = await written();
  const backup = store.copy();
  journal.frame(1, T0 + FRAMES * 1000, [1]);
  await journal.commit();
  const readEntries: Store['readEntries'] = async (...args) => {
    const read = await store.readEntries(...args);
    store.become(backup);
    return read;
  };
  expect(await page(clock, store, { readEntries })).toMatchObject({
    ...{ entries: 0, position: { epoch: 0, sequence: 0 } },
  });
});
