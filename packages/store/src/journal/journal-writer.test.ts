import {
  type Family,
  CanopyError,
  SampleState,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { expect, it, vi } from 'vitest';
import {
  BASE,
  DOWN,
  addSeries,
  advanceUntil,
  at,
  clock,
  commits,
  committed,
  messages,
  open,
  openGroup,
  read,
  store,
  write,
} from '../testing/journal-rig.js';

it('writes layouts before the frames that need them, and tells what is synced', async () => {
  const journal = await open();
  const group = openGroup(journal);
  const family: Family = { name: 'm', type: 'gauge', help: 'h', unit: '' };
  expect(group.addFamily(family)).toBe(0);
  expect(group.addSlot(labelsFromObject({ __name__: 'm' }), 0)).toBe(0);
  write(group, 0, 1);
  write(group, 5000, 1);
  addSeries(group, 'n');
  write(group, 10_000, 'stale', 7);
  expect(committed).toEqual([]);
  await journal.flush();
  expect(committed.map(({ kind, key }) => (key ? -kind : kind))).toEqual([1, -2, 2, 1, 2]);
  const { frames, layouts, gaps } = await read(journal);
  expect(frames).toEqual(['a 0 m=1', 'a 5000 m=1', 'a 10000 m=stale n=7']);
  expect(layouts.map(({ version, slotCount }) => [version, slotCount])).toEqual([
    [1, 1],
    [2, 2],
  ]);
  expect(layouts[0].families).toEqual([family]);
  expect(gaps).toEqual([]);
  expect(journal.ledger).toMatchObject({ frames: 3, samples: 4, gapsTotal: 0 });
  expect(journal.ledger.watermark).toBe(BASE);
  await journal.close();
});

it('commits after the interval, or at once when enough waits', async () => {
  const journal = await open({ commitBytes: 600 });
  const group = openGroup(journal);
  addSeries(group, 'm');
  write(group, 0, 1);
  await clock.advance(999);
  expect(store.commits.length).toBe(0);
  await clock.advance(1);
  expect(store.commits.length).toBe(1);
  await journal.flush();
  for (let i = 1; i < 60; i++) write(group, i * 5000, i);
  await clock.advance(0);
  expect(store.commits.length).toBeGreaterThan(1);
  await journal.flush();
  for (const { entries } of store.commits) {
    const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
    expect(bytes).toBeLessThanOrEqual(600);
  }
  expect((await read(journal)).frames.length).toBe(60);
  await journal.close();
});

it('writes a key frame every so many, and after a long silence', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  for (let i = 0; i < 12; i++) write(group, i * 5000, i);
  write(group, 3_600_000, 1);
  await journal.flush();
  const keys = committed.filter(({ key }) => key).map(({ time }) => time - BASE);
  expect(keys).toEqual([0, 25_000, 50_000, 3_600_000]);
  journal.requestKeyFrames();
  write(group, 3_605_000, 1);
  write(group, 3_610_000, 1);
  await journal.flush();
  expect(committed.slice(-2).map(({ key }) => key)).toEqual([true, false]);
  await journal.close();
});

it('writes a large layout in records of a bounded size', async () => {
  const journal = await open({ queueBytesMax: 64 * 1024 * 1024 });
  const group = journal.openGroup({
    ...{ kind: 'aligned', target: labelsFromObject({ job: 'a' }), scrapeUrl: 'u' },
    interval: asDuration(5000),
  });
  const families = Array.from({ length: 20_000 }, (_, i) =>
    group.addFamily({ name: `f${i}`, type: 'gauge', help: '', unit: '' }),
  );
  const count = 40_000;
  for (let i = 0; i < count; i++) {
    group.addSlot(labelsFromObject({ __name__: 'm', i: String(i) }), families[i % 20_000]);
  }
  const states = new Uint8Array(count).fill(SampleState.value);
  const values = Float64Array.from(states, (_, i) => i);
  group.write(asTime(BASE), states, values, '');
  await journal.flush();
  const { layouts, frames } = await read(journal);
  expect(frames).toHaveLength(1);
  expect(
    layouts.map(({ version, firstSlot, slotCount }) => [version, firstSlot, slotCount]),
  ).toEqual([
    [1, 0, 0],
    [2, 0, 16_384],
    [3, 16_384, 32_768],
    [4, 32_768, count],
  ]);
  expect(layouts.flatMap((layout) => layout.families).map(({ name }) => name)).toEqual(
    families.map((index) => `f${index}`),
  );
  expect(layouts.flatMap(({ slots }) => slots).at(-1)).toEqual({
    labels: labelsFromObject({ __name__: 'm', i: '39999' }),
    family: 19_999,
  });
  await journal.close();
});

it('tries a commit again until its outcome is known', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  store.failBefore = DOWN;
  write(group, 0, 1);
  await clock.advance(1000);
  expect(journal.health.healthy).toBe(false);
  write(group, 5000, 2);
  store.failBefore = undefined;
  store.failAfter = DOWN;
  await advanceUntil(() => store.commits.length >= 3);
  expect(committed).toEqual([]);
  store.failAfter = undefined;
  await advanceUntil(() => journal.health.healthy);
  await journal.flush();
  expect(committed.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  expect((await read(journal)).frames).toEqual(['a 0 m=1', 'a 5000 m=2']);
  expect(messages).toEqual([
    'the store does not take journal commits: down',
    'the store takes journal commits again',
  ]);
  // What a kill would have cost at any moment can be read from these: nothing is synced that did not begin.
  expect(commits.filter((text) => text.includes('synced'))).toEqual([
    'a commit is synced: 2',
    'a commit is synced: 3',
  ]);
  expect(commits.indexOf('a commit begins: 3')).toBe(commits.indexOf('a commit is synced: 2') + 1);
  await journal.close();
});

it('drops the oldest over its limit, names the gaps, and everything kept decodes', async () => {
  const journal = await open({ queueBytesMax: 1500, keyFrameEvery: 10 });
  const groups = ['a', 'b'].map((job) => openGroup(journal, job));
  for (const group of groups) addSeries(group, 'm');
  for (const group of groups) write(group, 0, 0);
  await journal.flush();
  store.failBefore = new CanopyError('storage_full', 'full');
  let frames = 2;
  for (let i = 1; i <= 100; i++) {
    for (const group of groups) write(group, i * 5000, i);
    frames += 2;
    if (i === 1) await clock.advance(1000);
  }
  expect(journal.stats.framesDropped).toBeGreaterThan(20);
  expect(journal.stats.queueBytes).toBeLessThan(1700);
  store.failBefore = undefined;
  await advanceUntil(() => journal.health.healthy);
  for (const group of groups) write(group, 600_000, 7);
  await journal.flush();
  frames += 2;
  const found = await read(journal);
  expect(found.undecodable).toBe(0);
  expect(found.frames.length + journal.stats.framesDropped).toBe(frames);
  const named = found.gaps.reduce((sum, gap) => sum + gap.frames, 0);
  expect(named).toBe(journal.stats.framesDropped);
  expect(new Set(found.gaps.map(({ cause }) => cause))).toEqual(new Set(['refused']));
  for (const frame of found.frames) {
    const [, time, sample] = frame.split(' ');
    const value = time === '600000' ? 7 : Number(time) / 5000;
    expect(sample).toBe(`m=${value}`);
  }
  // Every step between two kept frames is an interval, or lies in a named gap.
  for (const [number, job] of [
    [1, 'a'],
    [2, 'b'],
  ] as const) {
    const times = found.frames.filter((f) => f.startsWith(job)).map((f) => Number(f.split(' ')[1]));
    for (let i = 1; i < times.length; i++) {
      const named = found.gaps.some(
        (gap) =>
          gap.group === number && gap.from - BASE === times[i - 1] && gap.to - BASE === times[i],
      );
      expect(times[i] - times[i - 1] === 5000 || named || times[i] === 600_000).toBe(true);
    }
  }
  expect(journal.ledger.refused).toEqual({ queue_full: journal.stats.framesDropped });
  await journal.close();
});

it('refuses a small step back of the clock, begins a new run after a large one', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  write(group, 100_000, 1);
  write(group, 100_000, 2);
  write(group, 95_000, 3);
  write(group, 94_999, 4);
  write(group, 99_999, 5);
  await journal.flush();
  const { frames, gaps, layouts } = await read(journal);
  expect(frames).toEqual(['a 100000 m=1', 'a 94999 m=4', 'a 99999 m=5']);
  expect(gaps).toEqual([
    { group: 1, from: at(100_000), to: at(94_999), cause: 'clock', frames: 0 },
  ]);
  expect(layouts.map(({ meta }) => meta.continues)).toEqual([0, 1]);
  expect(journal.stats.framesRefusedByClock).toBe(2);
  await journal.close();
});

it('rebases: kept slots under new numbers in a group that continues the old one', async () => {
  const journal = await open();
  const group = openGroup(journal);
  group.addFamily({ name: 'f', type: 'counter', help: '', unit: '' });
  addSeries(group, 'p', 'q', 'r', 's');
  write(group, 0, 1, 2, 3, 4);
  expect([...group.rebase(Uint8Array.of(0, 1, 0, 1))]).toEqual([-1, 0, -1, 1]);
  expect(group.slotCount).toBe(2);
  addSeries(group, 't');
  write(group, 5000, 20, 40, 50);
  await journal.flush();
  const { frames, layouts } = await read(journal);
  expect(frames).toEqual(['a 0 p=1 q=2 r=3 s=4', 'a 5000 q=20 s=40 t=50']);
  expect(layouts[1]).toMatchObject({ version: 1, firstSlot: 0, firstFamily: 0, slotCount: 3 });
  expect(layouts[1].meta.continues).toBe(1);
  expect(layouts[1].families.length).toBe(1);
  await journal.close();
});

it('gives series their families afterwards, in a group that continues the old one', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'p', 'q');
  write(group, 0, 1, 2);
  group.addFamily({ name: 'f', type: 'counter', help: '', unit: '' });
  group.retype(Int32Array.of(-1, 0));
  write(group, 5000, 3, 4);
  await journal.flush();
  const { frames, layouts, gaps } = await read(journal);
  expect(frames).toEqual(['a 0 p=1 q=2', 'a 5000 p=3 q=4']);
  expect(layouts[1].slots.map(({ family }) => family)).toEqual([-1, 0]);
  expect([layouts[1].meta.continues, gaps]).toEqual([1, []]);
  await journal.close();
});

it('writes loose groups', async () => {
  const journal = await open();
  const group = openGroup(journal, 'l', 'loose');
  addSeries(group, 'm', 'n');
  const times = Float64Array.of(at(-5000), at(-9000), at(3));
  const states = Uint8Array.of(1, 1, SampleState.stale);
  group.writeLoose(3, Uint32Array.of(1, 0, 1), times, states, Float64Array.of(1.5, 2, 0));
  await journal.flush();
  expect((await read(journal)).frames).toEqual(['l 0 n@-5000=1.5 m@-9000=2 n@3=stale']);
  expect(journal.ledger.samples).toBe(3);
  await journal.close();
});

it('continues a group that was closed and opened again', async () => {
  const journal = await open();
  const first = openGroup(journal);
  addSeries(first, 'm');
  write(first, 0, 1);
  first.close();
  const second = openGroup(journal);
  addSeries(second, 'm');
  write(second, 5000, 2);
  await journal.flush();
  const { layouts, gaps } = await read(journal);
  expect(layouts[1].meta.continues).toBe(1);
  expect(gaps).toEqual([]);
  await journal.close();
});

it('commits at once for somebody who is about to read, no more than four times an interval', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  write(group, 0, 1);
  await journal.commitForReader();
  expect((await read(journal)).frames).toEqual(['a 0 m=1']);
  write(group, 5000, 2);
  await journal.commitForReader();
  expect(journal.stats.commits).toBe(1);
  await clock.advance(250);
  await journal.commitForReader();
  expect((await read(journal)).frames).toEqual(['a 0 m=1', 'a 5000 m=2']);
  await clock.advance(250);
  await journal.commitForReader();
  expect(journal.stats.commits).toBe(2); // Nothing waits.
  // A store that does not take it is tried once, and then by the journal's own time.
  store.failBefore = DOWN;
  write(group, 10_000, 3);
  await journal.commitForReader();
  await journal.commitForReader();
  expect(store.commits.length).toBe(3);
  store.failBefore = undefined;
  await clock.advance(1000);
  await vi.waitFor(() => expect(journal.ledger.frames).toBe(3));
  await journal.close();
});
