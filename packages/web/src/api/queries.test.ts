import {
  CanopyError,
  type QueryEngine,
  type QueryOptions,
  type QueryResult,
  type QueryValue,
  type VectorSample,
  asTime,
} from '@canopy/model';
import { NO_STATS } from '@canopy/promql';
import { expect, it } from 'vitest';
import { runWeb } from '../testing/call-web.js';

const NOW = 1_700_000_000_000; // where the test clock stands

function resultOf(value: QueryValue, given: Partial<QueryResult> = {}): QueryResult {
  return { value, warnings: [], infos: [], stats: NO_STATS, ...given };
}

/** Remembers what it was asked; answers with `value`. */
function engineOf(answer: QueryResult | Error) {
  const asked: Array<{ query: string; times: number[]; options: QueryOptions | undefined }> = [];
  const reply = (): QueryResult => {
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const engine: QueryEngine = {
    async instant(query, time, options) {
      asked.push({ query, times: [time], options });
      return reply();
    },
    async range(query, start, end, step, options) {
      asked.push({ query, times: [start, end, step], options });
      return reply();
    },
  };
  return { engine, asked };
}

const empty = resultOf({ type: 'vector', samples: [] });
const emptyMatrix = resultOf({ type: 'matrix', series: [] });

it('writes results in the shapes of Prometheus', async () => {
  const check = async (value: QueryValue, expected: string) => {
    await using web = await runWeb(engineOf(resultOf(value)));
    const response = await fetch(`${web.url}/api/v1/query?query=x`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('etag')).toBeNull();
    expect(response.headers.get('x-powered-by')).toBeNull();
    expect(await response.text()).toBe(`{"status":"success","data":${expected}}`);
  };
  const time = asTime(NOW + 5);
  await check({ type: 'vector', samples: [] }, '{"resultType":"vector","result":[]}');
  await check(
    { type: 'scalar', time, value: 1.5 },
    '{"resultType":"scalar","result":[1700000000.005,"1.5"]}',
  );
  await check(
    { type: 'string', time, value: 'a"b' },
    '{"resultType":"string","result":[1700000000.005,"a\\"b"]}',
  );
  await check(
    {
      type: 'vector',
      samples: [
        { labels: ['__name__', 'up', 'job', 'b'], time: asTime(NOW), value: Number.NaN },
        { labels: [], time: asTime(NOW), value: -Infinity },
      ],
    },
    '{"resultType":"vector","result":[' +
      '{"metric":{"__name__":"up","job":"b"},"value":[1700000000,"NaN"]},' +
      '{"metric":{},"value":[1700000000,"-Inf"]}]}',
  );
  await check(
    {
      type: 'matrix',
      series: [
        {
          labels: ['a', '1'],
          times: Float64Array.of(NOW, NOW + 500),
          values: Float64Array.of(-0, 1e21),
        },
      ],
    },
    '{"resultType":"matrix","result":[{"metric":{"a":"1"},' +
      '"values":[[1700000000,"-0"],[1700000000.500,"1e+21"]]}]}',
  );
});

it('shows the syntax of a query as Prometheus does', async () => {
  await using web = await runWeb();
  const check = async (query: string, expected: object) => {
    const url = `${web.url}/api/v1/parse_query?query=${encodeURIComponent(query)}`;
    const { data } = (await (await fetch(url)).json()) as { data: object };
    expect(data).toMatchObject(expected);
  };
  const selector = {
    type: 'vectorSelector',
    name: 'm',
    offset: -300_000,
    matchers: [
      { name: 'a', value: 'b.*', type: '=~' },
      { name: '__name__', value: 'm', type: '=' },
    ],
    timestamp: null,
    startOrEnd: 'end',
  };
  await check('m{a=~"b.*"} @ end() offset -5m', selector);
  await check('rate(m[5m] @ 1.5)', {
    type: 'call',
    func: { name: 'rate', argTypes: ['matrix'], variadic: 0, returnType: 'vector' },
    args: [{ type: 'matrixSelector', range: 300_000, offset: 0, timestamp: 1500 }],
  });
  await check('-sum without (a) (m) * on (b) group_left (c) (n > bool 1e-7)', {
    type: 'binaryExpr',
    op: '*',
    lhs: { type: 'unaryExpr', op: '-', expr: { type: 'aggregation', grouping: ['a'] } },
    rhs: {
      type: 'parenExpr',
      expr: { bool: true, matching: null, rhs: { type: 'numberLiteral', val: '0.0000001' } },
    },
    matching: { card: 'many-to-one', on: true, labels: ['b'], include: ['c'] },
  });
  await check('a or max_over_time(b[1h:5m])', {
    matching: { card: 'many-to-many' },
    rhs: { args: [{ type: 'subquery', range: 3_600_000, step: 300_000, expr: { name: 'b' } }] },
  });
  const refused = await fetch(`${web.url}/api/v1/parse_query?query=sum(`);
  expect([refused.status, await refused.text()]).toEqual([
    400,
    expect.stringMatching(/1:5: parse/),
  ]);
});

it('hands parameters of an instant query to the engine, in a form as in the URL', async () => {
  const check = async (parameters: string, expected: object) => {
    for (const method of ['GET', 'POST']) {
      const { engine, asked } = engineOf(empty);
      await using web = await runWeb({ engine });
      const url = `${web.url}/api/v1/query`;
      const response =
        method === 'GET'
          ? await fetch(`${url}?${parameters}`)
          : await fetch(url, { method, body: new URLSearchParams(parameters) });
      expect(response.status, await response.text()).toBe(200);
      expect(asked[0]).toMatchObject(expected);
    }
  };
  await check('query=up', { query: 'up', times: [NOW] });
  await check('query=up&time=', { times: [NOW] }); // empty is absent
  await check('query=a%2Bb&time=1.5', { query: 'a+b', times: [1500] });
  await check('query=up&time=2023-11-14T22:13:20Z', { times: [NOW] });
  await check('query=up&timeout=5s&lookback_delta=90', {
    options: { timeout: 5000, lookback: 90_000 },
  });
  await check('query=up&timeout=0.5', { options: { timeout: 500, lookback: undefined } });
});

it('hands parameters of a range query to the engine', async () => {
  const check = async (parameters: string, times: number[]) => {
    const { engine, asked } = engineOf(emptyMatrix);
    await using web = await runWeb({ engine });
    const response = await fetch(`${web.url}/api/v1/query_range?query=up&${parameters}`);
    expect(response.status, await response.text()).toBe(200);
    expect(asked[0].times).toEqual(times);
  };
  await check('start=0&end=10&step=5', [0, 10_000, 5000]);
  await check('start=1.5&end=1.5&step=0.5', [1500, 1500, 500]);
  await check('start=1970-01-01T00:00:00Z&end=60&step=1m', [0, 60_000, 60_000]);
  await check('start=0&end=11000&step=1', [0, 11_000_000, 1000]); // 11,001 points are fine
});

it('hands a time-out on as it is, and a lookback only where it is one', async () => {
  const check = async (parameters: string, expected: object) => {
    const { engine, asked } = engineOf(empty);
    await using web = await runWeb({ engine });
    await fetch(`${web.url}/api/v1/query?query=up&${parameters}`);
    const { timeout, lookback } = asked[0].options ?? {};
    expect({ timeout, lookback }, parameters).toEqual(expected);
  };
  await check('timeout=0', { timeout: 0, lookback: undefined });
  await check('timeout=-1', { timeout: -1000, lookback: undefined });
  await check('timeout=1m&lookback_delta=90', { timeout: 60_000, lookback: 90_000 });
  await check('lookback_delta=0', { timeout: undefined, lookback: undefined });
  await check('lookback_delta=-5', { timeout: undefined, lookback: undefined });
});

it('refuses bad parameters by name', async () => {
  const check = async (path: string, message: string) => {
    await using web = await runWeb(engineOf(empty));
    const response = await fetch(`${web.url}/api/v1/${path}`);
    expect(response.status, path).toBe(400);
    const answer = (await response.json()) as { status: string; errorType: string; error: string };
    expect(answer).toMatchObject({ status: 'error', errorType: 'bad_data' });
    expect(answer.error).toContain(message);
  };
  await check('query?query=x&time=foo', 'invalid parameter "time": ');
  await check('query?query=x&timeout=foo', 'invalid parameter "timeout": ');
  await check('query?query=x&timeout=-1m', 'invalid parameter "timeout": ');
  await check('query?query=x&timeout=1e300', 'to a valid duration. It overflows int64');
  await check('query?query=x&lookback_delta=y', 'invalid parameter "lookback_delta": ');
  await check('query?query=x&limit=-1', 'invalid parameter "limit": limit must be non-negative');
  await check('query?query=x&limit=1.5', 'invalid parameter "limit": ');
  await check('query_range?query=x&end=1&step=1', 'invalid parameter "start": ');
  await check('query_range?query=x&start=1&step=1', 'invalid parameter "end": ');
  await check('query_range?query=x&start=1&end=2', 'invalid parameter "step": ');
  await check('query_range?query=x&start=2&end=1&step=1', 'end timestamp must not be before start');
  await check('query_range?query=x&start=1&end=2&step=0', 'zero or negative query resolution');
  await check('query_range?query=x&start=1&end=2&step=-5', 'zero or negative query resolution');
  await check('query_range?query=x&start=1&end=2&step=0.0001', 'zero or negative'); // below 1 ms
  await check('query_range?query=x&start=0&end=11001&step=1', 'maximum resolution of 11,000');
  await check('query_exemplars?query=up&start=2&end=1', 'end timestamp must not be before start');
  await check('query_exemplars?query=', 'invalid parameter "query": ');
  await check('format_query?query=)', 'invalid parameter "query": ');
  await check('format_query', 'invalid parameter "query": ');
});

it('gives each error of the engine its status and type', async () => {
  const check = async (error: Error, status: number, errorType: string, text: string) => {
    await using web = await runWeb(engineOf(error));
    for (const path of ['query?query=x', 'query_range?query=x&start=0&end=1&step=1']) {
      const response = await fetch(`${web.url}/api/v1/${path}`);
      expect(response.status).toBe(status);
      expect(await response.json()).toEqual({ status: 'error', errorType, error: text });
    }
  };
  const fail = (code: ConstructorParameters<typeof CanopyError>[0]) => new CanopyError(code, 'why');
  await check(fail('bad_data'), 400, 'bad_data', 'invalid parameter "query": why');
  await check(fail('execution'), 422, 'execution', 'why');
  await check(fail('timeout'), 503, 'timeout', 'why');
  await check(fail('canceled'), 499, 'canceled', 'why');
  await check(fail('unavailable'), 500, 'unavailable', 'why');
  await check(fail('too_many_requests'), 429, 'unavailable', 'why');
  await check(fail('storage_unavailable'), 503, 'unavailable', 'why');
  const hidden = 'internal error; the log of the server says more';
  await check(new Error('BUG: at /secret/path'), 500, 'internal', hidden);
});

it('logs what it does not tell', async () => {
  const logged: unknown[] = [];
  const { engine } = engineOf(new Error('BUG: the cause'));
  await using web = await runWeb({ engine, log: (...entry) => logged.push(entry) });
  const text = await (await fetch(`${web.url}/api/v1/query?query=x`)).text();
  expect(text).not.toContain('BUG');
  expect(text).not.toContain('.ts:');
  expect(JSON.stringify(logged)).toContain('BUG: the cause');
});

it('cuts results at the limit and says so', async () => {
  const samples = ['a', 'b', 'c'].map((name) => ({
    labels: ['n', name],
    time: asTime(NOW),
    value: 1,
  }));
  const check = async (limit: string, length: number, warnings: string[] | undefined) => {
    await using web = await runWeb(engineOf(resultOf({ type: 'vector', samples })));
    const response = await fetch(`${web.url}/api/v1/query?query=x&limit=${limit}`);
    const answer = (await response.json()) as { data: { result: unknown[] }; warnings?: string[] };
    expect(answer.data.result.length).toBe(length);
    expect(answer.warnings).toEqual(warnings);
  };
  await check('', 3, undefined);
  await check('0', 3, undefined);
  await check('3', 3, undefined);
  await check('2', 2, ['results truncated due to limit']);
});

it('lists ten annotations and counts the others', async () => {
  const warnings = Array.from({ length: 12 }, (_, i) => `w${i}`);
  const result = resultOf({ type: 'vector', samples: [] }, { warnings, infos: ['i'] });
  await using web = await runWeb(engineOf(result));
  const response = await fetch(`${web.url}/api/v1/query?query=x`);
  expect(await response.json()).toMatchObject({
    warnings: [...warnings.slice(0, 10), '2 more warning annotations omitted'],
    infos: ['i'],
  });
});

it('adds statistics when asked', async () => {
  const times = { queueTime: 1, preparationTime: 2, innerEvalTime: 3, resultSortTime: 4 };
  const counts = { totalQueryableSamples: 7, samplesRead: 5, peakSamples: 3 };
  const perStep = {
    times: Float64Array.of(1500, 2500),
    totalQueryableSamples: Float64Array.of(4, 3),
    samplesRead: Float64Array.of(4, 1),
  };
  const engine: QueryEngine = {
    instant: async (_query, _time, { perStepStats } = {}) =>
      resultOf(empty.value, {
        stats: { ...times, ...counts, ...(perStepStats === true && { perStep }) },
      }),
    range: async () => empty,
  };
  await using web = await runWeb({ engine });
  const ask = async (stats: string) =>
    (await (await fetch(`${web.url}/api/v1/query?query=x&stats=${stats}`)).json()) as {
      data: { stats?: { samples: object } };
      warnings?: string[];
    };
  expect((await ask('')).data.stats).toBeUndefined();
  expect((await ask('true')).data.stats).toEqual({
    timings: {
      evalTotalTime: 9,
      resultSortTime: 4,
      queryPreparationTime: 2,
      innerEvalTime: 3,
      execQueueTime: 1,
      execTotalTime: 10,
    },
    samples: counts,
  });
  const all = await ask('all');
  expect(all.data.stats?.samples).toEqual({
    ...counts,
    totalQueryableSamplesPerStep: [
      [1.5, 4],
      [2.5, 3],
    ],
    samplesReadPerStep: [
      [1.5, 4],
      [2.5, 1],
    ],
  });
  expect(all.warnings).toBeUndefined();
  expect((await ask('yes')).warnings?.[0]).toContain('deprecated');
});

it('streams a large result, compressed where accepted, whole either way', async () => {
  const count = 20_000;
  const series = Array.from({ length: 200 }, (_, i) => ({
    labels: ['i', String(i)],
    times: Float64Array.from({ length: count / 100 }, (_v, k) => NOW + k * 1000),
    values: Float64Array.from({ length: count / 100 }, (_v, k) => k * Math.PI),
  }));
  await using web = await runWeb(engineOf(resultOf({ type: 'matrix', series })));
  for (const encoding of ['identity', 'gzip', 'br']) {
    const response = await fetch(`${web.url}/api/v1/query?query=x`, {
      headers: { 'accept-encoding': encoding },
    });
    const given = response.headers.get('content-encoding');
    expect(given).toBe(encoding === 'identity' ? null : encoding);
    expect(response.headers.get('content-length')).toBeNull();
    const answer = (await response.json()) as { data: { result: Array<{ values: unknown[] }> } };
    expect(answer.data.result.length).toBe(200);
    expect(answer.data.result[199].values[199]).toEqual([NOW / 1000 + 199, String(199 * Math.PI)]);
  }
});

it('stops the engine when the client goes away', async () => {
  let stopped: (reason: unknown) => void = () => undefined;
  const seen = new Promise<unknown>((resolve) => {
    stopped = resolve;
  });
  const leave = new AbortController();
  const engine: QueryEngine = {
    instant: (_query, _time, options) =>
      new Promise((_resolve, reject) => {
        leave.abort();
        options!.signal!.addEventListener('abort', () => {
          stopped(options!.signal!.reason);
          reject(options!.signal!.reason as Error);
        });
      }),
    range: async () => emptyMatrix,
  };
  const logged: unknown[] = [];
  await using web = await runWeb({ engine, log: (...entry) => logged.push(entry) });
  const request = fetch(`${web.url}/api/v1/query?query=x`, { signal: leave.signal });
  await expect(request).rejects.toThrow();
  expect(await seen).toMatchObject({ code: 'canceled' });
  expect(logged).toEqual([]);
  await expect.poll(() => web.web.totals.aborted, { timeout: 10_000 }).toBe(1);
});

it('lets others have their turn while a long answer is written, however much the socket takes', async () => {
  let produced = 0;
  const sample: VectorSample = { labels: ['i', 'x'.repeat(1000)], time: asTime(NOW), value: 1 };
  const samples = new Proxy<VectorSample[]>([], {
    get(_target, key) {
      if (key === 'length') return 8000;
      produced++;
      return sample;
    },
  });
  await using web = await runWeb(engineOf(resultOf({ type: 'vector', samples })));
  let before = 0;
  let most = 0;
  let ended = false;
  const look = (): void => {
    most = Math.max(most, produced - before);
    before = produced;
    if (!ended) setImmediate(look);
  };
  setImmediate(look);
  const headers = { 'accept-encoding': 'identity' };
  const response = await fetch(`${web.url}/api/v1/query?query=x`, { headers });
  expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(8_000_000);
  ended = true;
  // Each is looked at twice, 256 at a time.
  expect(produced).toBe(16_000);
  expect(most).toBeLessThanOrEqual(1024);
});

it('stops writing when the client goes away', async () => {
  let produced = 0;
  const sample: VectorSample = { labels: ['i', 'x'.repeat(1000)], time: asTime(NOW), value: 1 };
  const samples = new Proxy<VectorSample[]>([], {
    get(_target, key) {
      if (key === 'length') return Number.MAX_SAFE_INTEGER;
      produced++;
      return sample;
    },
  });
  await using web = await runWeb(engineOf(resultOf({ type: 'vector', samples })));
  const leave = new AbortController();
  const response = await fetch(`${web.url}/api/v1/query?query=x`, {
    signal: leave.signal,
    headers: { 'accept-encoding': 'identity' },
  });
  // Nothing is read: once the sockets' buffers are full, writing must wait.
  let before = -1;
  const stalled = (): boolean => {
    const still = produced === before;
    before = produced;
    return still;
  };
  await expect.poll(stalled, { interval: 100, timeout: 5000 }).toBe(true);
  leave.abort();
  await response.text().catch(() => undefined);
  await expect.poll(() => web.web.totals.aborted, { timeout: 10_000 }).toBe(1);
  const left = produced;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(produced).toBe(left);
});

it('bounds the form, and reads no other body', async () => {
  const { engine, asked } = engineOf(empty);
  await using web = await runWeb({ engine, bodyBytesMax: 100 });
  const url = `${web.url}/api/v1/query`;
  const large = new URLSearchParams({ query: 'x'.repeat(200) });
  const refused = await fetch(url, { method: 'POST', body: large });
  expect(refused.status).toBe(413);
  expect(await refused.json()).toMatchObject({ errorType: 'bad_data' });
  const headers = { 'content-type': 'text/plain' };
  await fetch(`${url}?query=u`, { method: 'POST', body: 'query=b', headers });
  expect(asked.map(({ query }) => query)).toEqual(['u']);
  await fetch(`${url}?query=u`, { method: 'POST', body: new URLSearchParams({ query: 'form' }) });
  expect(asked[1].query).toBe('form'); // the form stands before the URL
});

it('formats queries', async () => {
  await using web = await runWeb();
  const response = await fetch(`${web.url}/api/v1/format_query?query=foo/bar`);
  expect(await response.json()).toEqual({ status: 'success', data: 'foo / bar' });
  const exemplars = await fetch(`${web.url}/api/v1/query_exemplars?query=up&start=1&end=2`);
  expect(await exemplars.json()).toEqual({ status: 'success', data: [] });
});

it('holds queries to what is complete where asked to, or by default', async () => {
  const complete = async () => ({ upTo: asTime(1), warnings: [] });
  const check = async (query: string, completeByDefault: boolean, expected: boolean) => {
    const { engine, asked } = engineOf(emptyMatrix);
    await using web = await runWeb({ engine, complete, completeByDefault });
    for (const path of ['query?query=x', 'query_range?query=x&start=1&end=2&step=1']) {
      await fetch(`${web.url}/api/v1/${path}${query}`);
    }
    expect(asked.map(({ options }) => options?.complete !== undefined)).toEqual([
      expected,
      expected,
    ]);
  };
  await check('', false, false);
  await check('&complete=true', false, true);
  await check('&complete=1', false, true); // as strconv.ParseBool reads it
  await check('', true, true);
  await check('&complete=false', true, false);
  await using web = await runWeb(engineOf(emptyMatrix));
  const refused = await fetch(`${web.url}/api/v1/query?query=x&complete=2`);
  expect(refused.status).toBe(400);
});
