import { CanopyError, JOURNAL_START } from '@canopy/model';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FixtureJournal } from './testing/fixture-journal.js';
import { LEAF, T0, fill, leafWith, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig, ServerRig, id } from './testing/rig.js';

describe('pages round trip', () => {
  it('gives a fresh reader all of it, then what is new', async () => {
    const { clock, journal, server } = await leafWith({ watermark: () => T0 + 5000 });
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
    const { clock, store, journal, server } = await startLeaf();
    await fill(journal, 10);
    const copy = new MemoryStore(clock);
    await new PullRig(copy, clock).pullAll(server.target());
    const limits = { maxBytes: 1e9, maxEntries: 1e9 };
    expect(await copy.readEntries(journal.ref, JOURNAL_START, limits)).toEqual(
      await store.readEntries(journal.ref, JOURNAL_START, limits),
    );
  });

  it('bounds a page, and each page holds something', async () => {
    const { clock, journal, server } = await leafWith({ pageBytes: 1 });
    await fill(journal, 10);
    const parent = new PullRig(new MemoryStore(clock), clock);
    expect(await parent.pullAll(server.target())).toBe(22);
    expect(parent.appender.samples.length).toBe(40);
  });

  it('gives a lost page again', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 5);
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.ask(server.target());
    await parent.ask(server.target());
    expect((await parent.pull(server.target())).samples).toBe(20);
  });

  it('takes a page twice without doubling', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 5);
    const parent = new PullRig(new MemoryStore(clock), clock);
    const { body } = await parent.ask(server.target());
    expect((await parent.puller.take(server.target(), {}, body)).samples).toBe(20);
    expect((await parent.puller.take(server.target(), {}, body)).samples).toBe(0);
    expect(parent.puller.totals.repeated).toBe(12);
    expect(parent.appender.samples.length).toBe(20);
  });

  it('goes on from the store after a crash between commit and apply', async () => {
    const { clock, journal, server } = await startLeaf();
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
    const { clock, journal, server } = await startLeaf();
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
    const { clock, journal, server } = await startLeaf();
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

describe('levels', () => {
  it('hands on what it pulled, with its origin', async () => {
    const { clock, journal, server } = await startLeaf();
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
    const { clock, journal, server } = await startLeaf();
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
    const { server } = await leafWith({ readersMax: 1 });
    const get = (headers: Record<string, string>, query = '') =>
      fetch(server.target().url + query, { headers });
    expect((await get({ 'canopy-cursor': 'not.a.cursor' })).status).toBe(400);
    expect((await get({ 'canopy-reader': 'a' })).status).toBe(200);
    expect((await get({ 'canopy-reader': 'b' })).status).toBe(429);
  });

  it('says 503 while the store is away', async () => {
    const { store, server } = await startLeaf();
    store.fail = new CanopyError('storage_unavailable', 'away');
    const response = await fetch(server.target().url);
    expect([response.status, await response.text()]).toEqual([503, 'away\n']);
  });
});
