import { expect, it } from 'vitest';
import { Rate } from './rate.js';

it('is the slope over the last readings', () => {
  let total = 0;
  const rate = new Rate(() => total);
  expect(rate.perSecond).toBe(0);
  rate.tick(0);
  expect(rate.perSecond).toBe(0);
  for (let at = 1000; at <= 10_000; at += 1000) {
    total += 50;
    rate.tick(at);
  }
  expect(rate.perSecond).toBe(50);
});
