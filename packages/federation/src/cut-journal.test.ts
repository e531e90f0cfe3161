import { describe, expect, it } from 'vitest';
import { LATE, T0, fill, leafWith, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore, ledgerOf } from './testing/memory-store.js';
import { PullRig } from './testing/rig.js';

describe('what a journal no longer has', () => {
  it('names the gap for a reader that stayed away, and sends the layouts it needs', async () => {
    const { clock, journal, server } = await leafWith({ watermark: () => T0 + 3500 });
    await clock.advance(4000);
    await fill(journal, 4);
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    await parent.pullAll(server.target());
    await fill(journal, 4, 4);
    journal.layout(3, ['late']);
    await fill(journal, 8, 8);
    journal.frame(3, T0 + 15_500, [7]);
    await journal.commit();
    // Cut before the key frames of scrape 12: sequence 2 layouts + 2 × 12 frames + the late layout.
    await journal.trim({ epoch: 1, sequence: 27 });
    await parent.pullAll(server.target());
    const samples = parent.appender.samples.length;
    expect(samples).toBe(4 * 4 + 4 * 4 + 1);
    expect(parent.appender.gaps).toEqual([
      { group: 0, from: T0 + 3500, to: T0 + 12_000 + LATE, cause: 'trimmed', frames: -1 },
    ]);
    expect((await ledgerOf(store, journal.ref)).gaps).toEqual(parent.appender.gaps);
    expect(parent.appender.totals.undecodable).toBe(0);
    await parent.pullAll(server.target());
    expect(parent.appender.gaps.length).toBe(1);
  });

  it('begins a gap where frames may have stood late, or the clock was set back', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 20);
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target());
    await fill(journal, 4, 20);
    await journal.trim(journal.position);
    await clock.advance(60_000);
    await parent.pullAll(server.target());
    // No watermark: by up to ten seconds, here.
    const late = { group: 0, from: T0 + 9001, to: T0 + 60_001, cause: 'trimmed', frames: -1 };
    expect(parent.appender.gaps).toEqual([late]);
    // A new run, in the past; of it, and of a minute that the clock was ahead, nothing is left.
    journal.ledger = { newest: T0 + 90_000, late: 85_000 };
    journal.nextEpoch();
    journal.newest = T0 + 4999;
    journal.layout(7, ['anew']);
    journal.frame(7, T0 + 5000, [1]);
    await journal.commit();
    await journal.trim(journal.position);
    await parent.pullAll(server.target());
    expect(parent.appender.gaps.slice(1)).toEqual([
      { group: 0, from: T0 + 4999, to: T0 + 90_001, cause: 'trimmed', frames: -1 },
    ]);
  });

  it('ends a gap beyond the oldest frame kept, where the clock was set back while nobody scraped', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 4);
    await fill(journal, 4, 40);
    const cut = journal.position;
    journal.newest = T0;
    journal.layout(7, ['anew']);
    for (let i = 1; i < 5; i++) journal.frame(7, T0 + i * 1000, [i]);
    // No gap of the ledger says so: the leaf was dead meanwhile.
    journal.ledger = { newest: T0 + 43_000, late: 42_000 };
    await journal.commit();
    await journal.trim(cut);
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target());
    expect(parent.appender.gaps).toEqual([
      { group: 0, from: 0, to: T0 + 43_001, cause: 'trimmed', frames: -1 },
    ]);
  });

  it('gives a fresh reader of a trimmed journal its layouts, and names what is gone', async () => {
    const { clock, journal, server } = await leafWith({ pageBytes: 1 });
    await fill(journal, 12);
    await journal.trim({ epoch: 1, sequence: 18 });
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target());
    expect(parent.appender.samples.length).toBe(16);
    // It cannot know whether it had that once, and lost it with its store.
    expect(parent.appender.gaps).toEqual([
      { group: 0, from: 0, to: T0 + 8000 + LATE, cause: 'trimmed', frames: -1 },
    ]);
    expect(parent.appender.totals.undecodable).toBe(0);
    expect(server.server.totals.layoutDumps).toBeGreaterThan(0);
  });

  it('names no gap where only layouts were passed over', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 4);
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target());
    journal.layout(3, ['late']);
    await journal.commit();
    await journal.trim(journal.position);
    journal.frame(3, T0 + 9000, [7]);
    await journal.commit();
    await parent.pullAll(server.target());
    expect(parent.appender.gaps).toEqual([]);
    expect(parent.appender.samples.at(-1)).toBe(`late{instance="i3", job="test"} @${T0 + 9000} 7`);
  });

  it('names the gap for a reader that had no frame yet', async () => {
    const { clock, journal, server } = await startLeaf();
    const parent = new PullRig(new MemoryStore(clock), clock);
    journal.layout(1, ['a']);
    await journal.commit();
    await parent.pullAll(server.target());
    journal.frame(1, T0, [1]);
    await journal.commit();
    journal.nextEpoch();
    await journal.commit();
    await journal.trim(journal.position);
    await clock.advance(5000);
    await parent.pullAll(server.target());
    expect(parent.appender.gaps).toEqual([
      { group: 0, from: 0, to: T0 + 5001, cause: 'trimmed', frames: -1 },
    ]);
    const late = new PullRig(new MemoryStore(clock), clock);
    await late.pullAll(server.target());
    expect(late.appender.gaps).toEqual(parent.appender.gaps);
    journal.layout(1, ['a']);
    journal.frame(1, T0 + 6000, [2]);
    await journal.commit();
    for (const reader of [parent, late]) {
      await reader.pullAll(server.target());
      expect(reader.appender.samples).toEqual([`a{instance="i1", job="test"} @${T0 + 6000} 2`]);
    }
    expect([parent.appender.gaps.length, late.appender.gaps.length]).toEqual([1, 1]);
  });

  it('takes no frame after a gap for the next step of one before it', async () => {
    const { clock, journal, server } = await startLeaf();
    const readers = [server.target(), server.target('a')].map((target) => {
      const store = new MemoryStore(clock);
      return { target, store, parent: new PullRig(store, clock) };
    });
    journal.layout(1, ['a', 'b']);
    journal.layout(2, ['a', 'b']);
    for (const i of [0, 1]) journal.frame(2, T0 + i, [0, 0]);
    await journal.commit();
    for (const { target, parent } of readers) await parent.pullAll(target);
    for (let i = 1; i < 9; i++) {
      journal.frame(1, T0 + i * 1000, [i, i]);
      journal.frame(2, T0 + i * 1000 + 1, [i, i]);
    }
    await journal.commit();
    // Before the second key frame of group 1. Of group 2 that leaves steps 2 and 3 after a key frame
    // that is gone; the readers know step 1 of the one before it.
    await journal.trim({ epoch: 1, sequence: 12 });
    for (const { target, parent } of readers) {
      await parent.pullAll(target);
      const a = parent.appender.samples.filter((line) => line.startsWith('a{'));
      expect(a.map((line) => line.split('@')[1].slice(-6))).toEqual([
        ...['0000 0', '0001 0'],
        ...['5000 5', '6000 6', '7000 7', '7001 7', '8000 8', '8001 8'],
      ]);
    }
    // They are kept, but nobody can decode them: the one reader finds out, the other is told.
    const [all, part] = readers.map(({ parent }) => parent.appender);
    const left = [5001, 6001].map((ms) => ({ group: 2, time: T0 + ms }));
    expect([all.gaps.length, all.lost]).toEqual([1, left]);
    expect([part.gaps.slice(1), part.lost]).toEqual([
      [
        { group: 2, from: T0 + 1, to: T0 + 5002, cause: 'trimmed', frames: 1 },
        { group: 2, from: T0 + 5001, to: T0 + 6002, cause: 'trimmed', frames: 1 },
      ],
      [],
    ]);
    const [view] = await readers[1].store.journals();
    const ledger = await ledgerOf(readers[1].store, view.ref);
    expect(ledger.gaps.slice(1)).toEqual([
      { group: 2, from: T0 + 1, to: T0 + 6002, cause: 'trimmed', frames: 2, job: 'test' },
    ]);
  });

  it('names what is trimmed while a fresh reader still gets its layouts, once', async () => {
    const { clock, journal, server } = await leafWith({ pageBytes: 1 });
    await fill(journal, 12);
    await journal.trim({ epoch: 1, sequence: 10 });
    const parent = new PullRig(new MemoryStore(clock), clock);
    // A layout of two: what it was promised begins after sequence 10.
    expect((await parent.pull(server.target())).more).toBe(true);
    expect(parent.appender.entries.length).toBe(1);
    await journal.trim({ epoch: 1, sequence: 18 });
    await parent.pullAll(server.target());
    expect(parent.appender.gaps).toEqual([
      { group: 0, from: 0, to: T0 + 8000 + LATE, cause: 'trimmed', frames: -1 },
    ]);
    expect(parent.appender.samples.length).toBe(16);
    expect(parent.appender.totals.undecodable).toBe(0);
  });

  it('calls no frame lost that is there behind many layouts', async () => {
    const { clock, journal, server } = await leafWith({ watermark: () => T0 });
    await fill(journal, 4);
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target());
    await fill(journal, 4, 4);
    await journal.trim(journal.position);
    for (let group = 3; group < 2100; group++) journal.layout(group, ['late']);
    journal.frame(3, T0 + 9000, [7]);
    await journal.commit();
    await clock.advance(60_000);
    await parent.pullAll(server.target());
    expect(parent.appender.gaps).toEqual([
      { group: 0, from: T0, to: T0 + 9000 + LATE, cause: 'trimmed', frames: -1 },
    ]);
  });

  it('breaks the epoch of its own journal for a reader that has more', async () => {
    const { clock, store, journal, server } = await startLeaf();
    await fill(journal, 4);
    const backup = store.copy();
    await fill(journal, 4, 4);
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target());
    const had = journal.position;
    store.become(backup);
    expect(await parent.pull(server.target())).toEqual({ samples: 0, more: false });
    expect(server.broken).toEqual([had]);
    expect(parent.puller.totals.epochBreaks).toBe(1);
    await journal.reload();
    journal.nextEpoch();
    await fill(journal, 2);
    await parent.pullAll(server.target());
    expect(parent.appender.samples.length).toBe(32 + 8);
    expect(parent.appender.totals.undecodable).toBe(0);
  });
});
