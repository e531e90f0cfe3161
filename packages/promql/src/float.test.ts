import { expect, it } from 'vitest';
import { formatFloat, formatFloatG, formatFloatPlain, formatSeconds } from './float.js';

it('prints numbers as Go does', () => {
  const check = (value: number, json: string, plain = json, g = json): void => {
    expect(formatFloat(value)).toBe(json);
    expect(formatFloatPlain(value)).toBe(plain);
    expect(formatFloatG(value)).toBe(g);
  };
  check(0, '0');
  check(-0, '-0');
  check(1, '1');
  check(-1.5, '-1.5');
  check(Number.NaN, 'NaN');
  check(Number.POSITIVE_INFINITY, '+Inf');
  check(Number.NEGATIVE_INFINITY, '-Inf');
  check(0.1 + 0.2, '0.30000000000000004');
  check(1e-6, '0.000001', '0.000001', '1e-06');
  check(1e-7, '1e-07', '0.0000001', '1e-07');
  check(-1.25e-10, '-1.25e-10', '-0.000000000125', '-1.25e-10');
  check(123456789, '123456789', '123456789', '1.23456789e+08');
  check(1e20, '100000000000000000000', '100000000000000000000', '1e+20');
  check(1e21, '1e+21', '1000000000000000000000', '1e+21');
  check(1.5e300, '1.5e+300', `15${'0'.repeat(299)}`, '1.5e+300');
  check(5e-324, '5e-324', `0.${'0'.repeat(323)}5`, '5e-324');
  check(2 ** 53, '9007199254740992', '9007199254740992', '9.007199254740992e+15');
});

it('writes times as seconds with milliseconds where there are any', () => {
  const check = (ms: number, expected: string) => expect(formatSeconds(ms)).toBe(expected);
  check(0, '0');
  check(1_700_000_000_000, '1700000000');
  check(1500, '1.500');
  check(1001, '1.001');
  check(-1500, '-1.500');
  check(-1, '-0.001');
  check(-1000, '-1');
});
