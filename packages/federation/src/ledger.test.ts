/** What a puller's ledger says beside that of its source, hop by hop, over pages and restarts. */
import { VirtualClock } from '@canopy/model/testing';
import {
  type JournalId,
  type JournalRef,
  type Ledger,
  type LedgerWindow,
  asDuration,
  asTime,
  emptyJob,
  labelsFromObject,
  missingFrames,
  parseLedger,
} from '@canopy/model';
import { afterEach, expect, it } from 'vitest';
import { FixtureJournal } from './testing/fixture-journal.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig, ServerRig, id } from './testing/rig.js';

const LEAF = id('a');
const HOUR = 3_600_000;
/** A window begins here. */
const T0 = 236_000 * 2 * HOUR;
const rigs: ServerRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

const serve = async (
  store: MemoryStore,
  clock: VirtualClock,
  own: JournalId,
  name: string,
  pulled?: PullRig,
) => {
  const trail = (ref: JournalRef) => pulled?.puller.ledgerOf(ref)?.trail ?? [];
  const rig = new ServerRig(store, clock, own, { name, watermark: () => T0, trail });
  rigs.push(rig);
  return rig.listen();
};

async function leaf() {
  const clock = new VirtualClock(T0);
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, LEAF);
  journal.layout(1, ['up', 'a_total']);
  return { clock, store, journal, server: await serve(store, clock, LEAF, 'leaf') };
}

/** Frames from `first` on, a second apart, with the ledger that a leaf would write. */
async function fill(journal: FixtureJournal, first: number, count: number): Promise<void> {
  for (let i = first; i < first + count; i++) journal.frame(1, T0 + i * 1000, [1, i]);
  const frames = first + count;
  const refused = { sample_limit: 1 };
  const job = { ...emptyJob(), scraped: frames + 3, journalled: frames - 1, refused, missed: 2 };
  const windows: LedgerWindow[] = [[236_000, 1, frames, 2 * frames]];
  journal.ledger = { frames, jobs: { test: { ...job, frames, samples: 2 * frames } }, windows };
  await journal.commit();
}

const ledgerOf = async (store: MemoryStore, ref: JournalRef): Promise<Ledger> =>
  parseLedger((await store.journal(ref))!.ledger);

it('has what the source counted, as of the same position, in the write that stores the frames', async () => {
  const { clock, journal, server } = await leaf();
  await fill(journal, 0, 10);
  const store = new MemoryStore(clock);
  const parent = new PullRig(store, clock);
  await parent.pull(server.target());
  const ledger = await ledgerOf(store, journal.ref);
  expect(ledger.trail).toEqual([
    {
      ...{ name: 'leaf', position: journal.position, frames: 10 },
      jobs: journal.ledger.jobs,
      windows: [[236_000, 1, 10, 20]],
    },
  ]);
  expect(ledger.balance).toEqual({ stored: { test: 10 }, refused: {}, before: {} });
  expect(ledger.jobs).toEqual({ test: { ...emptyJob(), frames: 10 } });
  expect(ledger.windows).toEqual([[236_000, 1, 10, 0]]);
  // Not with every page.
  await fill(journal, 10, 1);
  await clock.advance(5000);
  await parent.pull(server.target());
  expect((await ledgerOf(store, journal.ref)).balance!.stored).toEqual({ test: 10 });
  await fill(journal, 11, 1);
  await clock.advance(5000);
  await parent.pull(server.target());
  expect(await ledgerOf(store, journal.ref)).toMatchObject({
    balance: { stored: { test: 12 }, before: {} },
    jobs: { test: { frames: 12 } },
  });
});

it('counts jobs on after a restart, from what others know of the groups', async () => {
  const { clock, journal, server } = await leaf();
  await fill(journal, 0, 3);
  const store = new MemoryStore(clock);
  await new PullRig(store, clock).pull(server.target());
  await fill(journal, 3, 2);
  await clock.advance(20_000);
  const target = labelsFromObject({ job: 'test' });
  const meta = { target, scrapeUrl: '', interval: asDuration(0), continues: 0 };
  const again = new PullRig(store, clock, { groupOf: () => ({ ...meta, kind: 'aligned' }) });
  await again.pull(server.target());
  const ledger = await ledgerOf(store, journal.ref);
  expect(ledger.jobs.test.frames).toBe(5);
  expect(missingFrames(ledger, 'test')).toBe(0);
});

it('shows frames that were trimmed before it came as missing, those before its time not', async () => {
  const { clock, journal, server } = await leaf();
  await fill(journal, 0, 5);
  await journal.trim(journal.position);
  await fill(journal, 5, 5);
  const store = new MemoryStore(clock);
  const parent = new PullRig(store, clock);
  await parent.pullAll(server.target());
  expect((await ledgerOf(store, journal.ref)).balance!.before.test).toBeGreaterThan(0);
  expect(missingFrames(await ledgerOf(store, journal.ref), 'test')).toBe(0);
});

it('passes the counts of every level on', async () => {
  const { clock, journal, server } = await leaf();
  await fill(journal, 0, 10);
  const midStore = new MemoryStore(clock);
  const mid = new PullRig(midStore, clock);
  await mid.pull(server.target());
  const midServer = await serve(midStore, clock, id('b'), 'mid');
  const topStore = new MemoryStore(clock);
  const top = new PullRig(topStore, clock);
  await top.pull(midServer.target());
  const { trail, balance } = await ledgerOf(topStore, journal.ref);
  expect(trail.map(({ name, frames }) => `${name} ${frames}`)).toEqual(['leaf 10', 'mid 10']);
  expect(trail.map(({ windows }) => windows.length)).toEqual([1, 0]);
  expect(trail[0].jobs.test).toMatchObject({ scraped: 13, missed: 2 });
  expect(balance).toEqual({ stored: { test: 10 }, refused: {}, before: {} });
});

it('passes on what is said of a journal that has fallen silent: nothing is stored with it', async () => {
  const { clock, journal, server } = await leaf();
  await fill(journal, 0, 10);
  const midStore = new MemoryStore(clock);
  const mid = new PullRig(midStore, clock);
  await mid.pull(server.target());
  await fill(journal, 10, 5);
  await mid.pull(server.target()); // says nothing of these: it was told just now
  await clock.advance(20_000);
  await mid.pull(server.target());
  const midServer = await serve(midStore, clock, id('b'), 'mid', mid);
  const topStore = new MemoryStore(clock);
  await new PullRig(topStore, clock).pull(midServer.target());
  const { trail } = await ledgerOf(topStore, journal.ref);
  expect(trail.map(({ name, frames }) => `${name} ${frames}`)).toEqual(['leaf 15', 'mid 15']);
});

it('tells a reader that begins anew at once', async () => {
  const { clock, journal, server } = await leaf();
  await fill(journal, 0, 10);
  await new PullRig(new MemoryStore(clock), clock).pull(server.target());
  const store = new MemoryStore(clock);
  await new PullRig(store, clock).pull(server.target());
  expect((await ledgerOf(store, journal.ref)).balance).not.toBeNull();
});

it('names the job of a gap in one group', async () => {
  const { clock, journal, server } = await leaf();
  await fill(journal, 0, 2);
  const gap = {
    from: asTime(T0 + 1000),
    to: asTime(T0 + 9000),
    cause: 'restart',
    frames: -1,
  } as const;
  journal.gap({ ...gap, group: 1 });
  journal.gap({ ...gap, group: 0, cause: 'corrupt' });
  await journal.commit();
  const store = new MemoryStore(clock);
  await new PullRig(store, clock).pull(server.target());
  expect((await ledgerOf(store, journal.ref)).gaps).toEqual([
    { ...gap, group: 1, job: 'test' },
    { ...gap, group: 0, cause: 'corrupt' },
  ]);
});

it('passes on no way that it does not know itself', async () => {
  const { clock, journal } = await leaf();
  await fill(journal, 0, 10);
  const midStore = new MemoryStore(clock);
  // As of a leaf of an earlier version.
  const silent = new FixtureJournal(midStore, LEAF);
  silent.layout(1, ['up', 'a_total']);
  silent.frame(1, T0, [1, 1]);
  silent.ledger = { frames: 1, windows: [[236_000, 1, 1, 0]] };
  await silent.commit();
  const midServer = await serve(midStore, clock, id('b'), 'mid');
  const topStore = new MemoryStore(clock);
  await new PullRig(topStore, clock).pull(midServer.target());
  expect(await ledgerOf(topStore, journal.ref)).toMatchObject({ trail: [], balance: null });
});

it('says how much is still to come', async () => {
  const { clock, store, journal } = await leaf();
  await fill(journal, 0, 100);
  const rig = new ServerRig(store, clock, LEAF, { pageBytes: 300 });
  rigs.push(await rig.listen());
  const parent = new PullRig(new MemoryStore(clock), clock);
  const behind: number[] = [];
  for (let more = true; more; ) {
    more = (await parent.pull(rig.target())).more;
    behind.push(parent.puller.sources()[0].behindBytes);
  }
  expect(behind.length).toBeGreaterThan(3);
  expect(behind.at(-1)).toBe(0);
  for (let i = 1; i < behind.length; i++) expect(behind[i]).toBeLessThan(behind[i - 1]);
  expect(behind[0]).toBeGreaterThan(300);
});

it('tells how old its knowledge of a source is, and how far the clocks are apart', async () => {
  const { clock, store, journal } = await leaf();
  await fill(journal, 0, 10);
  const server = await serve(store, clock, LEAF, 'leaf');
  const ours = new VirtualClock(T0 + 90_000);
  const parent = new PullRig(new MemoryStore(ours), ours);
  const status = () => parent.puller.sources()[0];
  await parent.pull(server.target());
  expect(status()).toMatchObject({ hopLagSeconds: 0, behindBytes: 0 });
  expect(status().clockSkew).toEqual({ seconds: -90, errorSeconds: 0 });
  await ours.advance(7000);
  expect(status().hopLagSeconds).toBe(7);
});
