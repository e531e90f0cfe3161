import { asTime, labelsToObject, makeMatcher } from '@canopy/model';
import { expect, it } from 'vitest';
import { JournalScript, smallHead } from '../testing/index.js';
import { ErasedView } from './erased.js';

const START = 1_700_000_000_000;
const at = (seconds: number): number => START + seconds * 1000;
const range = (from: number, to: number) => ({
  minTime: asTime(at(from)),
  maxTime: asTime(at(to)),
});

function filled(): ErasedView {
  const head = smallHead(START);
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x', i: '1' }, { __name__: 'x', i: '2' });
  for (let second = 0; second < 10; second++) group.frame(at(second), [second, 10 + second]);
  head.apply(journal.ref, journal.entries);
  return new ErasedView(head);
}

/** `i` → values, in the range. */
async function shown(view: ErasedView, asked = range(0, 9)): Promise<Record<string, number[]>> {
  const snapshot = view.snapshot();
  const found: Record<string, number[]> = {};
  for (const { labels, values, states, from, to } of await snapshot.select([], asked)) {
    const kept = Array.from(values.subarray(from, to)).filter((_v, i) => states?.[from + i] !== 0);
    found[labelsToObject(labels).i] = kept;
  }
  snapshot.release();
  return found;
}

const one = [makeMatcher('i', '=', '1')];

it('hides samples of matching series between two times', async () => {
  const view = filled();
  const before = view.snapshot();
  view.tombstones = [{ matchers: one, minTime: at(2), maxTime: at(7) }];
  expect(await shown(view)).toEqual({
    1: [0, 1, 8, 9],
    2: [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  });
  expect(await shown(view, range(2, 7))).toEqual({ 2: [12, 13, 14, 15, 16, 17] });
  view.tombstones = [
    { matchers: one, minTime: at(0), maxTime: at(4) },
    { matchers: one, minTime: at(5), maxTime: at(8) },
    { matchers: [makeMatcher('i', '=', '2')], minTime: 0, maxTime: at(8) },
  ];
  expect(await shown(view)).toEqual({ 1: [9], 2: [19] });
  // A snapshot goes by what was deleted when it was made.
  expect(await before.select(one, range(0, 4))).toHaveLength(1);
  before.release();
  view.tombstones = [];
  expect((await shown(view))[1]).toHaveLength(10);
});

it('lists series of which something is left', async () => {
  const view = filled();
  const listed = async (from: number, to: number): Promise<string[]> => {
    const snapshot = view.snapshot();
    const found = await snapshot.series([[makeMatcher('__name__', '=', 'x')]], range(from, to));
    snapshot.release();
    return found.map((labels) => labelsToObject(labels).i).sort();
  };
  view.tombstones = [{ matchers: one, minTime: at(-100), maxTime: at(100) }];
  expect(await listed(0, 100)).toEqual(['2']);
  view.tombstones = [{ matchers: one, minTime: at(-100), maxTime: at(5) }];
  expect(await listed(0, 5)).toEqual(['2']);
  expect(await listed(0, 100)).toEqual(['1', '2']);
});

/** `i` → time and value of the newest sample, as text answers have it. */
async function newest(view: ErasedView): Promise<Record<string, number[]>> {
  const snapshot = view.snapshot();
  const last = await snapshot.last([[]], range(0, 9));
  const series = last.metrics.get('x')!;
  const out = {
    values: new Float64Array(series.length),
    times: new Float64Array(series.length),
    families: Array.from(series, () => undefined),
  };
  await last.read(series, 0, series.length, out);
  const found: Record<string, number[]> = {};
  series.forEach((ref, i) => {
    last.labels.load(ref);
    found[last.labels.text(last.labels.numbers[3])] = [out.times[i], out.values[i]];
  });
  snapshot.release();
  return found;
}

it('gives text answers what is left of a series', async () => {
  const view = filled();
  const whole = { 1: [at(9), 9], 2: [at(9), 19] };
  expect(await newest(view)).toEqual(whole);
  view.tombstones = [{ matchers: one, minTime: 0, maxTime: at(8) }];
  expect(await newest(view)).toEqual(whole);
  view.tombstones = [{ matchers: one, minTime: at(9), maxTime: at(9) }];
  expect(await newest(view)).toEqual({ ...whole, 1: [at(8), 8] });
  view.tombstones = [
    { matchers: one, minTime: at(9), maxTime: at(9) },
    { matchers: [], minTime: at(6), maxTime: at(8) },
  ];
  expect(await newest(view)).toEqual({ ...whole, 1: [at(5), 5] });
  view.tombstones = [{ matchers: one, minTime: 0, maxTime: at(9) }];
  expect(await newest(view)).toMatchObject({ 1: [Number.NaN, 9], 2: [at(9), 19] });
});

it('hides nothing from text answers for the labels of another series', async () => {
  const head = smallHead(START);
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x', i: '1', z: '1' }, { __name__: 'x', i: '2' });
  group.frame(at(9), [1, 2]);
  head.apply(journal.ref, journal.entries);
  const view = new ErasedView(head);
  view.tombstones = [{ matchers: [makeMatcher('z', '=', '1')], minTime: 0, maxTime: at(9) }];
  expect(await newest(view)).toMatchObject({ 1: [Number.NaN, 1], 2: [at(9), 2] });
});
