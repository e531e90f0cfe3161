/** Twenty kills of a parent, and proof that the checker would see what is wrong. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { ApiSeries } from '../processes.js';
import { isWithout } from '../processes.js';
import { type ChaosResult, runChaos } from './chaos.js';
import { differences, gapFaults, lawFaults, samplesOf } from './checker.js';
import { planOf } from './plan.js';

/** Both parents are killed in each round. */
const ROUNDS = 10;
const KILLS = 20;
const SEED = 1;

it('one seed gives one plan', () => {
  expect(planOf(5, 50)).toEqual(planOf(5, 50));
  expect(planOf(5, 50)).not.toEqual(planOf(6, 50));
  const rounds = planOf(5, 200);
  expect(rounds.filter(({ leaf }) => leaf !== undefined).length).toBeGreaterThan(10);
  expect(rounds.filter(({ parents }) => parents.redis.redis === 'flushed').length).toBeGreaterThan(
    1,
  );
});

describe('a hierarchy that is killed over and over', () => {
  let result: ChaosResult;
  beforeAll(async () => {
    const noRedis = isWithout('redis');
    result = await runChaos({
      rounds: noRedis ? KILLS : ROUNDS,
      seed: SEED,
      stores: noRedis ? ['embedded'] : ['embedded', 'redis'],
      minutes: 8,
      say: (line) => console.log(line),
    });
  }, 600_000);

  it('has what was acknowledged once, exactly', () => {
    expect(result.faults).toEqual([]);
    expect(result.parentKills).toBeGreaterThanOrEqual(KILLS);
    expect(result.samples).toBeGreaterThan(10_000);
    expect(result.tilesStored).toBeGreaterThan(0);
    expect(result.blocksSealed).toBeGreaterThan(0);
    expect(result.bytesDropped).toBeGreaterThan(0);
  });

  // Canaries: the last good answer with one thing changed must not pass.
  const spoil = (change: (values: Array<[number, string]>) => void): string[] => {
    const answer = structuredClone(result.last.answer) as ApiSeries[];
    const series = answer.find(({ metric }) => metric.__name__ === 'scrape_number')!;
    change(series.values!);
    return differences(result.oracle.samples, samplesOf(answer), result.last.window);
  };
  const CANARIES: Array<[string, (values: Array<[number, string]>) => void, RegExp]> = [
    ['lost', (values) => void values.splice(-20, 1), /missing/],
    ['doubled', (values) => void values.splice(-20, 0, values.at(-20)!), /twice/],
    ['moved', (values) => void (values.at(-20)![0] += 0.001), /never journalled/],
    ['changed', (values) => void (values.at(-20)![1] = '0'), /not \d+/],
    ['invented', (values) => void values.splice(-20, 0, [values.at(-20)![0] - 0.01, '7']), /never/],
  ];
  it.each(CANARIES)('a sample that is %s is seen', (_name, change, fault) => {
    expect(spoil(() => {})).toEqual([]);
    expect(spoil(change).join('\n')).toMatch(fault);
  });

  it('a hole that no gap names is seen, and values that do not belong together', () => {
    const samples = samplesOf(structuredClone(result.last.answer));
    const { window, gaps } = result.last;
    const pick = (name: string) => [...samples].find(([key]) => key.includes(`"${name}"`))![1];
    expect(lawFaults(samples, gaps, window)).toEqual([]);
    const wave = pick('wave');
    wave.values[wave.values.length - 20] += 1e-9;
    expect(lawFaults(samples, gaps, window).join('\n')).toMatch(/wave of/);
    const numbers = pick('scrape_number');
    for (let i = numbers.values.length - 20; i < numbers.values.length; i++) numbers.values[i]++;
    for (const key of [...samples.keys()]) if (key.includes('"up"')) samples.delete(key);
    expect(lawFaults(samples, [], window).join('\n')).toMatch(/no gap from/);
  });

  it('a gap that is not listed, listed twice or made up is seen', () => {
    const gap = (from: number) => ({ cause: 'restart', from, to: from + 10 });
    const check = (listed: number[], expected: RegExp | '') => {
      const faults = gapFaults(listed.map(gap), [1, 2].map(gap), [1, 2, 3].map(gap)).join('\n');
      if (expected === '') expect(faults).toBe('');
      else expect(faults).toMatch(expected);
    };
    check([1, 2], '');
    check([1, 2, 3], ''); // it came meanwhile
    check([1], /2 12: not listed/);
    check([1, 2, 2], /2 12: not journalled 2 times/);
    check([1, 2, 9], /9 19: not journalled/);
  });
});
