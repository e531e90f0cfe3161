import { labelsFromObject, labelsToObject } from '@canopy/model';
import { expect, test } from 'vitest';
import type { RelabelConfig } from './config.js';
import { LabelBuilder } from './label-builder.js';
import { compileRelabel } from './relabel.js';

const DEFAULTS: RelabelConfig = {
  sourceLabels: [],
  separator: ';',
  regex: '(.*)',
  modulus: 0,
  targetLabel: '',
  replacement: '$1',
  action: 'replace',
};

type Rule = Partial<RelabelConfig>;
type Set = Record<string, string>;

/** `null`: dropped. */
function check(input: Set, rules: Rule[], expected: Set | null): void {
  const builder = new LabelBuilder();
  builder.reset(labelsFromObject(input));
  const kept = compileRelabel(rules.map((rule) => ({ ...DEFAULTS, ...rule })))(builder);
  const actual = kept ? { ...labelsToObject(builder.labels()) } : null;
  expect(actual, JSON.stringify({ input, rules })).toEqual(expected);
}

const abc = { a: 'foo', b: 'bar', c: 'baz' };

test('replace', () => {
  const f = { sourceLabels: ['a'], targetLabel: 'd' };
  check(abc, [{ ...f, regex: 'f(.*)', replacement: 'ch${1}-ch${1}' }], { ...abc, d: 'choo-choo' });
  check(abc, [{ ...f, regex: 'x(.*)', replacement: 'y' }], abc); // no match, no change
  check(abc, [{ ...f }], { ...abc, d: 'foo' }); // a copy
  check(abc, [{ sourceLabels: ['a', 'b'], targetLabel: 'd' }], { ...abc, d: 'foo;bar' });
  check(abc, [{ sourceLabels: ['a', 'b'], separator: '', targetLabel: 'd' }], {
    ...abc,
    d: 'foobar',
  });
  check(abc, [{ targetLabel: 'd', replacement: 'set' }], { ...abc, d: 'set' }); // no source: a constant
  check(abc, [{ targetLabel: 'a', replacement: '' }], { b: 'bar', c: 'baz' }); // empty: removed
  check(abc, [{ ...f, regex: 'o', replacement: 'x' }], abc); // anchored
  check(abc, [{ ...f, regex: '(f).*', replacement: '$1x' }], abc); // $1x is a group of that name: empty
  check(abc, [{ ...f, regex: '(f).*', replacement: '${1}x$$' }], { ...abc, d: 'fx$' });
  check(abc, [{ ...f, regex: '(?P<n>f).*', replacement: '${n}${n}' }], { ...abc, d: 'ff' });
  check({ a: 'x\ny' }, [{ ...f, regex: '(.*)', replacement: '<$1>' }], { a: 'x\ny', d: '<x\ny>' });
  check(
    { a: 'some-name-value' },
    [
      {
        sourceLabels: ['a'],
        regex: 'some-([^-]+)-([^,]+)',
        replacement: '${2}',
        targetLabel: '${1}',
      },
    ],
    { a: 'some-name-value', name: 'value' },
  ); // the name is made by the expression
  check(
    { a: 'x' },
    [{ sourceLabels: ['a'], regex: 'x(y?)', replacement: 'v', targetLabel: '${1}' }],
    { a: 'x' },
  );
});

test('rules follow one another', () => {
  check(
    abc,
    [
      { sourceLabels: ['a'], targetLabel: 'd', regex: '(.*)', replacement: '${1}1' },
      { sourceLabels: ['d'], regex: 'foo1', action: 'keep' },
      { targetLabel: 'a', replacement: '' },
    ],
    { b: 'bar', c: 'baz', d: 'foo1' },
  );
});

test('keep and drop', () => {
  check(abc, [{ sourceLabels: ['a'], regex: 'foo', action: 'keep' }], abc);
  check(abc, [{ sourceLabels: ['a'], regex: 'fo', action: 'keep' }], null);
  check(abc, [{ sourceLabels: ['a'], regex: 'f.*', action: 'drop' }], null);
  check(abc, [{ sourceLabels: ['a', 'b'], regex: 'foo;b.r', action: 'drop' }], null);
  check(abc, [{ sourceLabels: ['nope'], regex: '', action: 'drop' }], null); // absent is ''
  check(abc, [{ sourceLabels: ['nope'], regex: '.+', action: 'keep' }], null);
});

test('keepequal and dropequal', () => {
  const same = { a: 'x', b: 'x' };
  check(same, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'keepequal' }], same);
  check(abc, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'keepequal' }], null);
  check(same, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'dropequal' }], null);
  check(abc, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'dropequal' }], abc);
});

test('hashmod takes the last eight bytes of MD5', () => {
  // Values of Prometheus's own tests.
  check(abc, [{ sourceLabels: ['c'], targetLabel: 'd', modulus: 1000, action: 'hashmod' }], {
    ...abc,
    d: '976',
  });
  check(
    { a: 'foo\nbar' },
    [{ sourceLabels: ['a'], targetLabel: 'b', modulus: 1000, action: 'hashmod' }],
    { a: 'foo\nbar', b: '734' },
  );
});

test('labelmap, labeldrop, labelkeep', () => {
  const b = { a: 'foo', b1: 'bar', b2: 'baz' };
  check(b, [{ regex: '(b.*)', replacement: 'bar_${1}', action: 'labelmap' }], {
    ...b,
    bar_b1: 'bar',
    bar_b2: 'baz',
  });
  check(
    { a: 'foo', __meta_my_bar: 'aaa', __meta_other: 'x' },
    [{ regex: '__meta_(my.*)', action: 'labelmap' }],
    { a: 'foo', __meta_my_bar: 'aaa', __meta_other: 'x', my_bar: 'aaa' },
  );
  check(b, [{ regex: '(b.*)', action: 'labeldrop' }], { a: 'foo' });
  check(b, [{ regex: '(b.*)', action: 'labelkeep' }], { b1: 'bar', b2: 'baz' });
});

test('lowercase and uppercase', () => {
  const up = { sourceLabels: ['a'], targetLabel: 'b', action: 'uppercase' } as const;
  const low = { sourceLabels: ['a'], targetLabel: 'b', action: 'lowercase' } as const;
  check({ a: 'bAr123Foo' }, [low], { a: 'bAr123Foo', b: 'bar123foo' });
  check({ a: 'bAr123Foo' }, [up], { a: 'bAr123Foo', b: 'BAR123FOO' });
  check({ a: 'straße é' }, [up], { a: 'straße é', b: 'STRAßE É' }); // rune by rune, as Go
  check({ b: 'x' }, [low], {}); // nothing to take: removed
});

test('an expression RE2 refuses is an error', () => {
  expect(() => compileRelabel([{ ...DEFAULTS, regex: '(?=x)' }])).toThrow(/invalid|error/i);
});

test('a name that is made under the scheme of old', () => {
  const rule = { sourceLabels: ['a'], regex: '(.*)', targetLabel: '${1}', replacement: 'x' };
  check({ a: 'b c' }, [rule], { a: 'b c', 'b c': 'x' });
  check({ a: 'b c' }, [{ ...rule, legacyNames: true }], { a: 'b c' }); // not set
  check({ a: 'b_c' }, [{ ...rule, legacyNames: true }], { a: 'b_c', b_c: 'x' });
});
