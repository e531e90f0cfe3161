/** Others run in the middle of every operator, and what it gives does not depend on that. */
import { type Clock, Turns, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { expect, it } from 'vitest';
import type { Engine } from '../engine.js';
import { testClock } from '../testing/clock.js';
import { MemoryQueryable } from '../testing/memory.js';
import { ALL_FEATURES, NO_FEATURES, testEngine } from '../testing/options.js';
import { seededRandom } from '../testing/random-query.js';
import { Budget } from './budget.js';
import { SampleTally } from './tally.js';
import { sortInTurns } from './sort.js';

const ROWS = 2500;

function queryable(): MemoryQueryable {
  const filled = new MemoryQueryable();
  const times = Float64Array.of(0, 1000);
  for (let i = 0; i < ROWS; i++) {
    const labels = { __name__: 'm', i: String(i), job: `job${i % 7}`, le: String(i % 5) };
    const values = Float64Array.of(i % 11, (i * 7919) % ROWS);
    filled.addColumns(labelsFromObject(labels), times, values);
  }
  return filled;
}

/** Never moves on, so every look at it is one where a turn is due; counts turns given. */
class TurnClock implements Clock {
  turns = 0;
  readonly now = testClock.now;

  monotonic(): number {
    return 0;
  }

  after(delay: number, fire: () => void): { cancel(): void } {
    if (delay === 0) {
      this.turns++;
      queueMicrotask(fire);
    }
    return { cancel: () => {} };
  }
}

const answers = async (engine: Engine, query: string): Promise<string> => {
  const instant = await engine.instant(query, asTime(1000));
  const range = await engine.range(query, asTime(0), asTime(1000), asDuration(1000));
  return JSON.stringify([instant.value, range.value]);
};

it('gives turns in proportion to the rows an operator reads', async () => {
  const series = queryable();
  const clock = new TurnClock();
  const turnsOf = async (query: string, delayedNameRemoval = false): Promise<number> => {
    const features = { ...ALL_FEATURES, delayedNameRemoval };
    const inTurns = testEngine(series, { clock, yieldEveryMs: 0, features });
    const atOnce = testEngine(series, { yieldEveryMs: 1e9, features });
    const before = clock.turns;
    expect(await answers(inTurns, query), query).toBe(await answers(atOnce, query));
    return clock.turns - before;
  };
  const plain = await turnsOf('m');
  // `operands`: how often the query selects the series.
  const check = async (query: string, least: number, operands = 1): Promise<void> => {
    expect((await turnsOf(query)) - plain * operands, query).toBeGreaterThanOrEqual(least);
  };
  const labels = (ROWS * 1000) / 100_000;
  await check('sum by (i) (m)', labels);
  await check('avg without (le) (m)', labels);
  await check('topk by (i) (1, m)', labels);
  await check('quantile by (i) (0.5, m)', labels);
  await check('count_values by (i) ("v", m)', labels);
  await check('limit_ratio(0.5, m)', labels);
  await check('m + on (i) m', 2 * labels, 2);
  await check('m * ignoring (le) group_left () m', 2 * labels, 2);
  await check('m and m', 2 * labels, 2);
  await check('m or on (i) -m', 2 * labels, 2);
  await check('label_replace(m, "x", "$1", "i", "(.*)")', 2 * labels);
  await check('label_join(m, "x", "-", "i", "job")', 2 * labels);
  await check('histogram_quantile(0.9, m)', labels);
  await check('abs({__name__=~"m|n"})', labels / 4);
  await check('info(m)', 2 * labels);
  await check('sort(m)', 1);
  expect((await turnsOf('-m', true)) - plain, 'names go in the end').toBeGreaterThan(labels);
});

it('sorts in turns as at once', async () => {
  const clock = new TurnClock();
  const { signal } = new AbortController();
  const budget = new Budget({
    clock,
    signal,
    maxSamples: 1,
    maxRead: 1,
    yieldEveryMs: 0,
    turns: new Turns((run) => clock.after(asDuration(0), run)),
    rules: NO_FEATURES,
    tally: new SampleTally(null),
  });
  const compare = (a: { key: number }, b: { key: number }): number => a.key - b.key;
  for (const count of [0, 1, 2048, 2049, 4096, 5000, 6145, 20_000]) {
    const next = seededRandom(count + 1);
    // Few keys: items that compare equal must keep their order.
    const items = Array.from({ length: count }, (_, at) => ({ key: Math.floor(next() * 50), at }));
    const expected = items.toSorted(compare);
    const before = clock.turns;
    expect(await sortInTurns(items, compare, budget)).toEqual(expected);
    expect(await sortInTurns([...expected], compare, budget)).toEqual(expected);
    if (count > 4096) expect(clock.turns - before).toBeGreaterThan(3);
  }
});

it('ends in the middle of an operator when the query does', async () => {
  const series = queryable();
  const client = new AbortController();
  let turns = 0;
  const clock: Clock = {
    now: testClock.now,
    monotonic: () => 0,
    after: (delay, fire) => {
      if (delay !== 0) return { cancel: () => {} };
      if (++turns === 20) client.abort();
      queueMicrotask(fire);
      return { cancel: () => {} };
    },
  };
  const engine = testEngine(series, { clock, yieldEveryMs: 0 });
  await expect(
    engine.instant('m + on (i) m', asTime(1000), { signal: client.signal }),
  ).rejects.toMatchObject({ code: 'canceled' });
  expect(turns).toBe(20);
});

it('gives turns between the operators of a single series over many steps', async () => {
  const clock = new TurnClock();
  const engine = testEngine(new MemoryQueryable(), { clock, yieldEveryMs: 0 });
  const check = async (query: string, least: number): Promise<void> => {
    const before = clock.turns;
    await engine.instant(query, asTime(1e12));
    expect(clock.turns - before, query).toBeGreaterThanOrEqual(least);
  };
  await check('sum_over_time((vector(time()) + vector(2))[100000s:1s])', 6);
  await check('count_over_time((vector(0) * (time() + time()))[100000s:1s])', 6);
});

it('lets one query go on in each turn of the event loop, however many there are', async () => {
  let turn = 0;
  const given = new Map<number, number>();
  const clock: Clock = {
    now: testClock.now,
    monotonic: () => 0,
    after: (delay, fire) => {
      if (delay > 0) return testClock.after(delay, fire);
      setImmediate(() => {
        given.set(turn, (given.get(turn) ?? 0) + 1);
        fire();
      });
      return { cancel: () => {} };
    },
  };
  let isOver = false;
  const count = (): void => void (turn++, isOver || setImmediate(count));
  count();
  const engine = testEngine(queryable(), { clock, yieldEveryMs: 0 });
  const text = 'sum by (i) (m) + on (i) m';
  const answered = await Promise.all([1, 2, 3, 4].map(() => engine.instant(text, asTime(1000))));
  isOver = true;
  expect(new Set(answered.map(({ value }) => JSON.stringify(value))).size).toBe(1);
  expect(given.size).toBeGreaterThan(4 * 20);
  expect(Math.max(...given.values())).toBe(1);
});
