import { expect, it } from 'vitest';
import { labelsJson } from './json-output.js';

it('writes label sets as JSON objects', () => {
  const check = (labels: string[], expected: string) => {
    expect(labelsJson(labels)).toBe(expected);
    JSON.parse(labelsJson(labels));
  };
  check([], '{}');
  check(['__name__', 'up', 'job', 'a"b\\\n'], '{"__name__":"up","job":"a\\"b\\\\\\n"}');
  check(['ü.x', '\u2028\ud800'], '{"ü.x":"\u2028\\ud800"}'); // lone surrogates stay valid JSON
});
