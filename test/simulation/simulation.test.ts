/** Some seeds, twice the same one, and faults on purpose that must be seen. `npm run simulate` runs as many as one likes. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { CANARIES, type CanaryName } from './canaries.js';
import { planOf } from './plan.js';
import { SEEDS } from './seeds.js';
import { simulate } from './simulation.js';

const RUNS_FOR_MEMORY = 3;
const COLLECTIONS_MAX = 20;
/**
 * A fixed seed whose run soon has what the canary spoils, tried before the others: one run a canary where to go through all from the
 * first on took 84 s of CPU for 22.
 */
const SOON_SEEN: Partial<Record<CanaryName, number>> = {
  ...{ unwritten: 96, retimed: 38, forged: 53, unjournalled: 38, halved: 96, unstale: 53 },
  ...{ redescribed: 53, fallen: 38, forgetful: 38, unnoticed: 123, unchecked: 33, unsaid: 123 },
  ...{ alarming: 53, uncounted: 96, stray: 96, unleft: 8, unnamed: 38, forsaken: 8, eager: 96 },
  ...{ miscounted: 53, leaking: 53, silent: 8 },
};
/** Its world and processes are some MB. */
const RUN_LEAVES_BYTES = 1.5 * 1024 * 1024;

describe('a simulated hierarchy', () => {
  it('one seed gives one plan', () => {
    expect(planOf(5)).toEqual(planOf(5));
    expect(planOf(5)).not.toEqual(planOf(6));
  });

  it('one seed gives one run, bit for bit', async () => {
    const first = await simulate(SEEDS[0]);
    const second = await simulate(SEEDS[0]);
    expect(first.events).toBeGreaterThan(500);
    expect(second.digest).toBe(first.digest);
    const other = await simulate(SEEDS[1]);
    expect(other.digest).not.toBe(first.digest);
  });

  it('leaves next to nothing behind', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const heapBytes = async (goal: number): Promise<number> => {
      // What finalizers and signals hold is let go of some turns later.
      for (let turns = 0; ; turns++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        collect();
        const { heapUsed } = process.memoryUsage();
        if (heapUsed < goal || turns === COLLECTIONS_MAX) return heapUsed;
      }
    };
    await simulate(SEEDS[0]);
    const before = await heapBytes(0);
    const goal = before + RUNS_FOR_MEMORY * RUN_LEAVES_BYTES;
    for (let i = 0; i < RUNS_FOR_MEMORY; i++) await simulate(SEEDS[0]);
    expect(await heapBytes(goal)).toBeLessThan(goal);
  });

  it.each(SEEDS)('keeps every promise with seed $seed', async (run) => {
    const { faults, samples, lines } = await simulate(run);
    expect(faults, lines.slice(-30).join('\n')).toEqual([]);
    expect(samples).toBeGreaterThan(100);
  });

  // The same seeds without it are above: nothing but the canary makes the checker speak.
  it.each(Object.entries(CANARIES))('sees the fault on purpose %s: %s', async (name, checker) => {
    const seen: string[] = [];
    const first = SEEDS.filter(({ seed }) => seed === SOON_SEEN[name as CanaryName]);
    for (const run of [...first, ...SEEDS.filter((one) => !first.includes(one))]) {
      const { faults } = await simulate({ ...run, canary: name as CanaryName });
      seen.push(...faults.filter((fault) => fault.startsWith(`${checker}: `)));
      // Not every seed has what it spoils.
      if (seen.length > 0) break;
    }
    expect(seen).not.toEqual([]);
  });
});
