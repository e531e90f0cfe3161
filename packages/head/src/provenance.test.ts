import { type JournalRef, asDuration, asTime, formatLabels, makeMatcher } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { Head } from './head.js';
import type { HeadCollision } from './provenance.js';
import { JournalScript, TileStore } from './testing/index.js';

const START = 1_700_000_000_000;
const at = (seconds: number): number => START + seconds * 1000;
const EVER = { minTime: asTime(0), maxTime: asTime(8.64e15) };
const EAST = new JournalScript('e').ref;

function makeHead(): Head {
  const store = new TileStore();
  return new Head({
    ...{ clock: new VirtualClock(START), windowMs: asDuration(60_000), tileFrames: 8 },
    ...{ outOfOrderWindow: asDuration(10_000), tileSource: store, maxSeries: 1000 },
    onTileClosed: (ref, tile) => store.put(ref, tile),
  });
}

/** Two leaves that scrape, by their own URLs, what is (or is not) the same target. */
function twoLeaves() {
  const head = makeHead();
  const journals = ['e', 'f'].map((digit) => new JournalScript(digit));
  const groups = journals.map((journal, i) =>
    journal
      .group({ scrapeUrl: `http://${i}/metrics` })
      .add({ __name__: 'x' }, { __name__: `only_${i}` }),
  );
  const frames = (from: number, to: number, which: readonly number[], has = true): void => {
    for (let second = from; second < to; second++) {
      for (const i of which) groups[i].frame(at(second), [has ? second : undefined, 1]);
    }
    for (const journal of journals) head.apply(journal.ref, journal.take());
  };
  return { head, journals, groups, frames };
}

it('tells of series that two URLs give for more than two intervals, once', async () => {
  const { head, frames } = twoLeaves();
  frames(0, 5, [0]);
  frames(5, 6, [0, 1]);
  expect(await head.provenance.collisions()).toEqual([]);
  frames(6, 8, [0, 1]);
  expect(await head.provenance.collisions()).toEqual([]); // two intervals
  frames(8, 9, [0, 1]);
  const collision: HeadCollision = {
    ...{ ref: 'f'.repeat(32) as JournalRef, series: 'x', count: 1, from: at(5) },
    scrapeUrls: ['http://0/metrics', 'http://1/metrics'],
  };
  expect(await head.provenance.collisions()).toEqual([collision]);
  frames(9, 40, [0, 1]); // tiles have closed meanwhile
  expect(await head.provenance.collisions()).toEqual([]);
});

it('takes a target that moves, and a series that goes to and fro, for no collision', async () => {
  const { head, frames, groups, journals } = twoLeaves();
  const look = async () => expect(await head.provenance.collisions()).toEqual([]);
  frames(0, 5, [0]);
  frames(5, 7, [0, 1]);
  await look();
  for (let second = 7; second < 50; second++) {
    frames(second, second + 1, [1]); // the other one has gone without a word
    await look();
  }
  frames(50, 51, [0, 1]); // and is back
  await look();
  for (let second = 51; second < 80; second++) {
    groups[0].frame(at(second), [second % 2 === 0 ? 1 : undefined, 1]);
    groups[1].frame(at(second), [second % 2 === 1 ? 1 : undefined, 1]);
    for (const journal of journals) head.apply(journal.ref, journal.take());
    await look();
  }
});

it('tells of two targets though the journal of one is pulled late', async () => {
  const { head, frames } = twoLeaves();
  const look = async (count: number) =>
    expect(await head.provenance.collisions()).toHaveLength(count);
  frames(0, 500, [1]);
  for (let second = 0; second < 100; second++) {
    frames(second, second + 1, [0]);
    await look(second === 4 ? 1 : 0);
    // It stands still now and then.
    if (second % 5 === 4) await look(0);
  }
});

it('takes one that has gone, and is pulled late, for no collision', async () => {
  const { head, frames } = twoLeaves();
  frames(102, 500, [1]);
  for (let second = 0; second < 105; second++) {
    frames(second, second + 1, [0]);
    expect(await head.provenance.collisions()).toEqual([]);
  }
});

it('takes the first of the series that two targets have for the beginning, in whichever order they are known', async () => {
  const head = makeHead();
  const [late, ahead] = ['e', 'f'].map((digit) => new JournalScript(digit));
  const first = late.group({ scrapeUrl: 'http://0/' }).add({ __name__: 'x' }, { __name__: 'y' });
  const second = ahead.group({ scrapeUrl: 'http://1/' }).add({ __name__: 'y' });
  first.frame(at(0), [1, 1]);
  head.apply(late.ref, late.take());
  for (let time = 5; time < 100; time++) {
    if (time === 50) second.add({ __name__: 'x' });
    second.frame(at(time), [2, 2]);
  }
  head.apply(ahead.ref, ahead.take());
  const told: number[] = [];
  for (let time = 1; time < 60; time++) {
    first.frame(at(time), [1, 1]);
    head.apply(late.ref, late.take());
    const found = await head.provenance.collisions();
    if (found.length > 0) told.push(time, found[0].count, found[0].from);
  }
  expect(told).toEqual([8, 2, at(5)]);
});

it('does not take two groups of one URL for a collision', async () => {
  const head = makeHead();
  const journal = new JournalScript('a');
  const groups = [0, 1].map(() => journal.group({ scrapeUrl: 'http://h/' }).add({ __name__: 'x' }));
  for (let second = 0; second < 20; second++) {
    for (const group of groups) group.frame(at(second), [second]);
    head.apply(journal.ref, journal.take());
    expect(await head.provenance.collisions()).toEqual([]);
  }
});

it('knows which journals a selector waits for', async () => {
  const { head, journals, frames } = twoLeaves();
  frames(0, 5, [0, 1]);
  const check = async (name: string, minTime: number, ...expected: JournalRef[]) => {
    const sets = [[makeMatcher('__name__', '=', name)]];
    expect([...(await head.provenance.journalsOf(sets, minTime))].sort()).toEqual(expected);
  };
  await check('x', at(0), EAST, journals[1].ref);
  await check('only_0', at(0), EAST);
  await check('only_0', at(9999), EAST); // it is late, and may go on
  await check('nothing', at(0));
  journals[0].nextEpoch();
  journals[0].group().add({ __name__: 'y' }).frame(at(50), [1]);
  head.apply(EAST, journals[0].take());
  await check('only_0', at(3), EAST); // has ended, within the time asked for
  await check('only_0', at(5));
});

it('says where the samples of a series come from, the earliest first', async () => {
  const { head, journals, frames } = twoLeaves();
  frames(0, 5, [0]);
  frames(3, 9, [1]);
  const snapshot = head.snapshot();
  const sets = [[makeMatcher('__name__', '=~', 'x|only_1')]];
  const found = await snapshot.origins(sets, EVER, 10);
  const texts = found!.map(({ labels, origins }) => {
    const parts = origins.map(
      ({ journal, scrapeUrl, from, to, open }) =>
        `${journal[0]} ${scrapeUrl} ${(from - START) / 1000}-${(to - START) / 1000} ${open}`,
    );
    return `${formatLabels(labels)}: ${parts.join(', ')}`;
  });
  expect(texts.sort()).toEqual([
    'only_1: f http://1/metrics 3-8 true',
    'x: e http://0/metrics 0-4 true, f http://1/metrics 3-8 true',
  ]);
  const late = { minTime: asTime(at(6)), maxTime: asTime(at(20)) };
  const one = await snapshot.origins([[makeMatcher('__name__', '=', 'x')]], late, 10);
  expect(one![0].origins.map(({ journal }) => journal)).toEqual([journals[1].ref]);
  expect(await snapshot.origins(sets, EVER, 2)).toHaveLength(2);
  expect(await snapshot.origins(sets, EVER, 1)).toBeUndefined();
  snapshot.release();
});
