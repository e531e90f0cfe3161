import { asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import { START, all, at, headRig } from './testing/head-rig.js';
import { JournalScript } from './testing/index.js';

it('answers with what was applied, slot by slot', async () => {
  const { head } = headRig();
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

it('counts frames that come before their layout or their key frame', async () => {
  const { head } = headRig();
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

it('leaves out a group without base, names that, and takes it up again at a key frame', async () => {
  const lost: string[] = [];
  const { head } = headRig({
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
  const { head } = headRig();
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

it('forgets groups that have ended, their series and at last their layouts', async () => {
  const { head } = headRig({ tileSource: null });
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
  const { head } = headRig();
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
  const { head } = headRig({ maxSeries: 2 });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' }, { __name__: 'z' });
  group.add({ __name__: 'x' }); // the same label set twice
  group.frame(at(0), [1, 2, 3, 4]);
  const totals = head.apply(journal.ref, journal.entries);
  expect(totals).toMatchObject({ samples: 2, refused: { series_limit: 1, conflict: 1 } });
  expect(await all(head)).toEqual(['x 0:1', 'y 0:2']);
});

it('goes on past a corrupt entry: only its own group waits for a key frame', async () => {
  const { head } = headRig();
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
