/** A short form of `npm run conformance -- --against prometheus`. */
import { afterAll, expect, it } from 'vitest';
import { Site, isWithout } from '../processes.js';
import { Against } from './against.js';
import { complianceQueries } from './query-list.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

const RANDOM_QUERIES = 50;

it.skipIf(isWithout('prometheus'))('answers what a real Prometheus answers', async () => {
  const both = await Against.open(site, 70, 7);
  const queries = complianceQueries();
  if (queries === null) {
    console.log('Left out: the queries of prometheus/compliance, which are not there.');
  }
  for (const query of queries ?? []) await both.compare(query);
  await both.compareRandom(RANDOM_QUERIES, 7, () => undefined);
  expect(both.totals.differences).toEqual([]);
  expect(both.totals.questions).toBeGreaterThanOrEqual(2 * RANDOM_QUERIES);
  expect(both.totals.refused).toBeLessThan(both.totals.questions / 4);
});

it('sees a difference where there is one', async () => {
  const { difference } = await import('./compare-answers.js');
  const answer = (value: string) =>
    ({
      status: 'success',
      data: { resultType: 'vector', result: [{ metric: { a: 'b' }, value: [1, value] }] },
    }) as const;
  expect(difference(answer('1'), answer('1.0000000001'))).toBe('');
  expect(difference(answer('1'), answer('1.00000001'))).toMatch(/1.00000001 at 1, not 1/);
  expect(difference(answer('NaN'), answer('1'))).not.toBe('');
  expect(difference(answer('1'), { status: 'error', error: 'no' })).toMatch(/^error, not success/);
});
