import { asDuration, asTime } from '@canopy/model';
import { expect, test } from 'vitest';
import { endTime, isPunctual, nextTick, ticksPassed } from './schedule.js';

test('the next tick', () => {
  const check = (now: number, offset: number, expected: number): void =>
    expect(nextTick(asTime(now), asDuration(10_000), offset)).toBe(expected);
  check(20_000, 3000, 23_000);
  check(23_000, 3000, 33_000); // fired on time: the next one
  check(22_999, 3000, 33_000); // a timer that fired early: not the same tick again
  check(22_998, 3000, 33_000);
  check(22_997, 3000, 23_000);
  check(24_000, 3000, 33_000);
  check(32_999, 3000, 43_000);
});

test('ticks that came meanwhile', () => {
  const check = (sinceTick: number, expected: number): void =>
    expect(ticksPassed(sinceTick, asDuration(10_000))).toBe(expected);
  check(9000, 0);
  check(9998, 1); // too near for the next tick to be still ahead
  check(10_001, 1);
  check(25_000, 2);
  check(-1, 0);
});

test('punctual: within 2 ms, and within a hundredth of the interval', () => {
  const check = (now: number, interval: number, expected: boolean): void =>
    expect(isPunctual(asTime(now), asTime(10_000), asDuration(interval))).toBe(expected);
  check(10_002, 10_000, true);
  check(9998, 10_000, true);
  check(10_003, 10_000, false);
  check(9997, 10_000, false);
  check(10_001, 100, true);
  check(10_002, 100, false);
});

test('the end of a removed target', () => {
  const check = (
    tick: number,
    last: number,
    replacedAt: number | undefined,
    expected: number,
  ): void =>
    expect(
      endTime(
        asTime(tick),
        asTime(last),
        replacedAt === undefined ? undefined : asTime(replacedAt),
      ),
    ).toBe(expected);
  check(20_000, 10_000, undefined, 19_999);
  check(20_000, 10_000, 15_000, 14_999); // another loop had them before
  check(20_000, 10_000, 25_000, 19_999);
  check(20_000, 10_000, 9000, 19_999); // had them all the time: scraped twice
  check(10_000, 10_000, undefined, 10_001); // a frame is never before the last one
});
