import { expect, it } from 'vitest';
import { ClockSkew } from './clock-skew.js';

it('takes the measurement with the shortest way', () => {
  const skew = new ClockSkew();
  expect(skew.estimate).toBeUndefined();
  const check = (asked: number, answered: number, said: number, expected: [number, number]) => {
    skew.measure(asked, answered, said);
    expect(skew.estimate).toEqual({ skewMs: expected[0], errorMs: expected[1] });
  };
  check(1000, 1100, 1050, [0, 50]);
  check(2000, 2010, 1905, [-100, 5]); // ten times shorter
  check(3000, 3400, 9000, [-100, 5]); // slow: says nothing better
  check(5000, 4000, 9000, [-100, 5]); // the clock was set back
  check(6000, 6010, 5805, [-200, 5]); // as good, and newer
  for (let i = 0; i < 12; i++) skew.measure(7000, 7020, 7010 + 40);
  expect(skew.estimate).toEqual({ skewMs: 40, errorMs: 10 }); // what was before is too old
});
