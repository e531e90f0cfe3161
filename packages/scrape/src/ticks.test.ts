import { asDuration, asTime } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, test } from 'vitest';
import { offsetGrid } from './schedule.js';
import { Ticks } from './ticks.js';

const START = 1_700_000_000_000;

/** Ticks on a clock that counts the timers it is asked for, and what has fired. */
function rig() {
  const clock = new VirtualClock(START);
  const seen = { timers: 0, fired: [] as string[] };
  const ticks = new Ticks({
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delay, fire) => {
      seen.timers++;
      return clock.after(delay, fire);
    },
  });
  const at = (time: number, name: string) =>
    ticks.at(asTime(START + time), (now) => void seen.fired.push(`${name}@${now - START}`));
  return { clock, seen, at };
}

test('all of one moment share a timer and its time', async () => {
  const { clock, seen, at } = rig();
  for (const name of ['a', 'b', 'c']) at(500, name);
  at(750, 'd');
  expect(seen.timers).toBe(2);
  await clock.advance(600);
  expect(seen.fired).toEqual(['a@500', 'b@500', 'c@500']);
  await clock.advance(600);
  expect(seen.fired).toEqual(['a@500', 'b@500', 'c@500', 'd@750']);
});

test('cancelled ones do not fire, the others of their moment do; the last one takes the timer along', async () => {
  const { clock, seen, at } = rig();
  const a = at(500, 'a');
  at(500, 'b');
  const c = at(750, 'c');
  a.cancel();
  c.cancel();
  c.cancel();
  at(750, 'd');
  expect(seen.timers).toBe(3);
  await clock.advance(1000);
  expect(seen.fired).toEqual(['b@500', 'd@750']);
});

test('one that fires may ask for the same moment again', async () => {
  const { clock, seen, at } = rig();
  const first = at(500, 'a');
  await clock.advance(500);
  at(500, 'late');
  first.cancel();
  await clock.advance(1);
  expect(seen.fired).toEqual(['a@500', 'late@500']);
});

test('a moment asked for after the clock was set has a timer of its own', async () => {
  const { clock, seen, at } = rig();
  at(10_000, 'before');
  clock.stepWallClock(4000);
  at(10_000, 'after');
  await clock.advance(6000);
  expect(seen.fired).toEqual(['after@10000']);
  await clock.advance(4000);
  expect(seen.fired).toEqual(['after@10000', 'before@14000']);
});

test('who loses the processor between two readings of the clocks is late, not early', () => {
  let elapsed = 0;
  let lost = 20;
  /** The first reading of any clock is followed by 20 ms in which others run. */
  const read = (value: number): number => {
    elapsed += lost;
    lost = 0;
    return value;
  };
  let firesAt = 0;
  const ticks = new Ticks({
    now: () => asTime(read(START + elapsed)),
    monotonic: () => read(elapsed),
    after: (delay) => {
      firesAt = elapsed + delay;
      return { cancel: () => {} };
    },
  });
  ticks.at(asTime(START + 500), () => {});
  expect(firesAt).toBeGreaterThanOrEqual(500);
});

test('the grid is a quarter of a second, and no more than a tenth of the interval', () => {
  const check = (interval: number, grid: number): void =>
    expect(offsetGrid(asDuration(interval))).toBe(grid);
  check(60_000, 250);
  check(2500, 250);
  check(1000, 100);
  check(5, 1);
});
