/** Queries that hold to what is complete. */
import { type QueryRead, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { expect, it } from 'vitest';
import { MemoryQueryable } from './testing/memory.js';
import { testEngine } from './testing/options.js';

const T = (seconds: number) => asTime(seconds * 1000);

/** `m`: a sample each second, its own time. */
function engine() {
  const queryable = new MemoryQueryable();
  const times = Float64Array.from({ length: 101 }, (_zero, i) => i * 1000);
  const values = times.map((time) => time / 1000);
  queryable.addColumns(labelsFromObject({ __name__: 'm' }), times, values);
  return testEngine(queryable);
}

const upTo = (seconds: number, asked: QueryRead[] = []) => ({
  complete: async (reads: readonly QueryRead[]) => {
    asked.push(...reads);
    return { upTo: T(seconds), warnings: ['lost'] };
  },
});

it('evaluates an instant query where all is complete', async () => {
  const check = async (query: string, time: number, complete: number, expected: unknown) => {
    const { value, warnings } = await engine().instant(query, T(time), upTo(complete));
    expect(value.type === 'vector' ? value.samples : value, query).toMatchObject(
      expected as object,
    );
    expect(warnings).toEqual(['lost']);
  };
  await check('m', 50, 90, [{ time: T(50), value: 50 }]); // nothing to hold to
  await check('m', 50, 30, [{ time: T(30), value: 30 }]);
  await check('sum_over_time(m[2s])', 50, 30, [{ time: T(30), value: 59 }]);
  await check('m offset -10s', 50, 30, [{ time: T(30), value: 30 }]); // no sample beyond is read
  await check('m @ 60', 50, 30, [{ time: T(30), value: 30 }]);
  await check('m @ end()', 50, 30, [{ time: T(30), value: 30 }]);
  await check('time()', 50, 30, { type: 'scalar', value: 30 });
  await check('m', 50, 0, [{ time: T(0), value: 0 }]);
});

it('ends a range query there, and begins none beyond', async () => {
  const check = async (start: number, end: number, complete: number, expected: number[]) => {
    const options = upTo(complete);
    const { value } = await engine().range('m', T(start), T(end), asDuration(10_000), options);
    const series = value.type === 'matrix' ? value.series : [];
    expect(series.flatMap(({ values }) => [...values])).toEqual(expected);
  };
  await check(0, 40, 90, [0, 10, 20, 30, 40]);
  await check(0, 40, 29.999, [0, 10, 20]);
  await check(0, 40, 30, [0, 10, 20, 30]);
  await check(50, 90, 40, []);
});

it('asks for what is read', async () => {
  const asked: QueryRead[] = [];
  await engine().instant('rate(m[10s]) + x{a="b"}', T(50), upTo(90, asked));
  expect(asked.map(({ matchers, maxTime }) => [matchers.length, maxTime])).toEqual([
    [1, 50_000],
    [2, 50_000],
  ]);
});
