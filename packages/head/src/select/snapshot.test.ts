import { type Family, asTime, makeMatcher } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { EVER, START, all, at, headRig, show } from '../testing/head-rig.js';
import { JournalScript } from '../testing/index.js';

it('shares times between the series of a group, and has null states where all are values', async () => {
  const { head } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' }, { __name__: 'w' });
  for (let i = 0; i < 20; i++) group.frame(at(i), [i, i, i < 15 ? i : undefined], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  const snapshot = head.snapshot();
  const selected = await snapshot.select([], EVER);
  expect(new Set(selected.map((series) => series.times)).size).toBe(1);
  expect(selected.map((series) => series.states === null)).toEqual([true, true, false]);
  snapshot.release();
});

it('cuts to the range, both ends inclusive', async () => {
  const { head } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 30; i++) group.frame(at(i), [i], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  const check = async (from: number, to: number, expected: string[]) => {
    const range = { minTime: asTime(at(from)), maxTime: asTime(at(to)) };
    expect(await all(head, head.snapshot(), range)).toEqual(expected);
  };
  await check(7, 9, ['x 7:7 8:8 9:9']);
  await check(6.5, 7.5, ['x 7:7']);
  await check(29, 99, ['x 29:29']);
  await check(30, 99, []);
  await check(-5, -1, []);
});

it('lets entries in while a select yields, and does not show them', async () => {
  class HastyClock extends VirtualClock {
    #elapsed = 0;
    override monotonic(): number {
      this.#elapsed += 11;
      return this.#elapsed;
    }
  }
  const { head } = headRig({ clock: new HastyClock(START), tileFrames: 16 });
  const journal = new JournalScript('a');
  const names = Array.from({ length: 900 }, (_, i) => ({ __name__: `n${i}` }));
  const group = journal.group().add(...names);
  let time = 0;
  const apply = () => {
    group.frame(
      at(time),
      Array.from(names, (_, i) => i + time),
      time % 64 === 0,
    );
    time++;
    head.apply(journal.ref, journal.take());
  };
  while (time < 63) apply(); // the next but one closes a tile
  const snapshot = head.snapshot();
  let selecting = true;
  const feeding = (async () => {
    while (selecting) {
      await new Promise((resolve) => setImmediate(resolve));
      for (let i = 0; i < 40; i++) apply();
    }
  })();
  const selected = await snapshot.select([], EVER);
  selecting = false;
  await feeding;
  expect(time).toBeGreaterThan(70); // a tile was closed and rows were packed meanwhile
  const expected = Array.from({ length: 63 }, (_, i) => i);
  for (const { labels, times, values, from, to } of selected) {
    const slot = Number(labels[1].slice(1));
    expect(Array.from(times.subarray(from, to), (each) => (each - START) / 1000)).toEqual(expected);
    expect(Array.from(values.subarray(from, to), (value) => value - slot)).toEqual(expected);
  }
  snapshot.release();
});

it('merges origins: the earlier one wins until it ends', async () => {
  const { head } = headRig();
  const east = new JournalScript('a');
  const west = new JournalScript('b');
  const first = east.group({ interval: 10_000 }).add({ __name__: 'x' });
  const second = west.group({ interval: 10_000 }).add({ __name__: 'x' });
  for (const seconds of [0, 10, 20, 30]) first.frame(at(seconds), [seconds]);
  for (const seconds of [25, 35, 45]) second.frame(at(seconds), [-seconds]);
  head.apply(west.ref, west.entries);
  head.apply(east.ref, east.entries);
  // The first may still go on: its next sample is only late.
  expect(await all(head)).toEqual(['x 0:0 10:10 20:20 30:30']);
  second.frame(at(55), [-55]);
  head.apply(west.ref, west.entries);
  expect(await all(head)).toEqual(['x 0:0 10:10 20:20 30:30 35:-35 45:-45 55:-55']);
  first.frame(at(60), ['stale']);
  head.apply(east.ref, east.entries);
  expect(await all(head)).toEqual(['x 0:0 10:10 20:20 30:30 35:-35 45:-45 55:-55']);
  expect(head.stats.samplesHidden).toBe(5);
});

it('shows a snapshot nothing that was applied after it', async () => {
  const { head, clock } = headRig({ tileSource: null });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  const loose = journal.group({ kind: 'loose' }).add({ __name__: 'l' });
  for (let i = 0; i < 5; i++) group.frame(at(i), [i]);
  loose.loose(at(4), [[0, at(4), 4]]);
  head.apply(journal.ref, journal.take());
  const snapshot = head.snapshot();
  const expected = ['l 4:4', 'x 0:0 1:1 2:2 3:3 4:4'];
  const check = async () => {
    expect(show(await snapshot.select([], EVER))).toEqual(expected);
    expect(await snapshot.labelValues('__name__', [], EVER)).toEqual(['l', 'x']);
  };
  for (let i = 5; i < 40; i++) {
    group.frame(at(i), [i], i % 8 === 0);
    loose.loose(at(i), [
      [0, at(i), i],
      [0, at(3), 3],
    ]); // prettier-ignore
    if (i === 20) group.add({ __name__: 'late' });
    head.apply(journal.ref, journal.take());
    if (i % 7 === 0) await check();
  }
  journal.group({ continues: group.id }).add({ __name__: 'x' }).frame(at(40), [40]);
  head.apply(journal.ref, journal.take());
  expect(head.expire(asTime(at(2000)))).toEqual({ series: 0, tiles: 0 });
  await check();
  snapshot.release();
  await clock.advance(1);
  expect(head.expire(asTime(at(2000))).tiles).toBeGreaterThan(0);
});

it('knows families, the newest description first', async () => {
  const { head } = headRig();
  const journal = new JournalScript('a');
  const family: Family = { name: 'x', type: 'counter', help: 'Counts.', unit: '' };
  const group = journal.group({ families: [family] }).add({ __name__: 'x' }, { __name__: 'y' });
  group.frame(at(0), [1, 2]);
  head.apply(journal.ref, journal.entries);
  expect([...head.metadata()]).toEqual([['x', [family]]]);
  const snapshot = head.snapshot();
  const selected = await snapshot.select([makeMatcher('__name__', '=~', 'x|y')], EVER);
  expect(selected.map((series) => series.family)).toEqual([family, undefined]);
  snapshot.release();
});

it('lists series, label names and values of a range', async () => {
  const { head } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x', job: 'a' }, { __name__: 'y', zone: 'é' });
  for (let i = 0; i < 20; i++) group.frame(at(i), [1, i < 5 ? 1 : undefined], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  const snapshot = head.snapshot();
  const late = { minTime: asTime(at(10)), maxTime: asTime(at(99)) };
  expect(await snapshot.labelNames([], EVER)).toEqual(['__name__', 'job', 'zone']);
  expect(await snapshot.labelNames([], late)).toEqual(['__name__', 'job']);
  expect(await snapshot.labelValues('__name__', [], late)).toEqual(['x']);
  const zoned = [makeMatcher('zone', '!=', '')];
  expect(await snapshot.series([zoned, zoned], EVER)).toEqual([['__name__', 'y', 'zone', 'é']]);
  expect(await snapshot.labelValues('job', [zoned], EVER)).toEqual([]);
  snapshot.release();
});

it('stops a select whose signal is aborted', async () => {
  const { head } = headRig();
  const snapshot = head.snapshot();
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(snapshot.select([], EVER, signal)).rejects.toThrow('enough');
  snapshot.release();
  snapshot.release();
  expect(head.stats.openSnapshots).toBe(0);
});
