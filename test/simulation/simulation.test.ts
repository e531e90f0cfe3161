/** Some seeds, twice the same one, and faults on purpose that must be seen. `npm run simulate` runs as many as one likes. */
import { describe, expect, it } from 'vitest';
import { CANARIES, type CanaryName } from './canaries.js';
import { planOf } from './plan.js';
import { simulate } from './simulation.js';

/** Found by hand: with a standby, a level above, a filter, a store that falls back, kills (before a first commit, too), clocks. */
const SEEDS = [3, 4, 5, 6, 8, 12, 16, 53];
/** Each canary in one of them: there is something that it can spoil. */
const CANARY_SEEDS: Readonly<Record<CanaryName, number>> = {
  ...{ unwritten: 3, retimed: 8, forged: 4, unjournalled: 8, halved: 4, unstale: 8 },
  ...{ redescribed: 4, fallen: 6, eager: 4, miscounted: 6, leaking: 4, silent: 5 },
};

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

  // The same seeds without them are above: nothing but the canary makes the checker speak.
  it.each(Object.entries(CANARIES))('sees the fault on purpose %s: %s', async (name, checker) => {
    const canary = name as CanaryName;
    const seed = CANARY_SEEDS[canary];
    expect(SEEDS).toContain(seed);
    const { faults } = await simulate({ seed, canary });
    expect(faults.filter((fault) => fault.startsWith(`${checker}: `))).not.toEqual([]);
  });
});
