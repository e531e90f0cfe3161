import { expect, it } from 'vitest';
import { MAX_TIME, MIN_TIME, parseDurationText, parseTime } from './params.js';

it('reads times as Unix seconds or RFC 3339', () => {
  const check = (text: string, expected: number | undefined) =>
    expect(parseTime(text), text).toBe(expected);
  check('0', 0);
  check('1700000000', 1_700_000_000_000);
  check('1700000000.1234', 1_700_000_000_123); // rounded to milliseconds
  check('1700000000.9996', 1_700_000_001_000);
  check('-0.0005', -1); // halves away from zero
  check('-0.0004', 0);
  check('-1.5', -1500);
  check('1e3', 1_000_000);
  check('.5', 500);
  check('2023-11-14T22:13:20Z', 1_700_000_000_000);
  check('2023-11-14T22:13:20.5Z', 1_700_000_000_500);
  check('2023-11-14T22:13:20.123999Z', 1_700_000_000_123); // finer parts are cut
  check('2023-11-15T00:13:20+02:00', 1_700_000_000_000);
  check('2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29));
  check('-292273086-05-16T16:47:06Z', MIN_TIME); // Go clients' start of time
  check('292277025-08-18T07:12:54.999999999Z', MAX_TIME);
  check('2023-02-29T00:00:00Z', undefined); // no such day
  check('2023-11-14', undefined);
  check('2023-11-14T22:13:20', undefined); // no zone
  check('now', undefined);
  check('', undefined);
  check('NaN', undefined);
  check('Infinity', undefined);
  check('1e300', undefined);
  check('0x10', undefined);
  check(' 1', undefined);
  check('constructor', undefined);
});

it('reads durations as seconds or in Prometheus notation', () => {
  const check = (text: string, expected: number | undefined) =>
    expect(parseDurationText(text), text).toBe(expected);
  check('15', 15_000);
  check('0.5', 500);
  check('0.29', 290); // exact although 0.29 × 1000 is not
  check('0.0015', 1); // cut, not rounded: Prometheus's steps are whole milliseconds of its nanoseconds
  check('1.001', 1000); // there too: 1.001 × 1e9 is a little less in floating point
  check('0.0001', 0);
  check('-0.0001', 0);
  check('9223372036', 9_223_372_036_000);
  check('9223372037', undefined); // more nanoseconds than Go's durations hold
  check('1h30m', 5_400_000);
  check('0', 0);
  check('-5m', undefined); // the notation has no sign
  check('-1', -1000);
  check('5 m', undefined);
  check('', undefined);
  check('-', undefined);
  check('1e300', undefined);
});
