/**
 * Working out all steps at once gives what each step by itself gives: a range query's points are
 * those of instant queries at their times. Random queries over random data, with gaps, stale marks
 * and NaN.
 */
import {
  CanopyError,
  type QueryValue,
  SampleState,
  asDuration,
  asTime,
  labelsFromObject,
  labelsKey,
} from '@canopy/model';
import { expect, it } from 'vitest';
import type { Engine } from '../engine.js';
import { almostEqual } from '../testing/compare.js';
import { MemoryQueryable } from '../testing/memory.js';
import { ALL_FEATURES, testEngine } from '../testing/options.js';
import {
  EXTENDED_FUNCTIONS,
  RANGE_FUNCTIONS,
  SCALARS,
  type Vocabulary,
  randomQuery,
  seededRandom,
} from '../testing/random-query.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);
const STEP = 60_000;
const START = 600_000;
const STEPS = 6;

const WORDS: Vocabulary = {
  selectors: ['x', 'y_total', 'x{a="1"}', 'y_total{b!="2"}', '{__name__=~"x|y_total"}'],
  ranges: ['1m', '2m30s', '6m'],
  shifts: ['', '', '', ' offset 90s', ' offset -1m', ' @ 720', ' @ 720 offset 1m'],
  labels: ['a', 'b'],
  scalars: SCALARS,
  rangeFunctions: RANGE_FUNCTIONS,
  extendedFunctions: EXTENDED_FUNCTIONS,
};

/** Aligned and lone series; counters that start again; gaps and stale marks. */
function randomData(next: () => number): MemoryQueryable {
  const queryable = new MemoryQueryable();
  for (const name of ['x', 'y_total']) {
    for (const [a, b] of ['1', '2', ''].flatMap((a) => ['1', '2'].map((b) => [a, b]))) {
      const labels = labelsFromObject({ __name__: name, a, b });
      const interval = next() < 0.7 ? 15_000 : 40_000 + Math.floor(next() * 1000);
      const holes = next() < 0.4 ? 0.15 : 0;
      let value = Math.floor(next() * 10);
      for (let time = 0; time < 1_500_000; time += interval) {
        value = next() < 0.1 ? 0 : value + Math.floor(next() * 5);
        const chance = next();
        if (chance < holes) continue;
        if (chance < holes * 1.3) queryable.append(labels, time, 0, SampleState.stale);
        else queryable.append(labels, time, chance > 0.99 ? Number.NaN : value);
      }
    }
  }
  return queryable;
}

/** label set → value, at one time. */
function pointsAt(value: QueryValue, time: number): Map<string, number> {
  const points = new Map<string, number>();
  if (value.type === 'scalar') points.set('', value.value);
  if (value.type === 'vector') {
    for (const sample of value.samples) points.set(labelsKey(sample.labels), sample.value);
  }
  if (value.type === 'matrix') {
    for (const { labels, times, values } of value.series) {
      const at = times.indexOf(time);
      if (at >= 0) points.set(labelsKey(labels), values[at]);
    }
  }
  return points;
}

/** Sums of rows in another order differ in their last bits, and what is 0 may be nearly so. */
function difference(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): string {
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other === undefined) return `${key} is not there at this step alone`;
    const same = almostEqual(value, other) || Math.abs(value - other) < 1e-9;
    if (!same) return `${key}: ${value}, at this step alone ${other}`;
  }
  return a.size === b.size ? '' : `${b.size} series at this step alone, not ${a.size}`;
}

async function tryValue(run: () => ReturnType<Engine['instant']>): Promise<QueryValue | string> {
  try {
    return (await run()).value;
  } catch (error) {
    if (error instanceof CanopyError && error.code === 'execution') return error.message;
    throw error;
  }
}

it('gives the same for all steps at once and for each by itself', async () => {
  let compared = 0;
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const next = seededRandom(seed);
    // Names go at once in one half, in the end in the other.
    const labelRules =
      seed % 2 === 0 ? {} : { delayedNameRemoval: false, typeAndUnitLabels: false };
    const features = { ...ALL_FEATURES, ...labelRules };
    const engine = testEngine(randomData(next), { features });
    const text = randomQuery(next, 'vector', 1 + Math.floor(next() * 3), WORDS);
    // Among equal values topk takes the first; another topk or count_values within it makes an
    // order
    // of rows that depends on the step.
    if (/(?:top|bottom)k.*(?:count_values|(?:top|bottom)k|sort)/.test(text)) continue;
    const end = START + (STEPS - 1) * STEP;
    const all = await tryValue(() =>
      engine.range(text, asTime(START), asTime(end), asDuration(STEP)),
    );
    let failed = '';
    for (let k = 0; k < STEPS; k++) {
      const time = START + k * STEP;
      const one = await tryValue(() => engine.instant(text, asTime(time)));
      if (typeof one === 'string') failed = one;
      else if (typeof all !== 'string') {
        compared++;
        expect(
          difference(pointsAt(all, time), pointsAt(one, time)),
          `seed ${seed}, step ${k}: ${text}`,
        ).toBe('');
      }
    }
    // What fails at one step fails the whole; the reverse need not be (names dropped over a range).
    if (failed !== '') expect(typeof all, `seed ${seed}: ${text}: ${failed}`).toBe('string');
  }
  expect(compared).toBeGreaterThan(ROUNDS);
});
