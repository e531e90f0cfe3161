/** What a filter costs is a matter of layouts, not of frames, pages or readers. */
import { decodeLayout, encodeEntry, encodeLayout } from '@canopy/encoding';
import { EntryKind, type Matcher, asDuration, asTime, makeMatcher } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it, onTestFinished } from 'vitest';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { PullRig, ServerRig, id, parseSelector } from '../testing/rig.js';
import { Verdicts } from './verdicts.js';

const T0 = 1_700_000_000_000;
const SERIES = 40;
const names = Array.from({ length: SERIES }, (_, i) => ({ __name__: 'm', i: String(i % 4) }));

/** Evaluations while `readers` pull a journal of `frames` frames page by page. */
async function evaluations(
  frames: number,
  readers: ReadonlyArray<readonly [name: string, ...selectors: string[]]>,
  options = {},
): Promise<{ asked: number; replays: number; samples: number[] }> {
  const clock = new VirtualClock(T0);
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  let asked = 0;
  const counted = (matcher: Matcher): Matcher => ({
    ...matcher,
    matches: (value) => (asked++, matcher.matches(value)),
  });
  const server = await new ServerRig(store, clock, id('a'), {
    pageBytes: 2000,
    parseSelector: (text) => parseSelector(text).map(counted),
    ...options,
  }).listen();
  onTestFinished(() => server.close());
  journal.layout(1, names);
  const rigs = readers.map(([owner, ...selectors]) => {
    const rig = new PullRig(new MemoryStore(clock), clock, { owner });
    return { rig, target: server.target(...selectors) };
  });
  for (let i = 0; i < frames; i++) {
    journal.frame(
      1,
      T0 + i * 1000,
      names.map((_, slot) => i * slot),
    );
    if (i % 10 !== 0) continue;
    await journal.commit();
    for (const { rig, target } of rigs) await rig.pullAll(target);
  }
  await journal.commit();
  for (const { rig, target } of rigs) await rig.pullAll(target);
  return {
    asked,
    replays: server.server.totals.replays,
    samples: rigs.map(({ rig }) => rig.appender.samples.length),
  };
}

const FIRST = '{i="0"}';

it('a hundred frames, in many pages, cost what one costs: each series is looked at once', async () => {
  expect(await evaluations(1, [['one', FIRST]])).toMatchObject({ asked: SERIES });
  const many = await evaluations(101, [['one', FIRST]]);
  expect(many).toMatchObject({ asked: SERIES, samples: [(101 * SERIES) / 4] });
});

it('readers that ask for the same cost what one costs', async () => {
  const two = await evaluations(101, [
    ['one', FIRST],
    ['other', FIRST],
  ]);
  expect(two).toMatchObject({ asked: SERIES });
  // However the selection is written.
  const turned = await evaluations(21, [
    ['one', '{__name__="m",i="0"}', FIRST],
    ['other', FIRST, '{i="0",__name__="m"}'],
  ]);
  const once = await evaluations(1, [['one', '{__name__="m",i="0"}', FIRST]]);
  expect(turned.asked).toBe(once.asked);
  const different = await evaluations(21, [
    ['one', FIRST],
    ['other', '{i="1"}'],
  ]);
  expect(different).toMatchObject({ asked: 2 * SERIES });
});

it('a view that is made again asks nothing again', async () => {
  const again = await evaluations(101, [['one', FIRST]], { viewsMax: 0 });
  expect(again.replays).toBeGreaterThan(5);
  expect(again.asked).toBe(SERIES);
});

it('a new group of several layout records needs no view made again', async () => {
  const clock = new VirtualClock(T0);
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  const server = await new ServerRig(store, clock, id('a'), {}).listen();
  onTestFinished(() => server.close());
  const rig = new PullRig(new MemoryStore(clock), clock);
  journal.layout(1, ['a']);
  journal.frame(1, T0, [1]);
  await journal.commit();
  const target = server.target('{__name__="a"}');
  await rig.pullAll(target);
  // The first says nothing of what the second adds; no frame was passed over.
  journal.layout(2, ['b', 'c']);
  journal.layout(2, ['a']);
  for (let i = 0; i < 9; i++) journal.frame(2, T0 + i * 1000, [i, i, i]);
  await journal.commit();
  await rig.pullAll(target);
  expect(server.server.totals.replays).toBe(0);
  expect(rig.appender.samples.length).toBe(10);
});

it('what is kept is bounded: selections go that nobody asked for longest', () => {
  const layout = encodeLayout({
    ...{ group: 1, version: 1, firstSlot: 0, firstFamily: 0, slotCount: 500 },
    meta: { kind: 'aligned', target: [], scrapeUrl: '', interval: asDuration(1), continues: 0 },
    slots: Array.from({ length: 500 }, (_, i) => ({ labels: ['i', String(i)], family: -1 })),
    ...{ slotNumbers: null, families: [] },
  });
  const place = { epoch: 1, sequence: 1, group: 1, time: asTime(1), key: false };
  const entry = encodeEntry({ ...place, kind: EntryKind.layout }, layout);
  // Three of a byte for each slot, and what is left of the record.
  const verdicts = new Verdicts(3 * (500 + 600));
  const ask = (value: string): number => {
    const selection = { canonical: value, matcherSets: [[makeMatcher('i', '=', value)]] };
    const filter = verdicts.of(selection, 'a'.repeat(32) as never);
    const verdict = filter(entry)!;
    expect(filter(entry)).toBe(verdict); // nothing is decoded or encoded again
    const passing = decodeLayout(verdict.filtered!);
    expect(passing).toMatchObject({ slotCount: 500, slotNumbers: [Number(value)] });
    expect(passing.slots).toEqual([{ labels: ['i', value], family: -1 }]);
    return verdict.kept.indexOf(1);
  };
  for (const value of ['1', '2', '3', '1', '2', '3']) expect(ask(value)).toBe(Number(value));
  expect(verdicts.evaluated).toBe(3 * 500);
  for (const value of ['4', '5']) expect(ask(value)).toBe(Number(value));
  expect(verdicts.evaluated).toBe(5 * 500);
  expect(ask('5')).toBe(5);
  expect(verdicts.evaluated).toBe(5 * 500);
  expect(ask('1')).toBe(1);
  expect(verdicts.evaluated).toBe(6 * 500);
});
