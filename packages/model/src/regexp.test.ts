import { expect, it } from 'vitest';
import { compileRegexp } from './regexp.js';

const check = (source: string, yes: string[], no: string[]) => {
  const regexp = compileRegexp(source);
  for (const text of yes) expect([source, text, regexp.test(text)]).toEqual([source, text, true]);
  for (const text of no) expect([source, text, regexp.test(text)]).toEqual([source, text, false]);
};

it('is anchored at both ends and lets the dot match a line end', () => {
  check('a.c', ['abc', 'a\nc'], ['xabc', 'abcx']);
  check('foo', ['foo'], ['foobar', '']);
  check('', [''], ['x']);
});

it('takes the fast paths to the same answer', () => {
  check('.*', ['', 'x', '\n'], []);
  check('.+', ['x', '\n'], ['']);
  check('a|b|', ['a', 'b', ''], ['ab', 'c']);
  check('foo.*', ['foo', 'foobar'], ['xfoo']);
  check('foo.+', ['foobar'], ['foo']);
  check('.*foo', ['foo', 'xfoo'], ['foox']);
  check('.+foo', ['xfoo', 'foofoo'], ['foo']);
  check('.*foo.*', ['foo', 'xfoox'], ['fo']);
  check('.+foo.+', ['xfoox', 'foofoox'], ['foox', 'xfoo', 'foo']);
});

it('knows RE2 syntax that JavaScript lacks, and is linear', () => {
  check('(?i)AbC', ['abc', 'ABC'], ['ab']);
  check('[[:alpha:]]+', ['abc'], ['a1']);
  check('(a+)+', ['aaaa'], [`${'a'.repeat(50_000)}b`]);
});

it('refuses what RE2 refuses, with its message', () => {
  expect(() => compileRegexp('a**')).toThrow(/invalid nested repetition operator/);
  expect(() => compileRegexp('(a')).toThrow('missing closing ): `(a`');
  expect(() => compileRegexp('(?=a)')).toThrow(/invalid or unsupported Perl syntax/);
  expect(() => compileRegexp(')(')).toThrow(/unexpected/);
});

it('expands groups as Go does', () => {
  const expand = (source: string, text: string, template: string) =>
    compileRegexp(source).expand(text, template);
  expect(expand('(.*):(.*)', 'host:80', '$2-${1}')).toBe('80-host');
  expect(expand('(?P<x>a)b', 'ab', '${x}$$$9')).toBe('a$');
  expect(expand('(a)(b)?', 'a', '[$2]')).toBe('[]');
  expect(expand('(.*)', 'v', '$1x')).toBe(''); // the group named "1x"
  expect(expand('a', 'b', '$0')).toBeNull();
});
