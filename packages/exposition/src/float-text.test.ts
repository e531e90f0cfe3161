import { describe, expect, test } from 'vitest';
import { canonicalBound, formatValue, parseFloatText, readPlainNumber } from './float-text.js';

function check(value: number, text: string): void {
  expect(formatValue(value)).toBe(text);
  expect(Object.is(parseFloatText(text), value)).toBe(true);
}

describe('formatValue', () => {
  // Right-hand sides are what Go's strconv.FormatFloat(v, 'g', -1, 64) gives.
  test.each<[number, string]>([
    [0, '0'],
    [-0, '-0'],
    [1, '1'],
    [-999999, '-999999'],
    [1e6, '1e+06'],
    [1234567, '1.234567e+06'],
    [123456.7, '123456.7'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [4.9351e-5, '4.9351e-05'],
    [1e21, '1e+21'],
    [1e100, '1e+100'],
    [5e-324, '5e-324'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
    [0.1 + 0.2, '0.30000000000000004'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
    [NaN, 'NaN'],
  ])('%d → %s', check);
});

test('bounds are spelt as in OpenMetrics', () => {
  expect(['1', '0.5', '+Inf', 'inf', '1e6', '1.0', '-3', 'x', ''].map(canonicalBound)).toEqual([
    '1.0',
    '0.5',
    '+Inf',
    '+Inf',
    '1e+06',
    '1.0',
    '-3.0',
    'x',
    '',
  ]);
});

test('the fast path gives the bits of Number(), or stands aside', () => {
  const out = { value: 0 };
  const plain = (text: string): boolean => {
    const end = readPlainNumber(Buffer.from(`${text}\n`), 0, out);
    if (end >= 0) {
      expect(end).toBe(text.length);
      expect(Object.is(out.value, Number(text))).toBe(true);
    }
    return end >= 0;
  };
  const random = generator(7);
  let taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const digits = 1 + (random() % 18);
    let text = random() % 2 === 0 ? '-' : '';
    for (let i = 0; i < digits; i++) text += random() % 10;
    if (random() % 2 === 0) text += `.${random() % 1_000_000}`;
    if (random() % 3 === 0) text += `e${(random() % 60) - 30}`;
    if (plain(text)) taken++;
  }
  expect(taken).toBeGreaterThan(5_000);
  for (const text of ['', '-', '.', 'e5', '1e', '1e+', '1x', '1.2.3', '0x1', 'NaN', '1e99999']) {
    expect(plain(text)).toBe(false);
  }
});

/** A small generator of whole numbers (xorshift), so that a run can be repeated. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
