import {
  type Family,
  type Matcher,
  type Queryable,
  type SelectedSeries,
  type Snapshot,
  type TimeRange,
  labelValue,
  labelsFromObject,
  matchesAll,
} from '@canopy/model';
import { expect, it } from 'vitest';
import { runWeb } from '../testing/call-web.js';
import { MAX_TIME, MIN_TIME } from './params.js';
import { unescapeName } from './series.js';

const ALL = [
  labelsFromObject({ __name__: 'up', job: 'b' }),
  labelsFromObject({ __name__: 'up', job: 'a' }),
  labelsFromObject({ __name__: 'go_gc', job: 'a', 'dotted.name': 'x' }),
];
const UP: Family = { name: 'up', type: 'gauge', help: 'Is it up?', unit: '' };

/** Holds ALL; remembers ranges, and whether every snapshot was released. */
function holding() {
  const ranges: TimeRange[] = [];
  let open = 0;
  const matching = (sets: ReadonlyArray<readonly Matcher[]>, range: TimeRange) => {
    ranges.push(range);
    return sets.length === 0
      ? ALL
      : ALL.filter((labels) => sets.some((set) => matchesAll(set, labels)));
  };
  const snapshot: Snapshot = {
    series: async (sets, range) => matching(sets, range),
    async labelNames(sets, range) {
      const found = matching(sets, range).flatMap((labels) => labels.filter((_, i) => i % 2 === 0));
      return [...new Set(found)].sort();
    },
    async labelValues(name, sets, range) {
      const having = matching(sets, range).filter((labels) => labels.includes(name));
      return [...new Set(having.map((labels) => labelValue(labels, name)))].sort();
    },
    async select(matchers, range) {
      const one = new Float64Array(1);
      return matching([matchers], range).map((labels): SelectedSeries => {
        const family = labels.includes('up') ? UP : undefined;
        return { labels, family, times: one, values: one, states: null, from: 0, to: 1 };
      });
    },
    release: () => void open--,
  };
  const queryable: Queryable = {
    snapshot() {
      open++;
      return snapshot;
    },
    metadata: () =>
      new Map([
        ['up', [UP, { ...UP, help: 'Other words.' }]],
        ['go_gc', [{ name: 'go_gc', type: 'counter', help: '', unit: 'seconds' }]],
      ]),
  };
  return { queryable, ranges, openSnapshots: () => open };
}

async function ask(path: string, body?: URLSearchParams) {
  const { queryable, ranges, openSnapshots } = holding();
  await using web = await runWeb({
    queryable,
    targets: {
      active: () => [target('a'), target('b')],
      dropped: () => [],
    },
  });
  const init = body === undefined ? {} : { method: 'POST', body };
  const response = await fetch(`${web.url}/api/v1/${path}`, init);
  const answer = (await response.json()) as Record<string, unknown>;
  expect(openSnapshots()).toBe(0);
  return { status: response.status, answer, ranges };
}

function target(job: string) {
  return {
    scrapePool: 'p',
    discoveredLabels: [],
    labels: labelsFromObject({ job }),
    scrapeUrl: 'http://x/metrics',
    health: 'up' as const,
    lastError: '',
    lastScrape: undefined,
    lastScrapeDuration: 0 as never,
    scrapeInterval: 0 as never,
    scrapeTimeout: 0 as never,
    lastSamples: 0,
  };
}

const success = (data: unknown, warnings?: string[]) =>
  warnings === undefined ? { status: 'success', data } : { status: 'success', data, warnings };
const CUT = ['results truncated due to limit'];

it('lists series, sorted, as a union of selectors', async () => {
  const check = async (query: string, data: unknown, warnings?: string[]) => {
    const expected = success(data, warnings);
    expect((await ask(`series?${query}`)).answer).toEqual(expected);
    expect((await ask('series', new URLSearchParams(query))).answer).toEqual(expected);
  };
  const [upB, upA, gc] = [
    { __name__: 'up', job: 'b' },
    { __name__: 'up', job: 'a' },
    { __name__: 'go_gc', job: 'a', 'dotted.name': 'x' },
  ];
  await check('match[]=up', [upA, upB]);
  await check('match[]=up&match[]=go_gc', [gc, upA, upB]);
  await check('match[]={job="a"}&limit=1', [gc], CUT);
  await check('match[]=nothing', []);
});

it('lists label names and values', async () => {
  const check = async (path: string, data: unknown, warnings?: string[]) =>
    expect((await ask(path)).answer).toEqual(success(data, warnings));
  await check('labels', ['__name__', 'dotted.name', 'job']);
  await check('labels?match[]=up', ['__name__', 'job']);
  await check('labels?limit=1', ['__name__'], CUT);
  await check('label/job/values', ['a', 'b']);
  await check('label/job/values?match[]=go_gc', ['a']);
  await check('label/job/values?limit=1', ['a'], CUT);
  await check('label/unknown/values', []);
  await check('label/U__dotted_2e_name/values', ['x']);
  await check('label/dotted.name/values', ['x']);
  await check('label/dotted%2Ename/values', ['x']);
  const posted = await ask('labels', new URLSearchParams({ 'match[]': 'up' }));
  expect(posted.answer).toEqual(success(['__name__', 'job']));
});

it('passes time bounds on, and none as all time', async () => {
  const check = async (path: string, minTime: number, maxTime: number) =>
    expect((await ask(path)).ranges[0]).toEqual({ minTime, maxTime });
  await check('series?match[]=up', MIN_TIME, MAX_TIME);
  await check('series?match[]=up&start=1&end=2.5', 1000, 2500);
  await check('labels?start=1970-01-01T00:00:01Z', 1000, MAX_TIME);
  await check('label/job/values?end=7', MIN_TIME, 7000);
});

it('refuses what cannot be understood', async () => {
  const check = async (path: string, error: string) => {
    const { status, answer } = await ask(path);
    expect(status, path).toBe(400);
    expect(answer).toMatchObject({ status: 'error', errorType: 'bad_data' });
    expect(answer.error).toContain(error);
  };
  await check('series', 'no match[] parameter provided');
  await check('series?match[]={job=~".*"}', 'invalid parameter "match[]": ');
  await check('series?match[]=rate(up[5m])', 'invalid parameter "match[]": ');
  await check('series?match[]=up&start=x', 'invalid parameter "start": ');
  await check('series?match[]=up&limit=x', 'invalid parameter "limit": ');
  await check('labels?match[]={}', 'invalid parameter "match[]": ');
  await check('labels?end=x', 'invalid parameter "end": ');
  await check('label/job/values?match[]=(', 'invalid parameter "match[]": ');
  await check('label/job/values?limit=-1', 'invalid parameter "limit": ');
  await check('label/%zz/values', 'malformed path');
  await check('metadata?limit=x', 'limit must be a number');
  await check('metadata?limit_per_metric=x', 'limit_per_metric must be a number');
  await check('targets/metadata?limit=x', 'limit must be a number');
  await check('targets/metadata?match_target=(', 'invalid parameter "match_target": ');
});

it('tells what exporters say of metrics', async () => {
  const check = async (query: string, data: unknown) =>
    expect((await ask(`metadata${query}`)).answer).toEqual(success(data));
  const up = [
    { type: 'gauge', help: 'Is it up?', unit: '' },
    { type: 'gauge', help: 'Other words.', unit: '' },
  ];
  const gc = [{ type: 'counter', help: '', unit: 'seconds' }];
  await check('', { up, go_gc: gc });
  await check('?metric=go_gc', { go_gc: gc });
  await check('?metric=none', {});
  await check('?limit=1', { go_gc: gc });
  await check('?limit=0', {});
  await check('?limit_per_metric=1', { up: [up[0]], go_gc: gc });
});

it('tells what each target says of its metrics', async () => {
  const check = async (query: string, data: unknown) =>
    expect((await ask(`targets/metadata${query}`)).answer).toEqual(success(data));
  const row = (job: string) => ({
    target: { job },
    metric: 'up',
    type: 'gauge',
    help: 'Is it up?',
    unit: '',
  });
  await check('', [row('a'), row('b')]);
  await check('?match_target={job="b"}', [row('b')]);
  await check('?limit=1', [row('a')]);
  const { metric: _, ...unnamed } = row('a');
  await check('?metric=up&limit=1', [unnamed]);
  await check('?metric=none', []);
});

it('undoes the escaping of names', () => {
  const check = (text: string, expected: string) => expect(unescapeName(text)).toBe(expected);
  check('plain_name', 'plain_name');
  check('U__a__b', 'a_b');
  check('U__a_2e_b', 'a.b');
  check('U__a_2E_b', 'a.b');
  check('U___1F600_', '😀');
  check('U__', '');
  check('U__a_2e', 'U__a_2e'); // no closing underscore
  check('U__a_', 'U__a_');
  check('U__a_zz_', 'U__a_zz_');
  check('U__a_d800_', 'U__a_d800_'); // no character
  check('U__a_1234567_', 'U__a_1234567_');
});
