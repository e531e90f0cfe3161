import { CanopyError, EntryKind, JOURNAL_START, asTime, parseLedger } from '@canopy/model';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RecordingAppender } from './testing/fixture-journal.js';
import { T0, fill, leafWith, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore, ledgerOf } from './testing/memory-store.js';
import { PullRig, ServerRig, id } from './testing/rig.js';

describe('a filtered reader', () => {
  it('gets groups that match as they are, none of others, parts with their slot numbers', async () => {
    const { clock, journal, server } = await startLeaf();
    journal.layout(1, ['a', 'a']); // passes whole
    journal.layout(2, ['b', 'c']); // nothing passes
    journal.layout(3, ['b', 'a', 'c']); // a part passes
    for (let i = 0; i < 6; i++) {
      journal.frame(1, T0 + i * 1000, [i, 1]);
      journal.frame(2, T0 + i * 1000, [i, 1]);
      journal.frame(3, T0 + i * 1000, [i, i < 4 ? i * 10 : i === 4 ? 'stale' : null, 5]);
    }
    await journal.commit();
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    await parent.pullAll(server.target('a'));
    const group3 = parent.appender.samples.filter((line) => line.includes('i3'));
    expect(group3.map((line) => line.split('@')[1])).toEqual([
      `${T0} 0`,
      `${T0 + 1000} 10`,
      `${T0 + 2000} 20`,
      `${T0 + 3000} 30`,
      `${T0 + 4000} stale`,
    ]);
    expect(parent.appender.samples.filter((line) => line.includes('i2'))).toEqual([]);
    const [{ ref, position }] = await store.journals();
    expect(ref).toMatch(/^a{32}\.[0-9a-f]{8}$/);
    expect(position).toEqual(journal.position);
    const limits = { maxBytes: 1e9, maxEntries: 1e9 };
    const original = await journalEntries();
    const whole = (await store.readEntries(ref, JOURNAL_START, limits)).filter(
      (e) => e.group === 1,
    );
    expect(whole).toEqual(original.filter((e) => e.group === 1));

    async function journalEntries() {
      const copy = new MemoryStore(clock);
      await new PullRig(copy, clock).pullAll(server.target());
      return copy.readEntries(journal.ref, JOURNAL_START, limits);
    }
  });

  it('goes on exactly where it was, page by page and after the server forgot it', async () => {
    for (const viewsMax of [8, 0]) {
      const { clock, journal, server } = await leafWith({ pageBytes: 1, viewsMax });
      const parent = new PullRig(new MemoryStore(clock), clock);
      journal.layout(1, ['a', 'b']);
      for (let i = 0; i < 11; i++) {
        journal.frame(1, T0 + i * 1000, [i % 3, i]);
        await journal.commit();
        await parent.pullAll(server.target('a'));
      }
      expect(parent.appender.samples.map((line) => line.split('@')[1])).toEqual(
        Array.from({ length: 11 }, (_, i) => `${T0 + i * 1000} ${i % 3}`),
      );
      expect(server.server.totals.undecodable).toBe(0);
      expect(server.server.totals.replays > 0).toBe(viewsMax === 0);
      // Deltas stay deltas.
      const keys = parent.appender.entries.filter(({ entry }) => entry.key).length;
      expect(keys).toBe(3);
    }
  });

  it('follows a group that begins to match, or no longer matches whole', async () => {
    const { clock, journal, server } = await startLeaf();
    const parent = new PullRig(new MemoryStore(clock), clock);
    const wanted: string[] = [];
    journal.keyEvery = 100;
    journal.layout(1, ['a']);
    journal.layout(2, ['b']);
    for (let i = 0; i < 9; i++) {
      if (i === 3) journal.layout(1, ['b']);
      if (i === 5) journal.layout(2, ['a']);
      const time = T0 + i * 1000;
      journal.frame(1, time, i < 3 ? [i] : [i, 100]);
      journal.frame(2, time, i < 5 ? [i] : [i, 200 + i]);
      wanted.push(`${time} ${i}`);
      if (i >= 5) wanted.push(`${time} ${200 + i}`);
      await journal.commit();
      await parent.pullAll(server.target('a'));
    }
    expect(parent.appender.samples.map((line) => line.split('@')[1])).toEqual(wanted);
    // The same to a reader that comes later.
    const late = new PullRig(new MemoryStore(clock), clock);
    await late.pullAll(server.target('a'));
    expect(late.appender.samples).toEqual(parent.appender.samples);
  });

  it('follows groups that begin to match while it was away, also where it was forgotten', async () => {
    for (const viewsMax of [8, 0]) {
      const { clock, journal, server } = await leafWith({ viewsMax });
      const parent = new PullRig(new MemoryStore(clock), clock);
      journal.keyEvery = 100;
      journal.layout(1, ['b']);
      journal.layout(2, ['a']);
      for (const group of [1, 2]) journal.frame(group, T0, [group]);
      await journal.commit();
      await parent.pullAll(server.target('a'));
      // Both key frames are behind the reader, and no frame is one from here on.
      journal.layout(2, ['b']);
      journal.layout(1, ['a']);
      for (const group of [1, 2]) journal.frame(group, T0 + 1000, [group, 10 * group]);
      await journal.commit();
      await parent.pullAll(server.target('a'));
      expect(parent.appender.samples.map((line) => line.split('@')[1])).toEqual([
        `${T0} 2`,
        `${T0 + 1000} 10`,
        `${T0 + 1000} 2`,
      ]);
      expect(server.server.totals.undecodable).toBe(0);
    }
  });

  it('filters samples that have their own times', async () => {
    const { clock, journal, server } = await startLeaf();
    journal.layout(1, ['a', 'b'], 'loose');
    journal.loose(1, T0, [
      [0, T0 - 5, 1],
      [1, T0 - 4, 2],
      [0, T0 - 3, 3],
    ]);
    journal.loose(1, T0 + 1000, [[1, T0 + 999, 4]]);
    await journal.commit();
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target('a'));
    expect(parent.appender.samples.map((line) => line.split('@')[1])).toEqual([
      `${T0 - 5} 1`,
      `${T0 - 3} 3`,
    ]);
  });

  it('starts anew with another filter, beside the first', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 3);
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock, { appender: new RecordingAppender() });
    await parent.pullAll(server.target('a_total'));
    await parent.pullAll(server.target('a_total', 'b_total'));
    // The order and the spelling of selectors make no difference.
    await parent.pullAll(server.target('b_total', 'a_total'));
    expect((await store.journals()).length).toBe(2);
    expect(parent.appender.samples.length).toBe(3 + 6);
  });

  it('filters again at the next level', async () => {
    const { clock, journal, server } = await startLeaf();
    journal.layout(1, ['a', 'b', 'c']);
    for (let i = 0; i < 6; i++) journal.frame(1, T0 + i * 1000, [i, i * 2, i * 3]);
    await journal.commit();
    const middle = new MemoryStore(clock);
    await new PullRig(middle, clock).pullAll(server.target('{__name__=~"a|b"}'));
    const upper = await new ServerRig(middle, clock, id('b'), {}).listen();
    onTestFinished(() => upper.close());
    const top = new PullRig(new MemoryStore(clock), clock);
    await top.pullAll(upper.target('b'));
    expect(top.appender.samples.map((line) => line.split('@')[1])).toEqual(
      Array.from({ length: 6 }, (_, i) => `${T0 + i * 1000} ${i * 2}`),
    );
    expect(top.appender.entries.filter(({ entry }) => entry.kind === EntryKind.layout).length).toBe(
      1,
    );
  });

  it('names what its own store has lost without a page, of a source that may never come back', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 2);
    const store = new MemoryStore(clock);
    await new PullRig(store, clock).pullAll(server.target());
    const before = (await store.journal(journal.ref))!;
    // Another process, which never hears of the source.
    const { puller } = new PullRig(store, clock);
    const [from, to] = [asTime(T0), asTime(T0 + 5)];
    const gap = { ...{ group: 1, from, to }, cause: 'corrupt' as const, frames: -1 };
    puller.nameGap(journal.ref, gap);
    expect(puller.untoldGaps(journal.ref)).toEqual([gap]);
    store.fail = new CanopyError('storage_unavailable', 'away');
    await expect(puller.settle()).rejects.toThrow('away');
    expect(puller.hasUntoldGaps(journal.ref)).toBe(true);
    store.fail = undefined;
    await puller.settle();
    expect(puller.hasUntoldGaps(journal.ref)).toBe(false);
    const { ledger, ...rest } = (await store.journal(journal.ref))!;
    expect(parseLedger(ledger)).toEqual({
      ...parseLedger(before.ledger),
      ...{ gaps: [gap], gapsTotal: 1, gapsByCause: { corrupt: 1 } },
    });
    expect({ ...rest, ledger: before.ledger }).toEqual(before);
    // The source does come back.
    await fill(journal, 1, 2);
    await new PullRig(store, clock).pullAll(server.target());
    expect(await ledgerOf(store, journal.ref)).toMatchObject({ frames: 6, gaps: [gap] });
  });

  it('names what its own store has lost with the next page, and takes nothing once closed', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 2);
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    await parent.pullAll(server.target());
    const gap = {
      group: 1,
      from: asTime(T0),
      to: asTime(T0 + 5),
      cause: 'corrupt' as const,
      frames: -1,
    };
    parent.puller.nameGap(journal.ref, gap);
    parent.puller.nameGap(journal.ref, { ...gap, to: asTime(T0 + 6) });
    await fill(journal, 2, 2);
    await parent.pullAll(server.target());
    await fill(journal, 1, 4);
    await parent.pullAll(server.target());
    // The same, read with other neighbours.
    expect((await ledgerOf(store, journal.ref)).gaps).toEqual([{ ...gap, to: asTime(T0 + 6) }]);
    const { position } = (await store.journal(journal.ref))!;
    const late = await parent.ask(server.target());
    await parent.puller.close();
    await expect(parent.puller.take(server.target(), {}, late.body)).rejects.toThrow('any more');
    expect((await store.journal(journal.ref))!.position).toEqual(position);
  });
});
