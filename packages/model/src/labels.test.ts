import { describe, expect, it } from 'vitest';
import {
  compareLabels,
  compareUtf8,
  formatLabels,
  labelsFromObject,
  labelsKey,
  labelsOf,
} from './labels.js';

describe('labelsOf', () => {
  const check = (pairs: Array<[string, string]>, expected: string[]) =>
    expect(labelsOf(pairs)).toEqual(expected);
  it('sorts by name, drops empty values, lets the last of a doubled name win', () => {
    check([], []);
    check(
      [
        ['b', '1'],
        ['a', '2'],
      ],
      ['a', '2', 'b', '1'],
    );
    check(
      [
        ['a', ''],
        ['b', '1'],
      ],
      ['b', '1'],
    ); // empty is absent
    check(
      [
        ['a', '1'],
        ['a', '2'],
      ],
      ['a', '2'],
    );
  });
});

describe('compareUtf8', () => {
  const check = (a: string, b: string, sign: number) => {
    expect(Math.sign(compareUtf8(a, b))).toBe(sign);
    expect(Math.sign(compareUtf8(b, a))).toBe(-sign || 0);
    const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
    expect(Math.sign(bytes)).toBe(sign);
  };
  it('is the order of UTF-8 bytes', () => {
    check('a', 'b', -1);
    check('a', 'ab', -1);
    check('', '', 0);
    check('\uffee', '\u{1f600}', -1); // UTF-16 order says otherwise
    check('é', 'z', 1);
  });
});

describe('labelsKey', () => {
  const check = (a: Record<string, string>, b: Record<string, string>) =>
    expect(labelsKey(labelsFromObject(a))).not.toBe(labelsKey(labelsFromObject(b)));
  it('differs where label sets differ', () => {
    check({ a: '1' }, { a: '2' });
    check({ a: '1', b: '2' }, { a: '1\u0000b2' });
    check({ a: '' }, { a: 'x' });
  });
});

describe('formatLabels', () => {
  const check = (labels: Record<string, string>, expected: string) =>
    expect(formatLabels(labelsFromObject(labels))).toBe(expected);
  it('prints as Prometheus does', () => {
    check({ __name__: 'up' }, 'up');
    check({}, '{}');
    check({ __name__: 'up', job: 'a"b' }, 'up{job="a\\"b"}');
    check({ __name__: 'my.metric', 'a.b': 'c' }, '{"my.metric", "a.b"="c"}');
  });
});

it('compareLabels orders by name, then value, then length', () => {
  const objects: Array<Record<string, string>> = [
    { a: '1' },
    { a: '1', b: '1' },
    { a: '2' },
    { b: '0' },
  ];
  const sets = objects.map(labelsFromObject);
  expect([...sets].reverse().sort(compareLabels)).toEqual(sets);
});
