import { expect, it } from 'vitest';
import { ParsedQueries } from './parsed.js';
import { parseQuery } from './syntax/parse.js';

it('parses a text once', () => {
  const parsed = new ParsedQueries();
  const text = 'sum by (a) (rate(x{b="c"}[5m])) / 2';
  const tree = parsed.parse(text);
  expect(JSON.stringify(tree)).toBe(JSON.stringify(parseQuery(text)));
  expect(parsed.parse(text)).toBe(tree);
  expect(parsed.parse(`${text} `)).not.toBe(tree);
});

it('keeps no regular expressions, no long texts and no errors', () => {
  const parsed = new ParsedQueries();
  const check = (text: string) => expect(parsed.parse(text)).not.toBe(parsed.parse(text));
  check('x{a=~"b.*"}');
  check('x{a!~"b.*"}');
  check(`x{a="${'b'.repeat(2048)}"}`);
  expect(() => parsed.parse('x{')).toThrow('parse error');
  expect(() => parsed.parse('x{')).toThrow('parse error');
  expect(parsed.lengths).toBe(0);
});

it('keeps what was used last, up to a bound', () => {
  const parsed = new ParsedQueries();
  const first = parsed.parse('first');
  const last = parsed.parse('second');
  for (let i = 0; i < 1000; i++) {
    parsed.parse(`x{a="${i}${'b'.repeat(1000)}"}`);
    expect(parsed.parse('first')).toBe(first);
  }
  expect(parsed.parse('second')).not.toBe(last);
  expect(parsed.lengths).toBeLessThanOrEqual(1 << 15);
  expect(parsed.lengths).toBeGreaterThan(30_000);
});
