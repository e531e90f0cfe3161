/** Some seeds, twice the same one, and faults on purpose that must be seen. `npm run simulate` runs as many as one likes. */
import { describe, expect, it } from 'vitest';
import { planOf } from './plan.js';
import { simulate } from './simulation.js';

/** Found by hand: with a standby, a level above, a filter, a store that falls back, kills, clocks. */
const SEEDS = [3, 4, 5, 12, 16];

describe('a simulated hierarchy', () => {
  it('one seed gives one plan', () => {
    expect(planOf(5)).toEqual(planOf(5));
    expect(planOf(5)).not.toEqual(planOf(6));
  });

  it('one seed gives one run, bit for bit', async () => {
    const first = await simulate({ seed: SEEDS[0] });
    const second = await simulate({ seed: SEEDS[0] });
    expect(first.events).toBeGreaterThan(500);
    expect(second.digest).toBe(first.digest);
    const other = await simulate({ seed: SEEDS[1] });
    expect(other.digest).not.toBe(first.digest);
  });

  it.each(SEEDS)('keeps every promise with seed %i', async (seed) => {
    const { faults, samples, lines } = await simulate({ seed });
    expect(faults, lines.slice(-30).join('\n')).toEqual([]);
    expect(samples).toBeGreaterThan(100);
  });

  it('sees what a store acknowledges and does not write', async () => {
    const { faults } = await simulate({ seed: SEEDS[0], canary: 'unwritten' });
    expect(faults.join('\n')).toMatch(/complete: .*missing/);
  });
});
