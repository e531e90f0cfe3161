/** Frames that are kept but cannot be decoded, views that take long to make, readers that are away. */
import { asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it, onTestFinished } from 'vitest';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { HurriedClock, PullRig, ServerRig, id } from '../testing/rig.js';
import type { FrameServerOptions } from './frames.js';

const T0 = 1_700_000_000_000;

async function leaf(options: Partial<FrameServerOptions> = {}, clock = new VirtualClock(T0)) {
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  const server = await new ServerRig(store, clock, id('a'), options).listen();
  onTestFinished(() => server.close());
  return { clock, store, journal, server };
}

it('tells a filtered reader of what a corrupt record takes with it', async () => {
  const { clock, store, journal, server } = await leaf();
  journal.layout(1, ['a', 'b']);
  for (let i = 0; i < 6; i++) journal.frame(1, T0 + i * 1000, [i, i]);
  await journal.commit();
  store.damage(journal.ref, { epoch: 1, sequence: 3 });
  const copy = new MemoryStore(clock);
  const parent = new PullRig(copy, clock);
  await parent.pullAll(server.target('a'));
  const { samples, gaps, lost } = parent.appender;
  const seen = samples.map((line) => line.split('@')[1].slice(-6));
  expect(seen).toEqual(['0000 0', '4000 4', '5000 5']);
  expect(gaps).toEqual([
    { group: 0, from: T0 - 1, to: T0 + 2001, cause: 'corrupt', frames: 1 },
    { group: 1, from: T0, to: T0 + 2001, cause: 'corrupt', frames: 1 },
    { group: 1, from: T0 + 2000, to: T0 + 3001, cause: 'corrupt', frames: 1 },
  ]);
  expect(lost).toEqual([]);
  const [{ ledger }] = await copy.journals();
  expect(JSON.parse(ledger).gaps.slice(1)).toEqual([
    { group: 1, from: T0, to: T0 + 3001, cause: 'corrupt', frames: 2, job: 'test' },
  ]);
});

it.each([
  ['the first record of a layout', 1, [['a', 'b']], []],
  ['a later one of a group that the filter was not for', 4, [['b'], ['a']], []],
  ['a later one of a group that it was for', 4, [['a'], ['a2']], ['0000 0', '1000 1']],
])(
  'tells a filtered reader of frames that nobody knows the series of without %s',
  async (...given) => {
    const [, sequence, slots, expected] = given;
    const { clock, store, journal, server } = await leaf();
    journal.keyEvery = 3;
    journal.layout(1, slots[0]);
    if (slots.length > 1) {
      for (let i = 0; i < 2; i++) journal.frame(1, T0 + i * 1000, [i]);
      journal.layout(1, slots[1]);
    }
    for (let i = 2; i < 9; i++) journal.frame(1, T0 + i * 1000, [i, i]);
    await journal.commit();
    store.damage(journal.ref, { epoch: 1, sequence });
    const parent = new PullRig(new MemoryStore(clock), clock);
    await parent.pullAll(server.target('a'));
    const { samples, gaps } = parent.appender;
    expect(samples.map((line) => line.split('@')[1].slice(-6))).toEqual(expected);
    const ofGroup = gaps.filter(({ group }) => group === 1);
    expect(ofGroup.length).toBe(7);
    for (const { cause, frames } of ofGroup) expect([cause, frames]).toEqual(['corrupt', 1]);
    expect(ofGroup[0].from).toBeLessThan(T0 + 2000);
    expect(ofGroup[6].to).toBe(T0 + 8001);
  },
);

it('gets on with views that take longer to make than a page may take', async () => {
  // None is kept, and ten of them are made again for each page that reads so many journals.
  const options = { viewsMax: 0, pageTime: asDuration(3) };
  const { clock, store, server } = await leaf(options, new HurriedClock(T0));
  const readEntries = store.readEntries.bind(store);
  store.readEntries = (ref, after, { maxBytes }) =>
    readEntries(ref, after, { maxBytes, maxEntries: 2 });
  const journals = Array.from('0123456789', (digit) => new FixtureJournal(store, id(digit)));
  for (const journal of journals) {
    journal.keyEvery = 1000;
    journal.layout(1, ['a', 'b']);
  }
  const parent = new PullRig(new MemoryStore(clock), clock);
  let frames = 0;
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 10; i++, frames++) {
      for (const journal of journals) journal.frame(1, T0 + frames * 1000, [frames, 0]);
    }
    for (const journal of journals) await journal.commit();
    await parent.pullAll(server.target('a'), 5000);
  }
  expect(parent.appender.samples.length).toBe(frames * journals.length);
  expect(parent.appender.gaps).toEqual([]);
  expect(server.server.totals.undecodable).toBe(0);
});

it.each([3, 5, 7, 9, 11, 13])(
  'makes a view anew that was under way when the journal was cut under it, after %i ms',
  async (pageTime) => {
    // A look at the clock is a millisecond: somewhere in the middle the time is up.
    const options = { viewsMax: 0, pageTime: asDuration(pageTime), reorder: asDuration(0) };
    const { clock, store, journal, server } = await leaf(options, new HurriedClock(T0));
    const readEntries = store.readEntries.bind(store);
    store.readEntries = (ref, after, { maxBytes }) =>
      readEntries(ref, after, { maxBytes, maxEntries: 2 });
    const parent = new PullRig(new MemoryStore(clock), clock);
    const target = server.target('a');
    for (let i = 0; i < 3; i++) journal.layout(1, [{ __name__: 'a', slot: String(i) }]);
    await journal.commit();
    await parent.pull(target);
    // From here on a part of the group passes: the view is made again from its first layout.
    journal.layout(1, [{ __name__: 'a', slot: '3' }]);
    journal.layout(1, ['b', 'a']);
    await journal.commit();
    await parent.pull(target);
    await journal.trim(journal.safeCut);
    journal.frame(1, T0 + 1000, [0, 1, 2, 3, 4, 5]);
    await journal.commit();
    await parent.pullAll(target, 500);
    expect(parent.appender.samples.length).toBe(5);
  },
);

it('remembers readers in the store, with what is needed to go on for them', async () => {
  const options = { rememberReaders: true };
  const { clock, store, journal, server } = await leaf(options);
  journal.keyEvery = 100;
  journal.layout(1, ['a', 'b']);
  for (let i = 0; i < 9; i++) journal.frame(1, T0 + i * 1000, [i, i]);
  await journal.commit();
  // Before it is known who reads nothing may go, and then all of it.
  expect(server.server.oldestReader(journal.ref)).toEqual({ epoch: 0, sequence: 0 });
  await clock.advance(0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(server.server.oldestReader(journal.ref)).toBeUndefined();
  const parent = new PullRig(new MemoryStore(clock), clock);
  await parent.pullAll(server.target('a'));
  journal.frame(1, T0 + 9000, [9, 9]);
  await journal.commit();
  await clock.advance(31_000);
  await parent.pullAll(server.target('a'));
  // Read up to the end, but the view goes back to the key frame.
  expect(server.server.readers()[0].positions[0][1]).toEqual({ epoch: 1, sequence: 10 });
  const needed = { epoch: 1, sequence: 1 };
  expect(server.server.oldestReader(journal.ref)).toEqual(needed);
  // Another process.
  const next = await new ServerRig(store, clock, id('a'), options).listen();
  onTestFinished(() => next.close());
  next.server.oldestReader(journal.ref);
  await new Promise((resolve) => setImmediate(resolve));
  expect(next.server.oldestReader(journal.ref)).toEqual(needed);
  await journal.trim(needed);
  journal.frame(1, T0 + 10_000, [10, 10]);
  await journal.commit();
  await parent.pullAll(next.target('a'));
  expect(parent.appender.samples.length).toBe(11);
  expect(parent.appender.gaps).toEqual([]);
  // Away for too long, it is waited for no more.
  await clock.advance(3_600_001);
  expect(next.server.oldestReader(journal.ref)).toBeUndefined();
  // A list that cannot be read is nobody's.
  await store.putDocument('readers', '{');
  const third = await new ServerRig(store, clock, id('a'), options).listen();
  onTestFinished(() => third.close());
  await new PullRig(new MemoryStore(clock), clock).pullAll(third.target());
});
