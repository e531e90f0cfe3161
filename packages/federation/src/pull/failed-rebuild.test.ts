/** The appender could not be brought to where the store is: nothing is pulled on top of a part of it. */
import { CanopyError, JOURNAL_START, type JournalRef, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it, onTestFinished, vi } from 'vitest';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { PullRig, ServerRig, id } from '../testing/rig.js';

const T0 = 1_700_000_000_000;
const away = new CanopyError('storage_unavailable', 'away');

async function rig() {
  const clock = new VirtualClock(T0);
  const leaf = new MemoryStore(clock);
  const journal = new FixtureJournal(leaf, id('a'));
  const server = await new ServerRig(leaf, clock, journal.id, {}).listen();
  onTestFinished(() => server.close());
  journal.layout(1, ['up']);
  let count = 0;
  const scrape = async (frames: number): Promise<void> => {
    for (let i = 0; i < frames; i++) journal.frame(1, T0 + ++count * 1000, [count]);
    await journal.commit();
  };
  return { clock, journal, server, scrape, store: new MemoryStore(clock) };
}

it('loads a journal before it is pulled on, where the appender could not be built up anew', async () => {
  const { clock, journal, server, scrape, store } = await rig();
  const onStoreWentBack = vi.fn(() => Promise.resolve());
  const parent = new PullRig(store, clock, { onStoreWentBack });
  await scrape(2);
  await parent.pullAll(server.target());
  const backup = store.copy();
  await scrape(2);
  await parent.pullAll(server.target());
  store.become(backup);
  await scrape(1);
  onStoreWentBack.mockRejectedValueOnce(away);
  await expect(parent.pull(server.target())).rejects.toThrow('away');
  expect(parent.puller.position(journal.ref)).toBeUndefined();
  expect(parent.loaded).toEqual(['a nothing']);
  // `onLoaded` is what builds it up: 3 is what the store has, and comes before anything is taken.
  const before = parent.appender.entries.length;
  await parent.puller.requestHeaders(server.target());
  expect(parent.loaded).toEqual(['a nothing', 'a 3']);
  expect(parent.appender.entries.length).toBe(before);
  await parent.pullAll(server.target());
  expect((await store.journal(journal.ref))!.position).toEqual(journal.position);
  expect(parent.puller.position(journal.ref)).toEqual(journal.position);
});

it('does so without a page, too: its source may never come back', async () => {
  const { clock, journal, server, scrape, store } = await rig();
  const onStoreWentBack = vi.fn(() => Promise.resolve());
  const parent = new PullRig(store, clock, { onStoreWentBack });
  await scrape(2);
  await parent.pullAll(server.target());
  onStoreWentBack.mockRejectedValueOnce(away);
  await expect(parent.puller.storeWentBack(journal.ref)).rejects.toThrow('away');
  await parent.puller.settle();
  expect(parent.loaded).toEqual(['a nothing', 'a 3']);
  expect(parent.puller.position(journal.ref)).toEqual(journal.position);
  // Nothing is asked where all is known.
  const asked = vi.spyOn(store, 'journal');
  await parent.puller.settle();
  expect(asked).not.toHaveBeenCalled();
});

it('loads a journal that the store has more of, where that could not be read to its end', async () => {
  const { clock, journal, server, scrape, store } = await rig();
  const one = new PullRig(store, clock, { leaseTtl: asDuration(1000) });
  const other = new PullRig(store, clock, { owner: 'other', leaseTtl: asDuration(1000) });
  await scrape(2);
  await one.pullAll(server.target());
  await clock.advance(2000);
  await scrape(2);
  await other.pullAll(server.target());
  await clock.advance(2000);
  await scrape(1);
  const asked = vi.spyOn(store, 'readEntries').mockRejectedValueOnce(away);
  await expect(one.pull(server.target())).rejects.toThrow('away');
  asked.mockRestore();
  const taken = one.appender.entries.length;
  await one.puller.requestHeaders(server.target());
  expect(one.loaded).toEqual(['a nothing', 'a 5']);
  expect(one.appender.entries.length).toBe(taken);
  await one.pullAll(server.target());
  expect((await store.journal(journal.ref))!.position).toEqual(journal.position);
});

it('counts no sample that the parent counted which pulled meanwhile', async () => {
  const { clock, journal, server, scrape, store } = await rig();
  const one = new PullRig(store, clock, { leaseTtl: asDuration(1000) });
  const onLoaded = async (ref: JournalRef): Promise<void> => {
    const all = { maxBytes: 1e9, maxEntries: 1e9 };
    other.appender.apply(ref, await store.readEntries(ref, JOURNAL_START, all));
  };
  const other: PullRig = new PullRig(store, clock, {
    ...{ owner: 'other', leaseTtl: asDuration(1000), onLoaded },
  });
  const pull = async (parent: PullRig, frames: number): Promise<void> => {
    await scrape(frames);
    await parent.pullAll(server.target());
  };
  await pull(one, 2);
  await clock.advance(2000);
  // The other one counts these with its second page.
  await pull(other, 20);
  await pull(other, 1);
  await clock.advance(2000);
  await pull(one, 1);
  await pull(one, 1);
  await pull(one, 1);
  const { ledger } = (await store.journal(journal.ref))!;
  const { frames, samples } = JSON.parse(ledger) as { frames: number; samples: number };
  // A page whose count a parent takes with it when it leads no more is not counted; none is twice.
  expect(samples).toBeLessThanOrEqual(frames);
  expect(samples).toBeGreaterThan(frames - 6);
});
