import {
  CanopyError,
  EntryKind,
  JOURNAL_START,
  type JournalRef,
  type Ledger,
  asTime,
  comparePositions,
  parseLedger,
} from '@canopy/model';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FixtureJournal, RecordingAppender } from './testing/fixture-journal.js';
import { LEAF, T0, fill, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig, ServerRig, id } from './testing/rig.js';
import type { FrameServerOptions } from './serve/frames.js';

const leaf = (options: Partial<FrameServerOptions> = {}) => startLeaf({ options });

const ledgerOf = async (store: MemoryStore, ref: JournalRef) =>
  JSON.parse((await store.journal(ref))!.ledger) as Ledger;

describe('pages round trip', () => {
  it('gives a fresh reader all of it, then what is new', async () => {
    const { clock, journal, server } = await leaf({ watermark: () => T0 + 5000 });
    await fill(journal, 10);
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    expect(await parent.pull(server.target())).toEqual({ samples: 40, more: false });
    expect(parent.appender.samples.slice(0, 4)).toEqual([
      `up{instance="i1", job="test"} @${T0} 1`,
      `a_total{instance="i1", job="test"} @${T0} 0`,
      `up{instance="i2", job="test"} @${T0 + 1} 1`,
      `b_total{instance="i2", job="test"} @${T0 + 1} 0`,
    ]);
    expect(parent.watermarks).toEqual([T0 + 5000]);
    await fill(journal, 1, 10);
    expect(await parent.pull(server.target())).toEqual({ samples: 4, more: false });
    expect(await parent.pull(server.target())).toEqual({ samples: 0, more: false });
    expect(parent.appender.totals.repeated).toBe(0);
    expect((await store.journal(journal.ref))!.position).toEqual(journal.position);
    const [source] = parent.puller.sources();
    expect(source).toMatchObject({ name: 'leaf', health: 'up', kind: 'canopy' });
    // 22 frames; the samples of the last page come with the next commit, the status has them
    // already.
    expect(source.journals[0].ledger).toMatchObject({ frames: 22, samples: 44, gapsTotal: 0 });
    expect(server.server.oldestReader(journal.ref)).toEqual(journal.position);
    const health = () => parent.puller.sources()[0].health;
    await clock.advance(15_001);
    expect(health()).toBe('down');
    await clock.advance(300_000);
    expect(health()).toBe('lost');
    await parent.pull(server.target());
    expect(health()).toBe('up');
  });

  it('keeps the bytes of every record', async () => {
    const { clock, store, journal, server } = await leaf();
    await fill(journal, 10);
    const copy = new MemoryStore(clock);
    await new PullRig(copy, clock).pullAll(server.target());
    const limits = { maxBytes: 1e9, maxEntries: 1e9 };
    expect(await copy.readEntries(journal.ref, JOURNAL_START, limits)).toEqual(
      await store.readEntries(journal.ref, JOURNAL_START, limits),
    );
  });

  it('bounds a page, and each page holds something', async () => {
    const { clock, journal, server } = await leaf({ pageBytes: 1 });
    await fill(journal, 10);
    const parent = new PullRig(new MemoryStore(clock), clock);
    expect(await parent.pullAll(server.target())).toBe(22);
    expect(parent.appender.samples.length).toBe(40);
  });

  it('gives a lost page again', async () => {
    const { clock, journal, server } = await leaf();
    await fill(journal, 5);
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.ask(server.target());
    await parent.ask(server.target());
    expect((await parent.pull(server.target())).samples).toBe(20);
  });

  it('takes a page twice without doubling', async () => {
    const { clock, journal, server } = await leaf();
    await fill(journal, 5);
    const parent = new PullRig(new MemoryStore(clock), clock);
    const { body } = await parent.ask(server.target());
    expect((await parent.puller.take(server.target(), {}, body)).samples).toBe(20);
    expect((await parent.puller.take(server.target(), {}, body)).samples).toBe(0);
    expect(parent.puller.totals.repeated).toBe(12);
    expect(parent.appender.samples.length).toBe(20);
  });

  it('goes on from the store after a crash between commit and apply', async () => {
    const { clock, journal, server } = await leaf();
    await fill(journal, 5);
    const store = new MemoryStore(clock);
    store.onCommit = (when) => {
      if (when === 'after') throw new Error('killed');
    };
    const parent = new PullRig(store, clock);
    await expect(parent.pull(server.target())).rejects.toThrow('killed');
    store.onCommit = undefined;
    // Same process (the answer of the store got lost): what is stored comes to the appender, also where no page follows.
    await parent.puller.requestHeaders(server.target());
    expect(parent.appender.samples.length).toBe(20);
    await fill(journal, 1, 5);
    expect(await parent.pull(server.target())).toEqual({ samples: 4, more: false });
    expect(parent.appender.samples.length).toBe(24);
    // Another process: nothing is asked again.
    const next = new PullRig(store, clock);
    expect(await next.pull(server.target())).toEqual({ samples: 0, more: false });
    expect(next.puller.sources()[0].journals[0].position).toEqual(journal.position);
  });

  it('writes nothing while the store is away, and loses nothing', async () => {
    const { clock, journal, server } = await leaf();
    await fill(journal, 5);
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    const { body } = await parent.ask(server.target());
    store.fail = new CanopyError('storage_unavailable', 'away');
    await expect(parent.puller.take(server.target(), {}, body)).rejects.toThrow('away');
    expect(parent.puller.sources()[0]).toMatchObject({ health: 'down', lastError: 'away' });
    store.fail = undefined;
    expect((await parent.pull(server.target())).samples).toBe(20);
  });

  it('refuses a damaged page whole', async () => {
    const { clock, journal, server } = await leaf();
    await fill(journal, 5);
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock);
    const { body } = await parent.ask(server.target());
    for (const at of [0, 5, 40, Math.floor(body.length / 2), body.length - 1]) {
      const damaged = body.slice();
      damaged[at] ^= 4;
      await expect(parent.puller.take(server.target(), {}, damaged)).rejects.toThrow();
    }
    await expect(parent.puller.take(server.target(), {}, body.slice(0, -1))).rejects.toThrow();
    expect(await store.journals()).toEqual([]);
    const { refusedPages } = parent.puller.totals;
    // A changed checksum, magic or length is damage all the same.
    expect(refusedPages).toEqual({ damaged: 6, version: 0, too_large: 0, inconsistent: 0 });
  });
});

/** The rig's frames may stand so late: a younger one than the oldest kept may be gone. Milliseconds. */
const LATE = 10_000;

describe('what a journal no longer has', () => {
  it('names the gap for a reader that stayed away, and sends the layouts it needs', async () => {
    const { clock, journal, server } = await leaf({ watermark: () => T0 + 3500 });
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf({ pageBytes: 1 });
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf({ pageBytes: 1 });
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
    const { clock, journal, server } = await leaf({ watermark: () => T0 });
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
    const { clock, store, journal, server } = await leaf();
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

describe('a store that is elsewhere', () => {
  it('pulls again what a store put back has lost, and the appender drops what it has', async () => {
    const { clock, journal, server } = await leaf();
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
      const { clock, store: leafStore, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf({ watermark: () => watermark, pageBytes: 1 });
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
    const { clock, journal, server } = await leaf({
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
    const { clock, journal, server } = await leaf();
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

describe('levels', () => {
  it('hands on what it pulled, with its origin', async () => {
    const { clock, journal, server } = await leaf();
    await fill(journal, 6);
    const middle = new MemoryStore(clock);
    const parent = new PullRig(middle, clock);
    await parent.pullAll(server.target());
    const own = new FixtureJournal(middle, id('b'));
    own.layout(1, ['canopy_self']);
    own.frame(1, T0, [1]);
    await own.commit();
    const upper = await new ServerRig(middle, clock, own.id, { name: 'parent' }).listen();
    onTestFinished(() => upper.close());
    const top = new MemoryStore(clock);
    const grandparent = new PullRig(top, clock);
    await grandparent.pullAll(upper.target());
    expect((await top.journals()).map(({ ref }) => ref).sort()).toEqual([journal.ref, own.ref]);
    expect(grandparent.appender.samples.length).toBe(25);
    // A diamond: the leaf is pulled directly as well, and nothing comes twice.
    await fill(journal, 1, 6);
    await grandparent.pullAll(server.target());
    await parent.pullAll(server.target());
    await grandparent.pullAll(upper.target());
    expect(grandparent.appender.samples.length).toBe(29);
    expect(grandparent.appender.totals.repeated).toBe(0);
  });

  it('refuses its own journal when a source hands it back', async () => {
    const { clock, journal, server } = await leaf();
    await fill(journal, 4);
    const store = new MemoryStore(clock);
    const parent = new PullRig(store, clock, { ownJournals: () => new Set([LEAF]) });
    // Told not to send it, the server leaves it out and says so.
    await parent.pull(server.target());
    expect(await store.journals()).toEqual([]);
    // One that sends it all the same is not believed.
    const naive = new PullRig(new MemoryStore(clock), clock);
    const { body } = await naive.ask(server.target());
    await parent.puller.take(server.target(), {}, body);
    expect(parent.puller.totals.loops).toBe(1);
    expect(await store.journals()).toEqual([]);
  });
});

describe('limits', () => {
  it('answers with HTTP errors', async () => {
    const { server } = await leaf({ readersMax: 1 });
    const get = (headers: Record<string, string>, query = '') =>
      fetch(server.target().url + query, { headers });
    expect((await get({ 'canopy-cursor': 'not.a.cursor' })).status).toBe(400);
    expect((await get({ 'canopy-reader': 'a' })).status).toBe(200);
    expect((await get({ 'canopy-reader': 'b' })).status).toBe(429);
  });

  it('says 503 while the store is away', async () => {
    const { store, server } = await leaf();
    store.fail = new CanopyError('storage_unavailable', 'away');
    const response = await fetch(server.target().url);
    expect([response.status, await response.text()]).toEqual([503, 'away\n']);
  });
});

describe('a filtered reader', () => {
  it('gets groups that match as they are, none of others, parts with their slot numbers', async () => {
    const { clock, journal, server } = await leaf();
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
      const { clock, journal, server } = await leaf({ pageBytes: 1, viewsMax });
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
    const { clock, journal, server } = await leaf();
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
      const { clock, journal, server } = await leaf({ viewsMax });
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
    const { clock, journal, server } = await leaf();
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
