import { expect, it } from 'vitest';
import { sortYielding } from './yielding.js';

const forEver = new AbortController().signal;

it('sorts like toSorted, stably, at any length', async () => {
  const check = async (length: number) => {
    // A linear congruence: many equal keys, so that stability shows.
    const items = Array.from({ length }, (_, i) => ({ key: (i * 7919) % 1000, i }));
    const sorted = await sortYielding(items, (a, b) => a.key - b.key, forEver);
    expect(sorted).toEqual(items.toSorted((a, b) => a.key - b.key));
  };
  for (const length of [0, 1, 2, 4095, 4096, 4097, 8192, 20_001]) await check(length);
});

it('lets other work run and stops when told to', async () => {
  const items = Array.from({ length: 50_000 }, (_, i) => -i);
  let turns = 0;
  const other = setInterval(() => turns++, 0);
  await sortYielding(items, (a, b) => a - b, forEver);
  clearInterval(other);
  expect(turns).toBeGreaterThan(2);
  const stop = new AbortController();
  const sorting = sortYielding(items, (a, b) => a - b, stop.signal);
  stop.abort(new Error('enough'));
  await expect(sorting).rejects.toThrow('enough');
});
