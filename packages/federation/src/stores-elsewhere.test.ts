import { JOURNAL_START, asTime, comparePositions } from '@canopy/model';
import { describe, expect, it } from 'vitest';
import { FixtureJournal } from './testing/fixture-journal.js';
import { LATE, T0, fill, leafWith, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore, ledgerOf } from './testing/memory-store.js';
import { PullRig, id } from './testing/rig.js';

describe('a store that is elsewhere', () => {
  it('pulls again what a store put back has lost, and the appender drops what it has', async () => {
    const { clock, journal, server } = await startLeaf();
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    await fill(journal, 4);
    await parent.pullAll(server.target());
    const backup = store.copy();
    await fill(journal, 4, 4);
    await parent.pullAll(server.target());
    store.become(backup);
    await fill(journal, 1, 8);
    expect(await parent.pull(server.target())).toEqual({ samples: 0, more: true });
    await parent.pullAll(server.target());
    expect(parent.puller.totals.behind).toBe(1);
    expect(parent.wentBack).toHaveLength(1);
    expect(parent.appender.samples.length).toBe(9 * 4);
    expect(parent.appender.totals.repeated).toBe(8);
    const all = await store.readEntries(journal.ref, JOURNAL_START, {
      maxBytes: 1e9,
      maxEntries: 1e9,
    });
    expect(all.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  it.each(['falls back', 'is wiped'])(
    'pulls a journal again of which nothing new comes, once the store %s under another',
    async (how) => {
      const { clock, store: leafStore, journal, server } = await startLeaf();
      const idle = new FixtureJournal(leafStore, id('b'));
      await fill(journal, 2);
      await fill(idle, 2);
      const store = new MemoryStore(clock);
      const parent = new PullRig(store, clock);
      await parent.pullAll(server.target());
      const backup = store.copy();
      await fill(journal, 2, 2);
      await fill(idle, 2, 2);
      await parent.pullAll(server.target());
      if (how === 'is wiped') store.wipe();
      else store.become(backup);
      await fill(journal, 1, 4);
      await parent.pullAll(server.target());
      await parent.pullAll(server.target());
      for (const { ref, position } of [journal, idle]) {
        expect((await store.journal(ref))?.position).toEqual(position);
      }
      expect(parent.wentBack).toEqual(how === 'is wiped' ? ['a gone', 'b gone'] : ['a 6', 'b 6']);
      // What the source is known to have is stored again, too.
      const next = new PullRig(store, clock);
      await next.pullAll(server.target());
      expect(next.loaded.sort()).toEqual(['a 12', 'b 10']);
      expect(next.appender.samples).toEqual([]);
    },
  );

  it('finds that out by a doubt, where nothing new comes of any', async () => {
    const { clock, journal, server } = await startLeaf();
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    await fill(journal, 2);
    await parent.pullAll(server.target());
    const backup = store.copy();
    await fill(journal, 2, 2);
    await parent.pullAll(server.target());
    store.become(backup);
    await parent.pullAll(server.target());
    expect((await store.journal(journal.ref))?.position).not.toEqual(journal.position);
    parent.puller.doubt(journal.ref);
    // A source that never answers again: what the appender has is all there is.
    await parent.puller.requestHeaders(server.target());
    expect(parent.wentBack).toEqual([]);
    await parent.pullAll(server.target());
    expect((await store.journal(journal.ref))?.position).toEqual(journal.position);
    expect(parent.wentBack).toEqual(['a 6']);
  });

  it('pulls everything again after the store was wiped', async () => {
    const { clock, journal, server } = await startLeaf();
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    await fill(journal, 8);
    await parent.pullAll(server.target());
    await journal.trim({ epoch: 1, sequence: 10 });
    store.wipe();
    await fill(journal, 1, 8);
    await parent.pullAll(server.target());
    expect(parent.puller.totals.absent).toBe(1);
    expect(parent.wentBack).toEqual([expect.stringMatching(/gone$/)]);
    expect(parent.appender.samples.length).toBe(9 * 4);
    const state = (await store.journal(journal.ref))!;
    expect(state.position).toEqual(journal.position);
    // A new process finds the journal again, and asks with its cursor.
    const next = new PullRig(store, clock);
    expect(parent.loaded).toEqual(['a nothing']);
    expect(await next.pull(server.target())).toEqual({ samples: 0, more: false });
    expect(next.puller.totals.repeated).toBe(0);
    expect(next.loaded).toEqual([`a ${journal.position.sequence}`]);
    const { gaps } = await ledgerOf(store, journal.ref);
    expect(gaps).toEqual([
      { group: 0, from: 0, to: asTime(T0 + 4000 + LATE), cause: 'trimmed', frames: -1 },
    ]);
  });

  it('is complete up to what it has again after the store was wiped, no further', async () => {
    const watermark = T0 + 100_000;
    const { clock, journal, server } = await leafWith({ watermark: () => watermark, pageBytes: 1 });
    const store = new MemoryStore(clock);
    const during: number[] = [];
    const parent: PullRig = new PullRig(store, clock, {
      onStoreWentBack: (ref) => {
        during.push(parent.puller.watermark(ref));
        return Promise.resolve();
      },
    });
    await fill(journal, 20);
    await parent.pullAll(server.target());
    expect(parent.puller.watermark(journal.ref)).toBe(watermark);
    store.wipe();
    await fill(journal, 1, 20);
    // The first finds it out, the second begins anew.
    for (let i = 0; i < 2; i++) await parent.pull(server.target());
    expect(parent.puller.totals.absent).toBe(1);
    expect([parent.puller.watermark(journal.ref), ...during]).toEqual([0, 0]);
    expect((await ledgerOf(store, journal.ref)).watermark).toBe(0);
    await parent.pullAll(server.target());
    expect(parent.puller.watermark(journal.ref)).toBe(watermark);
  });

  it('hands on no watermark of what its store has lost meanwhile', async () => {
    const [watermark, position] = [T0 + 100_000, { epoch: 1, sequence: 60 }];
    const { clock, journal, server } = await leafWith({
      watermark: () => watermark,
      position: () => position,
    });
    journal.ledger = { watermark: T0 + 5000 };
    await fill(journal, 8);
    const parent = new PullRig(new MemoryStore(clock), clock);
    // The server does not know yet that the store is at less than what it had.
    expect(comparePositions(journal.position, position)).toBeLessThan(0);
    for (let i = 0; i < 2; i++) await parent.pullAll(server.target());
    expect(parent.puller.watermark(journal.ref)).toBe(T0 + 5000);
  });

  it('does not write a journal that another process pulls', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 4);
    const store = new MemoryStore(clock);
    const one = new PullRig(store, clock);
    const two = new PullRig(store, clock, { owner: 'other' });
    await one.pullAll(server.target());
    await fill(journal, 1, 4);
    await expect(two.pull(server.target())).rejects.toThrow(/is pulled by parent/);
    await one.puller.close();
    await two.pull(server.target());
    expect((await store.journal(journal.ref))!.position).toEqual(journal.position);
  });
});
