import {
  type Family,
  type JournalRef,
  type SelectedSeries,
  type Snapshot,
  asDuration,
  asTime,
  formatLabels,
  makeMatcher,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { Head } from './head.js';
import type { HeadOptions } from './options.js';
import { JournalScript, TileStore } from './testing/index.js';

const START = 1_700_000_000_000;
const EVER = { minTime: asTime(0), maxTime: asTime(8.64e15) };

function makeHead(options: Partial<HeadOptions> = {}, store = new TileStore()) {
  const clock = new VirtualClock(START);
  const closed: JournalRef[] = [];
  const head: Head = new Head({
    clock,
    windowMs: asDuration(60_000),
    tileFrames: 8,
    outOfOrderWindow: asDuration(10_000),
    onTileClosed: (ref, tile) => {
      closed.push(ref);
      store.put(ref, tile);
    },
    tileSource: store,
    maxSeries: 1000,
    ...options,
  });
  return { head, clock, store, closed };
}

/** `name{labels} t:v t:v …`, times in seconds from START, `s` for a stale mark. */
function show(selected: readonly SelectedSeries[]): string[] {
  return selected
    .map(({ labels, times, values, states, from, to }) => {
      const samples: string[] = [];
      for (let i = from; i < to; i++) {
        const state = states === null ? 1 : states[i];
        if (state === 0) continue;
        samples.push(`${(times[i] - START) / 1000}:${state === 2 ? 's' : values[i]}`);
      }
      return `${formatLabels(labels)} ${samples.join(' ')}`;
    })
    .sort();
}

async function all(head: Head, snapshot: Snapshot = head.snapshot(), range = EVER) {
  const selected = show(await snapshot.select([], range));
  snapshot.release();
  return selected;
}

const at = (seconds: number): number => START + seconds * 1000;

it('answers with what was applied, slot by slot', async () => {
  const { head } = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' });
  group.frame(at(0), [1, 10]);
  group.frame(at(1), [2, undefined]);
  group.frame(at(2), ['stale', 12]);
  group.add({ __name__: 'z' });
  group.frame(at(3), [undefined, 12, 5]);
  const totals = head.apply(journal.ref, journal.entries);
  expect(totals).toMatchObject({ frames: 4, samples: 7, repeated: 0, undecodable: 0 });
  expect(await all(head)).toEqual(['x 0:1 1:2 2:s', 'y 0:10 2:12 3:12', 'z 3:5']);
  expect(head.apply(journal.ref, journal.entries)).toMatchObject({ frames: 0, repeated: 4 });
  expect(head.position(journal.ref)).toEqual({ epoch: 1, sequence: 6 });
  expect(head.stats).toMatchObject({ activeSeries: 2, series: 3, samplesAppended: 7 });
});

it('shares times between the series of a group, and has null states where all are values', async () => {
  const { head } = makeHead();
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
  const { head } = makeHead();
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

it('closes tiles at key frames and says what may be trimmed', async () => {
  const { head, store, closed } = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 20; i++) group.frame(at(i), [i], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  expect(closed.length).toBe(2);
  // Nothing is reported stored: all but the layout before the first frame is needed.
  expect(head.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 1 });
  const metas = store.metas(journal.ref);
  expect(metas.map((m) => [m.firstSequence, m.lastSequence])).toEqual([
    [2, 9],
    [10, 17],
  ]);
  head.tileStored(journal.ref, metas[1]);
  expect(head.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 1 });
  head.tileStored(journal.ref, metas[0]);
  expect(head.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 17 });
});

it('reads tiles back that have left memory, and forgets what retention dropped', async () => {
  const { head, store } = makeHead({ tileCacheBytesMax: 1 });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' });
  for (let i = 0; i < 20; i++) group.frame(at(i), [i, i], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  const whole = await all(head);
  for (const meta of store.metas(journal.ref)) head.tileStored(journal.ref, meta);
  expect(head.expire(asTime(at(60 + 10)))).toEqual({ series: 0, tiles: 1 });
  expect(head.stats.tilesInMemory).toBe(1);
  expect(await all(head)).toEqual(whole);
  expect([store.reads, store.tilesRead]).toEqual([1, 1]);
  // Inside the window nothing is read back.
  await all(head, head.snapshot(), { minTime: asTime(at(8)), maxTime: asTime(at(99)) });
  expect(store.reads).toBe(1);
  const [first] = store.metas(journal.ref);
  store.drop(journal.ref, first);
  expect((await all(head))[0]).toMatch(/^x 8:8/); // gone from the store behind our back
  expect(head.stats.tilesUnreadable).toBe(1);
  head.dropTiles(journal.ref, [first]);
  await all(head);
  expect(head.stats.tilesUnreadable).toBe(1);
});

it('goes on after a restart from layouts, tiles and the journal that is left', async () => {
  const { head, store } = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' });
  for (let i = 0; i < 13; i++) group.frame(at(i), [i, i % 3], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  const whole = await all(head);
  const { head: second } = makeHead({}, store);
  second.restoreLayouts(
    journal.ref,
    journal.entries.filter((entry) => entry.kind === 1),
  );
  second.restoreTiles(journal.ref, store.metas(journal.ref));
  expect(second.position(journal.ref)).toBeUndefined();
  const totals = second.apply(journal.ref, journal.entries);
  expect(totals).toMatchObject({ frames: 5, repeated: 8 });
  expect(await all(second)).toEqual(whole);
  expect(second.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 9 });
  // The journal may also begin amid the frames of a stored tile.
  const { head: third } = makeHead({}, store);
  third.restoreLayouts(journal.ref, journal.entries.slice(0, 1));
  third.restoreTiles(journal.ref, store.metas(journal.ref));
  const rest = third.apply(journal.ref, journal.entries.slice(5));
  expect(rest).toMatchObject({ frames: 5, repeated: 4, undecodable: 0 });
  expect(await all(third)).toEqual(whole);
});

it('counts frames that come before their layout or their key frame', async () => {
  const { head } = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 3; i++) group.frame(at(i), [i]);
  group.add({ __name__: 'y' });
  group.frame(at(3), [3, 3]);
  group.frame(at(4), [4, 4], true);
  const [layout, key, delta, , wider, beyond, last] = journal.entries;
  const later = { ...layout, sequence: 2.5 };
  expect(head.apply(journal.ref, [key])).toMatchObject({ frames: 0, undecodable: 1 });
  expect(head.apply(journal.ref, [later, delta])).toMatchObject({ frames: 0, undecodable: 1 });
  // A frame of a layout version that never came, then the version, then a key frame.
  expect(head.apply(journal.ref, [wider, beyond])).toMatchObject({ frames: 0, undecodable: 1 });
  expect(head.apply(journal.ref, [last])).toMatchObject({ frames: 1 });
  expect(await all(head)).toEqual(['x 4:4', 'y 4:4']);
});

it('lets entries in while a select yields, and does not show them', async () => {
  class HastyClock extends VirtualClock {
    #elapsed = 0;
    override monotonic(): number {
      this.#elapsed += 11;
      return this.#elapsed;
    }
  }
  const { head } = makeHead({ clock: new HastyClock(START), tileFrames: 16 });
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

it('leaves out a group without base, names that, and takes it up again at a key frame', async () => {
  const lost: string[] = [];
  const { head } = makeHead({
    onFramesLost: (_ref, { group, from, to, cause, frames }) =>
      void lost.push(`${group} ${from - START}..${to - START} ${cause} ${frames}`),
  });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 3; i++) group.frame(at(i), [i]);
  journal.gap(0, at(3), 'trimmed');
  group.frame(at(4), [4]);
  group.frame(at(5), [5], true);
  const entries = journal.take();
  const broken = { ...entries[2], bytes: entries[2].bytes.slice() };
  broken.bytes.fill(0xff, 8, broken.bytes.length - 4);
  const totals = head.apply(journal.ref, [entries[0], entries[1], broken, ...entries.slice(3)]);
  expect(totals).toMatchObject({ frames: 2, undecodable: 2, refused: { corrupt: 1 } });
  expect(await all(head)).toEqual(['x 0:0 5:5']);
  expect(lost).toEqual(['1 0..1001 corrupt 1', '1 0..2001 corrupt 2', '1 0..4001 corrupt 3']);
  // A group that is new here, from a journal that was cut, or whose first frame was damaged; not of one that is read from its middle.
  for (const [name, cause] of [
    ['b', 'trimmed'],
    ['c', 'corrupt'],
    ['d', undefined],
  ] as const) {
    lost.length = 0;
    const late = new JournalScript(name);
    const other = late.group().add({ __name__: 'y' });
    for (let i = 0; i < 4; i++) other.frame(at(i), [i], i === 3);
    const [layout, , ...frames] = late.take();
    if (cause !== undefined) late.gap(0, at(1), cause);
    const gaps = late.take().map((gap) => ({ ...gap, sequence: 1.5 }));
    head.apply(late.ref, [layout, ...gaps, ...frames]);
    const named = [`1 999..1001 ${cause} 1`, `1 999..2001 ${cause} 2`];
    expect(lost).toEqual(cause === undefined ? [] : named);
  }
});

it('refuses frames that do not go forward', async () => {
  const { head } = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  group.frame(at(5), [1]);
  group.frame(at(5), [2]);
  group.frame(at(4), [3]);
  group.frame(at(6), [4]);
  const totals = head.apply(journal.ref, journal.entries);
  expect(totals).toMatchObject({ frames: 2, samples: 2, refused: { out_of_order: 2 } });
  expect(await all(head)).toEqual(['x 5:1 6:4']);
});

it('keeps loose samples with times of their own', async () => {
  const { head, store } = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group({ kind: 'loose' }).add({ __name__: 'x' }, { __name__: 'y' });
  const check = (samples: Array<[number, number, number | 'stale']>, expected: object) => {
    group.loose(
      at(100),
      samples.map(([slot, seconds, sample]) => [slot, at(seconds), sample]),
    );
    const { samples: taken, refused } = head.apply(journal.ref, journal.take());
    expect({ taken, ...refused }).toEqual(expected);
  };
  check(
    [
      [0, 100, 1],
      [1, 90, 2],
    ],
    { taken: 2 },
  ); // prettier-ignore
  check([[0, 100, 1]], { taken: 0 }); // the same again: silently
  check([[0, 100, 7]], { taken: 0, duplicate: 1 });
  check([[0, 95, 3]], { taken: 1 }); // late, within the window
  check(
    [
      [0, 95, 3],
      [0, 95, 4],
    ],
    { taken: 0, duplicate: 1 },
  ); // prettier-ignore
  check([[0, 89, 3]], { taken: 0, too_old: 1 });
  check([[1, 91, 4]], { taken: 1 }); // older than the group's newest, in order for its series
  for (let i = 0; i < 8; i++) check([[0, 101 + i, i]], { taken: 1 });
  check(
    [
      [0, 99, 'stale'],
      [0, 97, 9],
    ],
    { taken: 1, too_old: 1 },
  ); // prettier-ignore
  const expected = [
    'x 95:3 99:s 100:1 101:0 102:1 103:2 104:3 105:4 106:5 107:6 108:7',
    'y 90:2 91:4',
  ];
  expect(await all(head)).toEqual(expected);
  const metas = store.metas(journal.ref);
  expect(metas.length).toBe(1);
  head.tileStored(journal.ref, metas[0]);
  head.expire(asTime(at(200)));
  expect(await all(head)).toEqual(expected);
});

it('tells loose samples that it has, be they in a closed tile, from late ones', () => {
  const { head, store } = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group({ kind: 'loose' }).add({ __name__: 'x' });
  const check = (samples: Array<[number, number | 'stale']>, expected: object) => {
    group.loose(
      at(100),
      samples.map(([seconds, sample]) => [0, at(seconds), sample]),
    );
    const { samples: taken, refused } = head.apply(journal.ref, journal.take());
    expect({ taken, ...refused }).toEqual(expected);
  };
  check(
    [
      [90, 1],
      [92, 'stale'],
    ],
    { taken: 2 },
  ); // prettier-ignore
  for (let i = 0; i < 8; i++) check([[93, i]], i === 0 ? { taken: 1 } : { taken: 0, duplicate: 1 });
  expect(store.metas(journal.ref).length).toBe(1);
  check([[90, 1]], { taken: 0 }); // the same again
  check(
    [
      [90, 2],
      [92, 7],
    ],
    { taken: 0, duplicate: 2 },
  ); // prettier-ignore
  check(
    [
      [92, 'stale'],
      [91, 5],
    ],
    { taken: 1 },
  ); // prettier-ignore
  check([[120, 6]], { taken: 1 });
  check([[90, 1]], { taken: 0, too_old: 1 }); // whether it was there is not looked for
});

it('merges origins: the earlier one wins until it ends', async () => {
  const { head } = makeHead();
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
  const { head, clock } = makeHead({ tileSource: null });
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

it('forgets groups that have ended, their series and at last their layouts', async () => {
  const { head } = makeHead({ tileSource: null });
  const journal = new JournalScript('a');
  const old = journal.group().add({ __name__: 'x' }, { __name__: 'only_old' });
  for (let i = 0; i < 5; i++) old.frame(at(i), [i, i]);
  const next = journal.group({ continues: old.id }).add({ __name__: 'x' });
  next.frame(at(5), [5]);
  head.apply(journal.ref, journal.entries);
  expect(head.groups(journal.ref).map((g) => [g.group, g.ended])).toEqual([
    [1, true],
    [2, false],
  ]);
  const { position } = { position: head.position(journal.ref)! };
  expect(head.groupsNotNeeded(journal.ref, position)).toEqual([]);
  expect(head.expire(asTime(at(65)))).toEqual({ series: 1, tiles: 1 });
  expect(head.groupsNotNeeded(journal.ref, { epoch: 1, sequence: 3 })).toEqual([]);
  expect(head.groupsNotNeeded(journal.ref, position)).toEqual([{ epoch: 1, group: 1 }]);
  head.layoutsDropped(journal.ref, [{ epoch: 1, group: 1 }]);
  expect(head.groupsNotNeeded(journal.ref, position)).toEqual([]);
  expect(await all(head)).toEqual(['x 5:5']);
  head.dropJournal(journal.ref);
  expect(await all(head)).toEqual([]);
  expect(head.stats).toMatchObject({ series: 0, groups: 0 });
});

it('ends a group that its journal has left behind; one that is only late stays needed', () => {
  const { head } = makeHead();
  const journal = new JournalScript('a');
  const quiet = journal.group().add({ __name__: 'quiet' });
  const busy = journal.group().add({ __name__: 'busy' });
  quiet.frame(at(0), [1]);
  busy.frame(at(0), [1]);
  head.apply(journal.ref, journal.take());
  head.expire(asTime(at(100)));
  const ended = () => head.groups(journal.ref).map((group) => group.ended);
  expect(ended()).toEqual([false, false]);
  expect(head.stats.tilesClosed).toBe(2);
  expect(head.trimmable(journal.ref).sequence).toBe(1);
  busy.frame(at(100), [2]);
  head.apply(journal.ref, journal.take());
  head.expire(asTime(at(100)));
  expect(ended()).toEqual([true, false]);
});

it('does not index series over the limit, and says so', async () => {
  const { head } = makeHead({ maxSeries: 2 });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' }, { __name__: 'z' });
  group.add({ __name__: 'x' }); // the same label set twice
  group.frame(at(0), [1, 2, 3, 4]);
  const totals = head.apply(journal.ref, journal.entries);
  expect(totals).toMatchObject({ samples: 2, refused: { series_limit: 1, conflict: 1 } });
  expect(await all(head)).toEqual(['x 0:1', 'y 0:2']);
});

it('knows families, the newest description first', async () => {
  const { head } = makeHead();
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
  const { head } = makeHead();
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
  const { head } = makeHead();
  const snapshot = head.snapshot();
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(snapshot.select([], EVER, signal)).rejects.toThrow('enough');
  snapshot.release();
  snapshot.release();
  expect(head.stats.openSnapshots).toBe(0);
});

it('encodes a wide tile in steps, and shows it meanwhile', async () => {
  const { head, clock, closed, store } = makeHead({ tileCellsAtOnce: 100 });
  const journal = new JournalScript('a');
  const group = journal.group();
  for (let slot = 0; slot < 500; slot++) group.add({ __name__: 'x', slot: String(slot) });
  const row = (n: number): number[] => Array.from({ length: 500 }, (_, slot) => slot * 100 + n);
  for (let n = 0; n < 8; n++) group.frame(at(n), row(n));
  group.frame(at(8), row(8), true);
  head.apply(journal.ref, journal.take());
  expect(closed).toHaveLength(0);
  const before = await all(head);
  expect(before[0]).toMatch(/ 0:\d+ .* 8:\d+$/);
  expect(head.trimmable(journal.ref).sequence).toBeLessThan(2);
  await clock.advance(1);
  await clock.advance(1000);
  expect(closed).toHaveLength(1);
  expect(store.metas(journal.ref)[0]).toMatchObject({ minTime: at(0), maxTime: at(7) });
  expect(await all(head)).toEqual(before);
  expect(head.stats).toMatchObject({ tilesClosed: 1, tilesInMemory: 1 });
});

it('closes a sealed tile before the next one, and forgets it with its journal', async () => {
  const { head, clock, closed } = makeHead({ tileCellsAtOnce: 1 });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let n = 0; n < 6; n++) group.frame(at(n), [n], n % 2 === 0);
  head.apply(journal.ref, journal.take());
  // Of three runs the first is closed, the second sealed, the third open.
  expect(closed).toHaveLength(1);
  expect(await all(head)).toEqual(['x 0:0 1:1 2:2 3:3 4:4 5:5']);
  head.dropJournal(journal.ref);
  await clock.advance(1000);
  expect(closed).toHaveLength(1);
});

it('goes on past a corrupt entry: only its own group waits for a key frame', async () => {
  const { head } = makeHead();
  const journal = new JournalScript('a');
  const [one, two] = [journal.group(), journal.group()];
  one.add({ __name__: 'x' });
  two.add({ __name__: 'y' });
  one.frame(at(0), [1]);
  two.frame(at(0), [1]);
  one.frame(at(1), [5]);
  // What a store puts in the place of a record that fails its checks.
  const lost = journal.entries.pop()!;
  journal.gap(0, at(1), 'corrupt');
  const gap = { ...journal.entries.pop()!, sequence: lost.sequence };
  journal.entries.push(gap);
  two.frame(at(1), [2]);
  one.frame(at(2), [5]);
  two.frame(at(2), [2]);
  one.frame(at(3), [7], true);
  const totals = head.apply(journal.ref, journal.entries);
  // The frame after it says "the same as before", which nobody knows.
  expect(await all(head)).toEqual(['x 0:1 3:7', 'y 0:1 1:2 2:2']);
  expect(totals.refused).toEqual({ corrupt: 1 });
});

it('takes stored tiles back into memory, the newest first, and no corrupt one', async () => {
  const first = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 12; i++) group.frame(at(i), [i], i % 4 === 0);
  first.head.apply(journal.ref, journal.entries);
  const metas = first.store.metas(journal.ref);
  const corrupt: unknown[] = [];
  const onTileCorrupt = (_ref: JournalRef, meta: unknown): void => void corrupt.push(meta);
  const { head, store } = makeHead({ onTileCorrupt }, first.store);
  head.restoreLayouts(journal.ref, journal.entries);
  head.restoreTiles(journal.ref, metas);
  const cold = head.storedTiles.cold(asTime(at(0)));
  expect(cold.map(({ meta }) => (meta.minTime - START) / 1000)).toEqual([4, 0]);
  expect(head.storedTiles.cold(asTime(at(5))).length).toBe(1);
  for (const { ref, meta } of cold) {
    const [bytes] = await store.readTiles(ref, [meta]);
    const damaged = Uint8Array.from(bytes!);
    damaged[damaged.length >> 1] ^= 16;
    expect(head.storedTiles.warm(ref, meta, damaged)).toBe(false);
    expect(head.storedTiles.warm(ref, meta, bytes!)).toBe(true);
    expect(head.storedTiles.knows(ref, meta)).toBe(true);
    expect(head.storedTiles.knows(ref, { ...meta, lastSequence: meta.lastSequence + 1 })).toBe(
      false,
    );
  }
  expect([head.stats.tilesUnreadable, corrupt]).toEqual([2, cold.map(({ meta }) => meta)]);
  store.reads = 0;
  expect(await all(head)).toEqual(['x 0:0 1:1 2:2 3:3 4:4 5:5 6:6 7:7']);
  expect(store.reads).toBe(0);
});

it('decodes frames of a stored tile only for one that builds on them', async () => {
  const first = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 6; i++) group.frame(at(i), [1], i % 4 === 0);
  first.head.apply(journal.ref, journal.entries);
  // The tile of the first four is stored; another says that it holds the fifth too.
  const [meta] = first.store.metas(journal.ref);
  for (const lastSequence of [meta.lastSequence, meta.lastSequence + 1]) {
    const { head } = makeHead({}, first.store);
    head.restoreLayouts(journal.ref, journal.entries);
    head.restoreTiles(journal.ref, [{ ...meta, lastSequence }]);
    const stored = lastSequence - meta.firstSequence + 1;
    const totals = head.apply(journal.ref, journal.entries);
    expect(totals).toMatchObject({ frames: 6 - stored, repeated: stored, undecodable: 0 });
  }
});

it('tells of a corrupt tile that a select comes upon, and leaves it out', async () => {
  const first = makeHead();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 9; i++) group.frame(at(i), [i], i % 4 === 0);
  first.head.apply(journal.ref, journal.entries);
  const [older, newer] = first.store.metas(journal.ref);
  const [bytes] = await first.store.readTiles(journal.ref, [older]);
  const damaged = Uint8Array.from(bytes!);
  damaged[damaged.length - 9] ^= 1;
  first.store.put(journal.ref, { meta: older, bytes: damaged });
  const corrupt: unknown[] = [];
  const onTileCorrupt = (_ref: JournalRef, meta: unknown): void => void corrupt.push(meta);
  const { head } = makeHead({ onTileCorrupt }, first.store);
  head.restoreLayouts(journal.ref, journal.entries);
  head.restoreTiles(journal.ref, [older, newer]);
  expect(await all(head)).toEqual(['x 4:4 5:5 6:6 7:7']);
  expect(corrupt).toEqual([older]);
});
