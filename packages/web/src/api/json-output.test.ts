import { expect, it } from 'vitest';
import { labelsJson, timeJson } from './json-output.js';

it('writes times as seconds with milliseconds where there are any', () => {
  const check = (ms: number, expected: string) => expect(timeJson(ms)).toBe(expected);
  check(0, '0');
  check(1_700_000_000_000, '1700000000');
  check(1500, '1.500');
  check(1001, '1.001');
  check(-1500, '-1.500');
  check(-1, '-0.001');
  check(-1000, '-1');
});

it('writes label sets as JSON objects', () => {
  const check = (labels: string[], expected: string) => {
    expect(labelsJson(labels)).toBe(expected);
    JSON.parse(labelsJson(labels));
  };
  check([], '{}');
  check(['__name__', 'up', 'job', 'a"b\\\n'], '{"__name__":"up","job":"a\\"b\\\\\\n"}');
  check(['ü.x', '\u2028\ud800'], '{"ü.x":"\u2028\\ud800"}'); // lone surrogates stay valid JSON
});
