import { type JournalRef, type SeriesOrigins, asTime, labelsFromObject } from '@canopy/model';
import { expect, it } from 'vitest';
import type { WebOptions } from '../options.js';
import { runWeb } from '../testing/call-web.js';

const REF = 'a'.repeat(32) as JournalRef;
const SERIES: SeriesOrigins = {
  labels: labelsFromObject({ __name__: 'up', job: 'node' }),
  origins: [
    {
      ...{ journal: REF, epoch: 1, group: 2, scrapeUrl: 'http://h/metrics' },
      ...{ from: asTime(1000), to: asTime(2500), open: true },
    },
  ],
};

async function ask(query: string, given: Partial<WebOptions> = {}) {
  await using web = await runWeb({ pathOf: () => ['leaf', 'top'], ...given });
  const response = await fetch(`${web.url}/api/v1/provenance${query}`);
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
}

it('says where series come from', async () => {
  const asked: unknown[] = [];
  const origins: WebOptions['origins'] = async (sets, range, limit) => {
    asked.push(sets.length, range, limit);
    return [SERIES];
  };
  const query = '?match[]=up&match[]=x&start=1&end=2&limit=7';
  const { status, answer } = await ask(query, { origins });
  expect(status).toBe(200);
  expect(asked).toEqual([2, { minTime: 1000, maxTime: 2000 }, 7]);
  expect(answer.data).toEqual([
    {
      metric: { __name__: 'up', job: 'node' },
      origins: [
        {
          ...{ journal: REF, epoch: 1, group: 2, scrapeUrl: 'http://h/metrics' },
          ...{ path: ['leaf', 'top'], from: 1, to: 2.5, open: true },
        },
      ],
    },
  ]);
});

it('refuses what it cannot answer whole', async () => {
  const check = async (query: string, message: RegExp, given: Partial<WebOptions> = {}) => {
    const { status, answer } = await ask(query, given);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(answer).toMatchObject({ status: 'error', error: expect.stringMatching(message) });
  };
  await check('', /no match/);
  await check('?match[]=up&limit=10001', /must not exceed 10000/);
  await check('?match[]=up', /more than 1000 series match/, { origins: async () => undefined });
});
