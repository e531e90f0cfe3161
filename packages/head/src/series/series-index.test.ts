import {
  type MatchOp,
  type Labels,
  formatLabels,
  labelsFromObject,
  makeMatcher,
  matchesAll,
} from '@canopy/model';
import { expect, it } from 'vitest';
import { NO_SERIES, SeriesIndex } from './series-index.js';

const SERIES: ReadonlyArray<Record<string, string>> = [
  { __name__: 'up', job: 'node', instance: 'a:1' },
  { __name__: 'up', job: 'node', instance: 'b:1' },
  { __name__: 'up', job: 'redis', instance: 'a:2' },
  { __name__: 'http_requests_total', job: 'api', code: '200', path: '/' },
  { __name__: 'http_requests_total', job: 'api', code: '500', path: '/' },
  { __name__: 'http_requests_total', job: 'api', code: '500', path: '/x' },
  { __name__: 'lone' },
  {},
];

function indexOf(series: ReadonlyArray<Record<string, string>>) {
  const index = new SeriesIndex(1000);
  for (const labels of series) index.intern(labelsFromObject(labels));
  return index;
}

it('hands out a label set again, and nothing of a series that has gone', () => {
  const index = indexOf(SERIES);
  const [ref] = index.match([makeMatcher('__name__', '=', 'lone')]);
  expect(index.labels(ref)).toBe(index.labels(ref));
  index.remove([ref]);
  expect(index.intern(labelsFromObject({ __name__: 'next' }))).toBe(ref);
  expect(index.labels(ref)).toEqual(['__name__', 'next']);
  // More than are kept.
  const many = new SeriesIndex(100_000);
  for (let i = 0; i < 70_000; i++) many.intern(['i', String(i)]);
  for (let i = 0; i < 70_000; i++) {
    const [, value] = many.labels(i);
    if (value !== String(i)) throw new Error(`series ${i} has the labels of ${value}`);
  }
  expect(many.labels(1)).toEqual(['i', '1']);
});

it('finds what a plain walk over all series finds', () => {
  const index = indexOf(SERIES);
  const check = (...texts: string[]) => {
    const matchers = texts.map((text) => {
      const [, name, op, value] = /^(\w+)(=~|!~|!=|=)(.*)$/.exec(text)!;
      return makeMatcher(name, op as MatchOp, value);
    });
    const plain = SERIES.map(labelsFromObject).filter((labels) => matchesAll(matchers, labels));
    const found = Array.from(index.match(matchers), (ref) => index.labels(ref));
    expect(found.map(formatLabels), texts.join()).toEqual(plain.map(formatLabels));
    return found.length;
  };
  expect(check()).toBe(8);
  expect(check('__name__=up')).toBe(3);
  expect(check('__name__=down')).toBe(0);
  expect(check('nobody=')).toBe(8); // a label nobody has is '' for all
  expect(check('nobody!=')).toBe(0);
  expect(check('job=')).toBe(2);
  expect(check('job!=')).toBe(6);
  expect(check('job!=node')).toBe(6); // series without the label too
  expect(check('job=~node|redis')).toBe(3);
  expect(check('job!~node|redis')).toBe(5);
  expect(check('job=~.*')).toBe(8);
  expect(check('job=~.+')).toBe(6);
  expect(check('job!~.+')).toBe(2);
  expect(check('job=~|api')).toBe(5); // '' or api
  expect(check('__name__=up', 'instance=~a.*')).toBe(2);
  expect(check('__name__=up', 'instance!~a.*')).toBe(1);
  expect(check('__name__=http_requests_total', 'code=~5..', 'path!=/')).toBe(1);
  expect(check('__name__=~.+', 'job=', 'code=')).toBe(1);
  expect(check('job=api', 'code=500', 'path=/x')).toBe(1);
  expect(check('code=500', 'path=~.*', 'job!=api')).toBe(0);
});

it('asks a matcher once for each value, or fewer times', () => {
  const series = Array.from({ length: 300 }, (_, i) => ({
    __name__: i < 5 ? 'rare' : 'common',
    id: `${i}`,
    zone: `${i % 3}`,
  }));
  const index = indexOf(series);
  const check = (name: string, label: string, callsMax: number) => {
    let calls = 0;
    const matcher = { ...makeMatcher(label, '=~', '.*1.*') };
    const { matches } = matcher;
    matcher.matches = (value) => {
      calls++;
      return matches(value);
    };
    index.match([makeMatcher('__name__', '=', name), matcher]);
    expect(calls).toBeLessThanOrEqual(callsMax);
  };
  check('rare', 'id', 1 + 5);
  check('common', 'zone', 1 + 3);
});

it('gives a label set one ref, and refuses new ones when full', () => {
  const index = new SeriesIndex(2);
  const a: Labels = ['__name__', 'a'];
  const ref = index.intern(a);
  expect(index.intern(['__name__', 'a'])).toBe(ref);
  expect(index.intern(['__name__', 'a', 'b', 'c'])).not.toBe(ref);
  expect(index.intern(['__name__', 'b'])).toBe(NO_SERIES);
  expect(index.intern(a)).toBe(ref);
  expect(index.count).toBe(2);
});

it('stays right while series come and go', () => {
  const index = new SeriesIndex(100_000);
  const live = new Map<number, string>();
  let seed = 1;
  const random = (bound: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 4294967296) * bound);
  };
  const matchers = [makeMatcher('a', '=~', '1|2|7'), makeMatcher('b', '!=', '3')];
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 100; i++) {
      const labels = labelsFromObject({
        a: `${random(20)}`,
        b: `${random(5)}`,
        c: `${random(400)}`,
      });
      live.set(index.intern(labels), formatLabels(labels));
    }
    const gone = [...live.keys()].filter(() => random(3) === 0);
    index.remove(gone);
    for (const ref of gone) live.delete(ref);
    expect(index.count).toBe(live.size);
    const found = index.match(matchers);
    expect([...found]).toEqual([...found].sort((x, y) => x - y));
    const texts = Array.from(found, (ref) => formatLabels(index.labels(ref))).sort();
    const plain = [...live].filter(([ref]) => matchesAll(matchers, index.labels(ref)));
    expect(texts).toEqual(plain.map(([, text]) => text).sort());
  }
  expect(index.bound).toBeLessThan(12_000); // refs are given again
  index.remove([...live.keys()]);
  expect([index.count, index.names(), index.match([]).length]).toEqual([0, [], 0]);
});

it('gives memory back after most series have gone', () => {
  const index = new SeriesIndex(100_000);
  const pod = (i: number) =>
    labelsFromObject({ __name__: `m${i % 10}`, job: 'pods', pod: `pod-${i}`, uid: `u${i}` });
  const lasting = Array.from({ length: 100 }, (_, i) => pod(-1 - i));
  const atFirst = index.byteLength;
  const refs: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    // Some that last stand among the others.
    if (i % 200 === 0) index.intern(lasting[i / 200]);
    refs.push(index.intern(pod(i)));
  }
  const peak = index.byteLength;
  expect(peak).toBeGreaterThan(20 * atFirst);
  index.remove(refs);
  expect(index.byteLength).toBeLessThan(peak / 5); // refs that last keep `#offsets`
  expect(index.symbolBound).toBeLessThan(300);
  for (const labels of lasting) {
    const [, , , , , podName] = labels;
    const found = index.match([makeMatcher('pod', '=', podName), makeMatcher('job', '=~', 'p.*')]);
    expect(Array.from(found, (ref) => index.labels(ref))).toEqual([labels]);
    expect(index.intern(labels)).toBe(found[0]);
  }
  index.remove(Array.from(index.match([])));
  expect([index.count, index.bound, index.names()]).toEqual([0, 0, []]);
  expect(index.byteLength).toBeLessThan(3 * atFirst);
});
