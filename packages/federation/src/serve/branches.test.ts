/** A leaf that was put back to an older state and has gone on beyond what its readers have: numbers were given twice. */
import {
  EntryKind,
  type GapRecord,
  JOURNAL_START,
  type PullOutcome,
  type PullTarget,
  asTime,
  comparePositions,
} from '@canopy/model';
import { expect, it, onTestFinished } from 'vitest';
import type { FixtureJournal } from '../testing/fixture-journal.js';
import { T0, fill, startLeaf } from '../testing/leaf-rig.js';
import { MemoryStore } from '../testing/memory-store.js';
import { PullRig, ServerRig, id } from '../testing/rig.js';

const LATE = 10_000;
const ALL = { maxBytes: 1e9, maxEntries: 1e9 };

/** A parent that has sequences 1 to 18; the leaf has 1 to 10 of them, and others from there to 30. */
async function branched(selector: readonly string[] = []) {
  const { clock, store, journal, server } = await startLeaf();
  await fill(journal, 4);
  const backup = store.copy();
  await fill(journal, 4, 4);
  const parentStore = new MemoryStore(clock);
  const parent = new PullRig(parentStore, clock);
  await parent.pullAll(server.target(...selector));
  const had = journal.position;
  store.become(backup);
  await journal.reload();
  journal.rewind({ epoch: 1, sequence: 10 });
  server.restart();
  // Other values, and times of after it was put back.
  await fill(journal, 10, 100);
  return { clock, store, journal, server, parentStore, parent, had };
}

/** The break has come. */
async function nextEpoch(journal: FixtureJournal, frames: number): Promise<void> {
  journal.nextEpoch();
  journal.layout(1, ['up', 'a_total']);
  journal.layout(2, ['up', 'b_total']);
  await fill(journal, frames, 200);
}

/** Pulls from `url` with the cursors that the parent has of `target`. */
async function pullFrom(url: string, parent: PullRig, target: PullTarget): Promise<PullOutcome> {
  const headers = await parent.puller.requestHeaders(target);
  const response = await fetch(url, { headers: { ...headers, accept: parent.puller.mediaType } });
  expect(response.status).toBe(200);
  return parent.puller.take(target, {}, new Uint8Array(await response.arrayBuffer()));
}

it.each([[[]], [['{__name__=~"up|a_total"}']]])(
  'takes nothing of another branch; a new epoch, and one gap to its first frame (match[] %j)',
  async (selector) => {
    const { journal, server, parent, had } = await branched(selector);
    const target = server.target(...selector);
    const before = parent.appender.samples.length;
    expect(comparePositions(journal.position, had)).toBeGreaterThan(0);
    expect(await parent.pull(target)).toEqual({ samples: 0, more: false });
    expect(parent.puller.totals.epochBreaks).toBe(1);
    // Until the break has come it is the same, pull after pull.
    expect(await parent.pull(target)).toEqual({ samples: 0, more: false });
    expect(server.broken).toEqual([had, had]);
    expect(server.server.totals.branches).toBe(2);
    expect(parent.appender.samples.length).toBe(before);
    await nextEpoch(journal, 3);
    await parent.pullAll(target);
    expect(parent.appender.gaps).toEqual<GapRecord[]>([
      {
        group: 0,
        from: asTime(T0 + 7001 - LATE),
        to: asTime(T0 + 200_000 + LATE),
        cause: 'restart',
        frames: -1,
      },
    ]);
    const perScrape = before / 8;
    expect(parent.appender.samples.length).toBe(before + 3 * perScrape);
    expect(parent.appender.totals).toMatchObject({ undecodable: 0, repeated: 0 });
    const taken = parent.appender.entries.map(({ entry }) => entry);
    const frames = taken.filter(({ kind }) => kind === EntryKind.frame);
    expect(frames.map(({ time }) => time - T0).filter((at) => at > 8000 && at < 200_000)).toEqual(
      [],
    );
    // And it goes on as always.
    await fill(journal, 1, 203);
    expect(await parent.pull(target)).toEqual({ samples: perScrape, more: false });
    expect(parent.appender.gaps.length).toBe(1);
  },
);

it('gives a reader of the new branch all of it', async () => {
  const { clock, journal, server } = await branched();
  const late = new PullRig(new MemoryStore(clock), clock, { owner: 'late' });
  await late.pullAll(server.target());
  await nextEpoch(journal, 3);
  await late.pullAll(server.target());
  expect(late.appender.samples.length).toBe((4 + 10 + 3) * 4);
  expect(late.appender.gaps).toEqual([]);
  expect(server.server.totals.branches).toBe(0);
});

it('names what was written between a copy put back and the break, for a reader beyond the end', async () => {
  const { clock, store, journal, server } = await startLeaf();
  await fill(journal, 4);
  const backup = store.copy();
  await fill(journal, 4, 4);
  const parent = new PullRig(new MemoryStore(clock), clock);
  await parent.pullAll(server.target());
  store.become(backup);
  await journal.reload();
  journal.rewind({ epoch: 1, sequence: 10 });
  server.restart();
  // Not as far as the reader has come: what is lost of these frames no later entry tells.
  await fill(journal, 1, 100);
  await parent.pullAll(server.target());
  expect(server.broken.length).toBe(1);
  await nextEpoch(journal, 2);
  await parent.pullAll(server.target());
  expect(parent.appender.gaps).toMatchObject([{ cause: 'restart', to: T0 + 200_000 + LATE }]);
  expect(parent.appender.samples.length).toBe((8 + 2) * 4);
});

it('reads nothing of the store for readers that come with what they were given last', async () => {
  const { clock, store, journal, server } = await startLeaf();
  await fill(journal, 4);
  const parent = new PullRig(new MemoryStore(clock), clock);
  await parent.pullAll(server.target());
  let reads = 0;
  const read = store.readEntries.bind(store);
  store.readEntries = (...args) => {
    reads++;
    return read(...args);
  };
  await parent.pull(server.target());
  expect(reads).toBe(0);
  // A process that does not know its cursor looks once.
  server.restart();
  await parent.pull(server.target());
  expect(reads).toBe(1);
  await parent.pull(server.target());
  expect(reads).toBe(1);
});

it('takes a parent whose own store fell back for what it is', async () => {
  const { clock, journal, server } = await startLeaf();
  await fill(journal, 4);
  const store = new MemoryStore(clock);
  const parent = new PullRig(store, clock);
  await parent.pullAll(server.target());
  const backup = store.copy();
  await fill(journal, 4, 4);
  await parent.pullAll(server.target());
  store.become(backup);
  await fill(journal, 1, 8);
  await parent.pullAll(server.target());
  await parent.pullAll(server.target());
  expect(server.server.totals).toMatchObject({ branches: 0, epochBreaks: 0 });
  expect(parent.appender.gaps).toEqual([]);
  expect(parent.appender.samples.length).toBe(9 * 4);
});

it('a journal that is passed on: a reader of another branch waits for the next epoch', async () => {
  const { clock, journal, server, parentStore, had } = await branched();
  // A second way to the journal that began after the copy was put back.
  const otherStore = new MemoryStore(clock);
  const other = new PullRig(otherStore, clock, { owner: 'other' });
  await other.pullAll(server.target());
  const first = await new ServerRig(parentStore, clock, id('b'), {}).listen();
  const second = await new ServerRig(otherStore, clock, id('c'), {}).listen();
  onTestFinished(() => first.close());
  onTestFinished(() => second.close());
  const top = new MemoryStore(clock);
  const upper = new PullRig(top, clock);
  await upper.pullAll(first.target());
  expect((await top.journal(journal.ref))!.position).toEqual(had);
  const askSecond = () => pullFrom(second.target().url, upper, first.target());
  expect(await askSecond()).toEqual({ samples: 0, more: false });
  expect(second.broken).toEqual([]);
  expect(second.server.totals.branches).toBe(1);
  expect((await top.journal(journal.ref))!.position).toEqual(had);
  await nextEpoch(journal, 3);
  await other.pullAll(server.target());
  while ((await askSecond()).more);
  expect(upper.appender.samples.length).toBe((8 + 3) * 4);
  expect(upper.appender.gaps).toMatchObject([{ cause: 'restart', to: T0 + 200_000 + LATE }]);
  expect(await top.readEntries(journal.ref, JOURNAL_START, ALL)).toHaveLength(18 + 1 + 2 + 6);
});
