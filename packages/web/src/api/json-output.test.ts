import { expect, it } from 'vitest';
import type { ServerResponse } from 'node:http';
import { JsonOutput, labelsJson } from './json-output.js';

it('writes label sets as JSON objects', () => {
  const check = (labels: string[], expected: string) => {
    expect(labelsJson(labels)).toBe(expected);
    JSON.parse(labelsJson(labels));
  };
  check([], '{}');
  check(['__name__', 'up', 'job', 'a"b\\\n'], '{"__name__":"up","job":"a\\"b\\\\\\n"}');
  check(['ü.x', '\u2028\ud800'], '{"ü.x":"\u2028\\ud800"}'); // lone surrogates stay valid JSON
});

/** What `write` collects. */
function collected(write: (out: JsonOutput) => void): string {
  let text = '';
  const res = { headersSent: true, end: (bytes: Buffer) => (text += bytes.toString()) };
  const out = new JsonOutput(res as unknown as ServerResponse, new AbortController().signal);
  write(out);
  out.end();
  return text;
}

it('writes label sets as the bytes of the same JSON, known texts or not', () => {
  const check = (labels: string[]) => {
    const expected = labelsJson(labels);
    expect(collected((out) => out.writeLabels(labels))).toBe(expected);
    expect(collected((out) => out.writeLabels(labels))).toBe(expected); // known now
  };
  check([]);
  check(['__name__', 'up', 'job', 'a"b\\\n']);
  check(['ü.x', '\u2028\ud800', '漢', '🙂']);
  check(['a', '\u0001'.repeat(128), 'b', '漢'.repeat(128)]); // as long as is kept
  check(['a', 'x'.repeat(129), 'b', '"'.repeat(100_000)]); // longer
});

it('writes more texts than are kept', () => {
  const sets = Array.from({ length: 30_000 }, (_, i) => ['n', `${i} ${'é'.repeat(i % 100)}`]);
  const text = collected((out) => {
    for (const labels of sets) out.writeLabels(labels);
    for (const labels of sets) out.writeLabels(labels);
  });
  expect(text).toBe(sets.map(labelsJson).join('').repeat(2));
});
