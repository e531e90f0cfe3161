import { type TargetStatus, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { expect, it } from 'vitest';
import type { WebOptions } from '../options.js';
import { runWeb } from '../testing/call-web.js';

function target(scrapePool: string, given: Partial<TargetStatus> = {}): TargetStatus {
  return {
    scrapePool,
    discoveredLabels: labelsFromObject({ __address__: 'h:1' }),
    labels: labelsFromObject({ job: scrapePool, instance: 'h:1' }),
    scrapeUrl: 'http://h:1/metrics',
    health: 'up',
    lastError: '',
    lastScrape: asTime(1_700_000_000_123),
    lastScrapeDuration: asDuration(12.5),
    scrapeInterval: asDuration(15_000),
    scrapeTimeout: asDuration(10_000),
    lastSamples: 5,
    ...given,
  };
}

const down = target('a', { health: 'down', lastError: 'refused', lastScrape: undefined });
const targets: WebOptions['targets'] = {
  active: () => [target('b'), down],
  dropped: () => [
    { scrapePool: 'b', discoveredLabels: labelsFromObject({ __address__: 'd:1' }) },
    { scrapePool: 'b', discoveredLabels: [] },
  ],
};

async function ask(path: string): Promise<{ status: number; answer: Record<string, unknown> }> {
  await using web = await runWeb({ targets });
  const response = await fetch(`${web.url}/api/v1/${path}`);
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
}

interface TargetsData {
  readonly activeTargets: Array<{ scrapePool: string }>;
  readonly droppedTargets: Array<{ scrapePool: string }>;
  readonly droppedTargetCounts: Record<string, number>;
}

it('lists targets in the words of Prometheus', async () => {
  const { answer } = await ask('targets');
  const data = answer.data as TargetsData;
  expect(data.activeTargets[0]).toEqual({
    discoveredLabels: { __address__: 'h:1' },
    labels: { instance: 'h:1', job: 'a' },
    scrapePool: 'a',
    scrapeUrl: 'http://h:1/metrics',
    globalUrl: 'http://h:1/metrics',
    lastError: 'refused',
    lastScrape: '0001-01-01T00:00:00Z',
    lastScrapeDuration: 0.0125,
    health: 'down',
    scrapeInterval: '15s',
    scrapeTimeout: '10s',
  });
  expect(data.activeTargets[1]).toMatchObject({ lastScrape: '2023-11-14T22:13:20.123Z' });
  expect(data.droppedTargets[0]).toEqual({
    discoveredLabels: { __address__: 'd:1' },
    scrapePool: 'b',
  });
});

it('filters by state and pool', async () => {
  const check = async (query: string, active: string[], dropped: number) => {
    const data = (await ask(`targets${query}`)).answer.data as TargetsData;
    expect(data.activeTargets.map(({ scrapePool }) => scrapePool)).toEqual(active);
    expect(data.droppedTargets.length).toBe(dropped);
    expect(data.droppedTargetCounts).toEqual(dropped === 0 ? {} : { b: dropped });
  };
  await check('', ['a', 'b'], 2);
  await check('?state=any', ['a', 'b'], 2);
  await check('?state=active', ['a', 'b'], 0);
  await check('?state=ACTIVE', ['a', 'b'], 0);
  await check('?state=dropped', [], 2);
  await check('?scrapePool=a', ['a'], 0);
  await check('?scrapePool=b', ['b'], 2);
  await check('?scrapePool=none', [], 0);
});

it('answers the lists that are empty for now', async () => {
  const check = async (path: string, data: unknown) =>
    expect((await ask(path)).answer).toEqual({ status: 'success', data });
  await check('scrape_pools', { scrapePools: ['a', 'b'] });
  await check('rules', { groups: [] });
  await check('rules?type=alert', { groups: [] });
  await check('alerts', { alerts: [] });
  await check('alertmanagers', { activeAlertmanagers: [], droppedAlertmanagers: [] });
});

it('refuses unknown rule types and pages', async () => {
  for (const path of ['rules?type=x', 'rules?group_next_token=y']) {
    const { status, answer } = await ask(path);
    expect(status).toBe(400);
    expect(answer).toMatchObject({ errorType: 'bad_data' });
  }
});
