import {
  CanopyError,
  type Milliseconds,
  type QueryResult,
  type Queryable,
  type SelectedSeries,
  type Snapshot,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { expect, it } from 'vitest';
import type { Engine } from './engine.js';
import { testClock } from './testing/clock.js';
import { MemoryQueryable } from './testing/memory.js';
import { ALL_FEATURES, NO_FEATURES, testEngine } from './testing/options.js';

/** `count` series of one group: `m{i="0"}` … with a sample each second. */
function filled(count: number, seconds: number): MemoryQueryable {
  const queryable = new MemoryQueryable();
  const times = Float64Array.from({ length: seconds }, (_zero, i) => i * 1000);
  for (let i = 0; i < count; i++) {
    const values = Float64Array.from(times, (time) => time + i);
    queryable.addColumns(labelsFromObject({ __name__: 'm_total', i: String(i) }), times, values);
  }
  return queryable;
}

/** Counts snapshots that are taken and released. */
class Counting implements Queryable {
  taken = 0;
  released = 0;
  selects = 0;
  readonly #inner: Queryable;
  readonly #onSelect: () => Promise<void>;

  constructor(inner: Queryable, onSelect: () => Promise<void> = async () => {}) {
    this.#inner = inner;
    this.#onSelect = onSelect;
  }

  snapshot(): Snapshot {
    this.taken++;
    const inner = this.#inner.snapshot();
    return {
      select: async (...args): Promise<SelectedSeries[]> => {
        this.selects++;
        await this.#onSelect();
        return inner.select(...args);
      },
      series: (...args) => inner.series(...args),
      labelNames: (...args) => inner.labelNames(...args),
      labelValues: (...args) => inner.labelValues(...args),
      release: () => {
        this.released++;
      },
    };
  }

  metadata(): ReturnType<Queryable['metadata']> {
    return new Map();
  }
}

const T = (seconds: number): Milliseconds => asTime(seconds * 1000);
const range = (engine: Engine, query: string, to: number, step: number): Promise<QueryResult> =>
  engine.range(query, T(0), T(to), asDuration(step * 1000));

async function codeOf(query: Promise<unknown>): Promise<string> {
  try {
    await query;
  } catch (error) {
    if (error instanceof CanopyError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no error';
}

it('gives each type its shape', async () => {
  const engine = testEngine(filled(2, 10));
  const value = async (query: string): Promise<unknown> =>
    (await engine.instant(query, T(5))).value;
  expect(await value('1 + 1')).toEqual({ type: 'scalar', time: 5000, value: 2 });
  expect(await value('"a"')).toEqual({ type: 'string', time: 5000, value: 'a' });
  expect(await value('m_total{i="1"}')).toEqual({
    type: 'vector',
    samples: [{ labels: ['__name__', 'm_total', 'i', '1'], time: 5000, value: 5001 }],
  });
  expect(await value('m_total{i="0"}[2s]')).toEqual({
    type: 'matrix',
    series: [
      {
        labels: ['__name__', 'm_total', 'i', '0'],
        times: Float64Array.of(4000, 5000),
        values: Float64Array.of(4000, 5000),
      },
    ],
  });
  expect((await range(engine, '1', 2, 1)).value).toEqual({
    type: 'matrix',
    series: [
      { labels: [], times: Float64Array.of(0, 1000, 2000), values: Float64Array.of(1, 1, 1) },
    ],
  });
});

it('orders the series of a range query by their labels', async () => {
  const { value } = await range(testEngine(filled(12, 5)), 'm_total', 2, 1);
  const order = value.type === 'matrix' ? value.series.map(({ labels }) => labels[3]) : [];
  expect(order).toEqual(['0', '1', '10', '11', '2', '3', '4', '5', '6', '7', '8', '9']);
});

it('refuses times and types a range query cannot have', async () => {
  const engine = testEngine(filled(1, 1));
  const check = async (query: Promise<unknown>, error: string): Promise<void> => {
    expect(await codeOf(query)).toBe(error);
  };
  const range = 'for range query, must be Scalar or instant Vector';
  await check(
    engine.range('m[5m]', T(0), T(1), asDuration(1)),
    `bad_data: invalid expression type "range vector" ${range}`,
  );
  await check(
    engine.range('"x"', T(0), T(1), asDuration(1)),
    `bad_data: invalid expression type "string" ${range}`,
  );
  await check(
    engine.range('m', T(1), T(0), asDuration(1)),
    'bad_data: end timestamp must not be before start time',
  );
  await check(
    engine.range('m', T(0), T(1), asDuration(0)),
    'bad_data: zero or negative query resolution step widths are not accepted',
  );
  await check(engine.instant('m', asTime(Number.NaN)), 'bad_data: time stamp out of range');
  await check(engine.range('m', T(0), T(1e9), asDuration(1)), 'bad_data: too many steps');
});

it('holds no more samples than it may', async () => {
  const engine = testEngine(filled(100, 100), { maxSamples: 1000 });
  const tooMany =
    'execution: query processing would load too many samples into memory in query execution';
  const fits = await range(engine, 'sum(m_total)', 9, 1);
  expect(fits.stats.peakSamples).toBeLessThanOrEqual(1000);
  expect(fits.stats.totalQueryableSamples).toBe(1000);
  expect(await codeOf(range(engine, 'sum(m_total)', 20, 1))).toBe(tooMany);
  expect(await codeOf(range(engine, 'm_total + m_total', 9, 1))).toBe(tooMany);
  expect(await codeOf(range(engine, 'm_total', 99, 1))).toBe(tooMany);
  expect(await codeOf(engine.instant('m_total[60s]', T(60)))).toBe(tooMany);
  expect(await codeOf(engine.instant('sum(sum_over_time(m_total[50s:1s]))', T(60)))).toBe(tooMany);
  // A hundred samples are held, four thousand read for them.
  const reads = testEngine(filled(100, 100), { maxRead: 4000 });
  expect((await reads.instant('count_over_time(m_total[40s])', T(60))).stats.peakSamples).toBe(100);
  expect(await codeOf(reads.instant('count_over_time(m_total[41s])', T(60)))).toBe(tooMany);
  expect(engine.totals.failed).toEqual({ execution: 5 });
});

it('ends with its time-out, and when the caller has gone', async () => {
  const slow = new Counting(filled(50, 600), () => new Promise((done) => setTimeout(done, 30)));
  const engine = testEngine(slow, { timeout: asDuration(10), yieldEveryMs: 1 });
  const work = 'sum(quantile_over_time(0.5, m_total[10m]))';
  expect(await codeOf(range(engine, work, 500, 1))).toBe(
    'timeout: query timed out in expression evaluation',
  );
  const patient = testEngine(slow, { yieldEveryMs: 1 });
  const life = new AbortController();
  const gone = patient.range(work, T(0), T(500), asDuration(1000), { signal: life.signal });
  setTimeout(() => life.abort(), 40);
  expect(await codeOf(gone)).toBe('canceled: query was canceled in expression evaluation');
  expect(await codeOf(patient.instant('1', T(0), { signal: life.signal }))).toMatch(/^canceled/);
  const short = patient.range(work, T(0), T(500), asDuration(1000), { timeout: asDuration(5) });
  expect(await codeOf(short)).toMatch(/^timeout/);
  // Nothing is done in no time, but a text that is none is told first.
  const none = { timeout: asDuration(0) };
  expect(await codeOf(patient.instant('1', T(0), none))).toMatch(/^timeout/);
  expect(await codeOf(patient.instant('1', T(0), { timeout: asDuration(-1) }))).toMatch(/^timeout/);
  expect(await codeOf(patient.instant(')', T(0), none))).toMatch(/^bad_data/);
  expect(slow.released).toBe(slow.taken);
});

it('lets others run while it works', async () => {
  const engine = testEngine(filled(300, 600), { yieldEveryMs: 5 });
  let turns = 0;
  let longest = 0;
  // By CPU: a machine with other things to do takes turns of its own.
  let last = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last);
    longest = Math.max(longest, (user + system) / 1000);
    last = process.cpuUsage();
    turns++;
  }, 1);
  await range(engine, 'sum(quantile_over_time(0.9, m_total[5m]))', 400, 10);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
  // Generous: collections and compilers count too.
  expect(longest).toBeLessThan(200);
});

it('lets in as many queries as it may', async () => {
  const gate: Array<() => void> = [];
  const held = new Counting(filled(1, 1), () => new Promise((open) => gate.push(open)));
  const engine = testEngine(held, { maxConcurrency: 2 });
  const all = Array.from({ length: 5 }, () => engine.instant('m_total', T(0)));
  const life = new AbortController();
  const impatient = engine.instant('m_total', T(0), { signal: life.signal });
  await new Promise((done) => setTimeout(done, 5));
  expect(engine.load).toEqual({ running: 2, waiting: 4 });
  life.abort();
  expect(await codeOf(impatient)).toMatch(/^canceled/);
  for (let answered = 0; answered < 5; answered++) {
    while (gate.length === 0) await new Promise((done) => setTimeout(done, 1));
    gate.shift()!();
  }
  await Promise.all(all);
  expect(engine.load).toEqual({ running: 0, waiting: 0 });
  expect(held.released).toBe(5);
});

it('reads a selector once, however often it is used, and leaves what it reads alone', async () => {
  const inner = filled(3, 60);
  const queryable = new Counting(inner);
  const engine = testEngine(queryable);
  const { value } = await range(testEngine(inner), 'm_total', 50, 10);
  await range(
    engine,
    '-m_total / m_total + m_total offset 10s + abs(m_total) * 2 ^ m_total',
    50,
    10,
  );
  expect(queryable.selects).toBe(1);
  await range(engine, 'rate(m_total[20s]) / on(i) m_total{i="1"}', 50, 10);
  expect(queryable.selects).toBe(3);
  expect((await range(testEngine(inner), 'm_total', 50, 10)).value).toEqual(value);
});

it('counts samples by step where asked to', async () => {
  const asked = { perStepStats: true };
  const countsOf = async (query: string, features = ALL_FEATURES, options = asked) => {
    const engine = testEngine(filled(2, 60), { features });
    const to = asDuration(10_000);
    const { stats } = await engine.range(query, T(30), T(50), to, options);
    const { totalQueryableSamples, samplesRead, perStep } = stats;
    expect(engine.totals.queryableSamples).toBe(totalQueryableSamples);
    if (perStep === undefined) return [totalQueryableSamples, samplesRead];
    expect([...perStep.times]).toEqual([30_000, 40_000, 50_000]);
    return [[...perStep.totalQueryableSamples], [...perStep.samplesRead]];
  };
  // Two series, a sample a second; windows of 20 s overlap by half.
  expect(await countsOf('m_total')).toEqual([
    [2, 2, 2],
    [2, 2, 2],
  ]);
  expect(await countsOf('rate(m_total[20s])')).toEqual([
    [40, 40, 40],
    [40, 20, 20],
  ]);
  expect(await countsOf('sum(m_total @ 10)')).toEqual([
    [2, 2, 2],
    [2, 0, 0],
  ]);
  // What a subquery looks at is what comes out of it; 8 steps are worked out for both series.
  expect(await countsOf('max_over_time(m_total[20s:5s])')).toEqual([
    [8, 8, 8],
    [24, 4, 4],
  ]);
  expect(await countsOf('m_total', NO_FEATURES)).toEqual([6, 6]);
  expect(await countsOf('m_total', ALL_FEATURES, { perStepStats: false })).toEqual([6, 6]);
});

it('notes what is being worked out, whether it ends well or not', async () => {
  const noted: string[] = [];
  const activeQueries = {
    begin: (query: string) => noted.push(`> ${query}`),
    end: (entry: number) => noted.push(`< ${entry}`),
  };
  const engine = testEngine(filled(1, 60), { activeQueries, maxSamples: 10 });
  await engine.instant('m_total', T(30));
  await expect(engine.instant('m_total[60s]', T(59))).rejects.toThrow('too many samples');
  await expect(engine.instant('m_total[', T(59))).rejects.toThrow('parse error');
  expect(noted).toEqual(['> m_total', '< 1', '> m_total[60s]', '< 3']);
});

it('works out what is nested as deep as the parser lets through', async () => {
  const engine = testEngine(filled(1, 10));
  const nested = (open: string, close: string, times = 450): string =>
    `${open.repeat(times)}m_total${close.repeat(times)}`;
  const check = async (query: string, value: number): Promise<void> => {
    const answer = await engine.instant(query, T(1));
    const samples = answer.value.type === 'vector' ? answer.value.samples : [];
    expect(samples.map((sample) => sample.value)).toEqual([value]);
  };
  await check(nested('(', ')'), 1000);
  await check(nested('-', ''), 1000);
  await check(nested('sum(', ')'), 1000);
  await check(nested('abs(', ')'), 1000);
  await check(nested('', ' + 1'), 1450);
  await check(nested('1 + (', ')', 160), 1160);
  await check(nested('last_over_time((', ')[1s:1s])', 160), 1000);
  await check(nested('m_total ^ 1 ^ ', '', 1), 1000);
});

it('takes the look back of the query where it has one', async () => {
  const engine = testEngine(filled(1, 1));
  const at = async (seconds: number, lookback: number): Promise<number> => {
    const { value } = await engine.instant('m_total', T(seconds), {
      lookback: asDuration(lookback * 1000),
    });
    return value.type === 'vector' ? value.samples.length : -1;
  };
  expect(await at(9, 10)).toBe(1);
  expect(await at(10, 10)).toBe(0);
});

it('uses a real clock in tests', () => {
  expect(Math.abs(testClock.now() - Date.now())).toBeLessThan(1000);
});
