import type { JournalRef } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { FixtureJournal, RecordingAppender } from '../testing/fixture-journal.js';
import { MemoryStore, ledgerOf } from '../testing/memory-store.js';
import { reportOf } from '../testing/report.js';
import { PullRig, ServerRig, id } from '../testing/rig.js';
import { type SourceTrust, TRUSTED } from './trust.js';

const T0 = 1_700_000_000_000;
const rigs: ServerRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

const LEAF: SourceTrust = { journal: id('a'), relays: false, labels: new Map() };

/** A process with a journal of its own, that says so. */
async function process(clock: VirtualClock, digit: string, store = new MemoryStore(clock)) {
  const journal = new FixtureJournal(store, id(digit));
  const report = () => reportOf(journal.ref);
  const server = await new ServerRig(store, clock, journal.id, { report }).listen();
  rigs.push(server);
  return { store, journal, server, target: server.target() };
}

async function write(journal: FixtureJournal, frames: number): Promise<void> {
  if (journal.sequence === 0) journal.layout(1, ['x']);
  for (let i = 0; i < frames; i++) journal.frame(1, T0 + journal.sequence * 1000, [i]);
  await journal.commit();
}

let parents = 0;

/** A parent that believes of each source what `trusted` says; of others, everything. */
function parentOf(
  clock: VirtualClock,
  store = new MemoryStore(clock),
  appender = new RecordingAppender(),
) {
  const owner = `parent ${parents++}`;
  const trusted = new Map<string, SourceTrust>();
  const trust = ({ url }: { url: string }): SourceTrust => trusted.get(url) ?? TRUSTED;
  return { store, trusted, pull: new PullRig(store, clock, { trust, owner, appender }) };
}

const positionOf = async (store: MemoryStore, ref: JournalRef): Promise<number | undefined> =>
  (await store.journal(ref))?.position.sequence;

/** A leaf that a parent pulls itself, and by way of another parent. */
async function diamond() {
  const clock = new VirtualClock(T0);
  const leaf = await process(clock, 'a');
  const middle = await process(clock, 'b');
  const middlePull = new PullRig(middle.store, clock);
  return { clock, leaf, middle, middlePull, ...parentOf(clock) };
}

describe('whose journal it is', () => {
  /** Writes into the journal of another process what that one never wrote. */
  async function forge(clock: VirtualClock, digit: string) {
    const store = new MemoryStore(clock);
    const forged = new FixtureJournal(store, id(digit));
    await write(forged, 50);
    return store;
  }

  it('a leaf hands over its own journal and no other', async () => {
    const clock = new VirtualClock(T0);
    const leaf = await process(clock, 'a');
    await write(leaf.journal, 3);
    const liar = await process(clock, 'b', await forge(clock, 'a'));
    await write(liar.journal, 2);
    const { store, trusted, pull } = parentOf(clock);
    trusted.set(leaf.target.url, LEAF);
    trusted.set(liar.target.url, { ...LEAF, journal: id('b') });
    // Whoever comes first.
    await expect(pull.pull(liar.target)).rejects.toThrow(/journal a{32} is another's/);
    expect(await store.journals()).toEqual([]);
    await pull.pullAll(leaf.target);
    await expect(pull.pull(liar.target)).rejects.toMatchObject({ code: 'forbidden' });
    expect((await store.journals()).map(({ ref }) => ref)).toEqual([leaf.journal.ref]);
    expect(await positionOf(store, leaf.journal.ref)).toBe(4);
    expect(pull.puller.totals.foreignJournals).toBe(2);
    expect(pull.puller.sources().find(({ url }) => url === liar.target.url)).toMatchObject({
      health: 'down',
      lastError: expect.stringMatching(/another's/),
    });
  });

  it('nobody else makes it their own, also after a restart', async () => {
    const clock = new VirtualClock(T0);
    const leaf = await process(clock, 'a');
    await write(leaf.journal, 3);
    const liar = await process(clock, 'a', new MemoryStore(clock));
    await write(liar.journal, 50);
    const first = parentOf(clock);
    await first.pull.pullAll(leaf.target); // listed, not announced: first come
    await expect(first.pull.pull(liar.target)).rejects.toThrow(/is that of http/);
    await first.pull.puller.close();
    const second = parentOf(clock, first.store);
    await second.pull.pullAll(leaf.target);
    await expect(second.pull.pull(liar.target)).rejects.toThrow(/is that of http/);
    expect(await positionOf(first.store, leaf.journal.ref)).toBe(4);
    // A leaf that moved: its old address does not answer any more.
    await clock.advance(60_000);
    const moved = await process(clock, 'a', leaf.store);
    await write(leaf.journal, 2);
    await second.pull.pullAll(moved.target);
    expect(await positionOf(first.store, leaf.journal.ref)).toBe(6);
  });

  it('an announced leaf comes before one that only says so', async () => {
    const clock = new VirtualClock(T0);
    const leaf = await process(clock, 'a');
    await write(leaf.journal, 3);
    const liar = await process(clock, 'a');
    await write(liar.journal, 2);
    const { store, trusted, pull } = parentOf(clock);
    await pull.pullAll(liar.target);
    trusted.set(leaf.target.url, LEAF);
    await pull.pullAll(leaf.target);
    await expect(pull.pull(liar.target)).rejects.toThrow(/is that of http/);
    expect(await positionOf(store, leaf.journal.ref)).toBe(4);
  });

  it('a home that lost its disk: what a parent still has of its journal comes from there', async () => {
    const { leaf, middle, middlePull, store, pull } = await diamond();
    await write(leaf.journal, 3);
    await pull.pullAll(leaf.target);
    await write(leaf.journal, 2);
    await middlePull.pullAll(leaf.target);
    // The same address, an empty disk: another journal.
    leaf.store.wipe();
    const anew = new FixtureJournal(leaf.store, id('c'));
    await write(anew, 2);
    await pull.pullAll(leaf.target);
    await pull.pullAll(middle.target);
    expect(await positionOf(store, leaf.journal.ref)).toBe(6);
    expect(await positionOf(store, anew.ref)).toBe(3);
  });

  it('a diamond: what its home hands over is left to it, and goes on by the other way', async () => {
    const { clock, leaf, middle, middlePull, store, pull } = await diamond();
    await write(leaf.journal, 3);
    await write(middle.journal, 2);
    await middlePull.pullAll(leaf.target);
    await pull.pullAll(leaf.target);
    await pull.pullAll(middle.target);
    expect(pull.puller.totals).toMatchObject({ homedElsewhere: 1, foreignJournals: 0 });
    await write(leaf.journal, 4);
    await middlePull.pullAll(leaf.target);
    // The way to the leaf is cut; the one through the parent in the middle is not.
    await clock.advance(60_000);
    await pull.pullAll(middle.target);
    expect(await positionOf(store, leaf.journal.ref)).toBe(8);
    await write(leaf.journal, 1);
    await pull.pullAll(leaf.target);
    expect(await positionOf(store, leaf.journal.ref)).toBe(9);
    expect(pull.appender.samples.length).toBe(3 + 2 + 4 + 1);
    expect(pull.puller.totals.repeated).toBe(0);
  });

  it('two parents in the middle', async () => {
    const clock = new VirtualClock(T0);
    const leaf = await process(clock, 'a');
    await write(leaf.journal, 3);
    const { pull } = parentOf(clock);
    for (const digit of ['b', 'c']) {
      const middle = await process(clock, digit);
      await write(middle.journal, 1);
      await new PullRig(middle.store, clock).pullAll(leaf.target);
      await pull.pullAll(middle.target);
    }
    expect(pull.appender.samples.length).toBe(3 + 1 + 1);
    expect(pull.puller.totals).toMatchObject({ foreignJournals: 0 });
  });

  it.each(['damaged', 'no list'])('a list of homes that is %s begins anew', async (how) => {
    const clock = new VirtualClock(T0);
    const leaf = await process(clock, 'a');
    await write(leaf.journal, 3);
    const { store, pull } = parentOf(clock);
    await store.putDocument('journal-homes', '{"a');
    if (how === 'damaged') store.damageDocument('journal-homes');
    await pull.pullAll(leaf.target);
    expect(JSON.parse((await store.getDocument('journal-homes'))!)).toEqual({
      [leaf.journal.ref]: leaf.target.url,
    });
  });
});

describe('labels that a source may write', () => {
  const series = (cluster?: string) => [
    { __name__: 'x', ...(cluster !== undefined && { cluster }) },
  ];
  const rule = (...values: string[]): SourceTrust => ({
    ...LEAF,
    labels: new Map([['cluster', new Set(values)]]),
  });

  it('a group with another value is refused whole, the others are not', async () => {
    const clock = new VirtualClock(T0);
    const leaf = await process(clock, 'a');
    const { journal } = leaf;
    journal.layout(1, series('east'));
    journal.layout(2, [...series('east'), ...series('west')]);
    journal.layout(3, series());
    journal.layout(4, series('east'));
    for (let i = 0; i < 3; i++) {
      for (const group of [1, 3, 4]) journal.frame(group, T0 + i * 1000, [i]);
      journal.frame(2, T0 + i * 1000, [i, i]);
    }
    await journal.commit();
    const { store, trusted, pull } = parentOf(clock);
    trusted.set(leaf.target.url, rule('east'));
    await pull.pullAll(leaf.target);
    expect(pull.appender.samples.length).toBe(3 * 3);
    expect(pull.appender.samples.join()).not.toContain('west');
    expect(pull.puller.totals.forgedGroups).toBe(1);
    expect(pull.appender.totals.undecodable).toBe(0);
    let ledger = await ledgerOf(store, journal.ref);
    expect(ledger).toMatchObject({
      refused: { forged_label: 3 },
      forged: { epoch: 1, groups: [[2, 'test']] },
    });
    // One that was good takes up a series that is not.
    journal.layout(4, series('west'));
    for (let i = 3; i < 5; i++) {
      for (const group of [1, 3]) journal.frame(group, T0 + i * 1000, [i]);
      for (const group of [2, 4]) journal.frame(group, T0 + i * 1000, [i, i]);
    }
    await journal.commit();
    // Frames tell nothing of labels: which groups are refused is known from the store.
    await pull.puller.close();
    const next = parentOf(clock, store, pull.appender);
    next.trusted.set(leaf.target.url, rule('east'));
    await next.pull.pullAll(leaf.target);
    expect(next.pull.appender.samples.length).toBe(3 * 3 + 2 * 2);
    ledger = await ledgerOf(store, journal.ref);
    expect(ledger).toMatchObject({
      refused: { forged_label: 7 },
      forged: {
        groups: [
          [2, 'test'],
          [4, 'test'],
        ],
      },
    });
    const stored = await store.readEntries(
      journal.ref,
      { epoch: 0, sequence: 0 },
      { maxBytes: 1e6, maxEntries: 1000 },
    );
    expect(stored.some(({ group }) => group === 2)).toBe(false);
    expect(await positionOf(store, journal.ref)).toBe(journal.sequence);
    // Another epoch, other groups.
    journal.nextEpoch();
    journal.layout(2, series('east'));
    journal.frame(2, T0 + 9000, [1]);
    await journal.commit();
    await next.pull.pullAll(leaf.target);
    expect(next.pull.appender.samples.length).toBe(3 * 3 + 2 * 2 + 1);
    expect((await ledgerOf(store, journal.ref)).forged).toBeUndefined();
  });

  it('one that registered none may write none, one that may write several may', async () => {
    const clock = new VirtualClock(T0);
    const leaf = await process(clock, 'a');
    leaf.journal.layout(1, series('east'));
    leaf.journal.layout(2, series());
    for (const group of [1, 2]) leaf.journal.frame(group, T0, [1]);
    await leaf.journal.commit();
    const check = async (values: string[], samples: number) => {
      const { trusted, pull } = parentOf(clock);
      trusted.set(leaf.target.url, rule(...values));
      await pull.pullAll(leaf.target);
      expect(pull.appender.samples.length, values.join()).toBe(samples);
    };
    await check([], 1);
    await check(['west'], 1);
    await check(['west', 'east'], 2);
  });
});
