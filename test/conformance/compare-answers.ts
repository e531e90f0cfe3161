/** One query at both servers, instant and as a range, and what is different between the answers. */
import type { Server } from './two-servers.js';

/** Relative difference up to which two numbers count as equal. */
const TOLERANCE = 1e-9;

export interface Question {
  readonly query: string;
  /** Seconds. `step` null: an instant query at `start`. */
  readonly start: number;
  readonly end: number;
  readonly step: number | null;
}

type Point = readonly [time: number, value: string];

interface SampleCounts {
  readonly totalQueryableSamples: number;
  readonly totalQueryableSamplesPerStep?: ReadonlyArray<readonly [time: number, count: number]>;
}

interface Answer {
  readonly status: 'success' | 'error';
  readonly error?: string;
  readonly data?: {
    readonly resultType: string;
    readonly result: unknown;
    readonly stats?: { readonly samples: SampleCounts };
  };
}

export async function ask(server: Server, question: Question): Promise<Answer> {
  const { query, start, end, step } = question;
  const times: Record<string, string> =
    step === null
      ? { time: String(start) }
      : { start: String(start), end: String(end), step: String(step) };
  const response = await fetch(`${server.url}/api/v1/${step === null ? 'query' : 'query_range'}`, {
    method: 'POST',
    body: new URLSearchParams({ query, stats: 'all', ...times }),
    signal: AbortSignal.timeout(60_000),
  });
  return (await response.json()) as Answer;
}

/** '' where the answers are the same; both failing counts as that. */
export function difference(expected: Answer, got: Answer): string {
  if (expected.status !== got.status) {
    return `${got.status}, not ${expected.status}: ${got.error ?? expected.error}`;
  }
  if (expected.status === 'error' || expected.data === undefined || got.data === undefined)
    return '';
  const { resultType } = expected.data;
  if (got.data.resultType !== resultType) return `a ${got.data.resultType}, not a ${resultType}`;
  if (resultType === 'scalar' || resultType === 'string') {
    return samePoints([expected.data.result as Point], [got.data.result as Point]);
  }
  const wanted = bySeries(expected.data.result);
  const found = bySeries(got.data.result);
  for (const series of wanted.keys()) if (!found.has(series)) return `${series} is missing`;
  for (const series of found.keys()) if (!wanted.has(series)) return `${series} is too much`;
  for (const [series, points] of wanted) {
    const different = samePoints(points, found.get(series)!);
    if (different !== '') return `${series}: ${different}`;
  }
  return '';
}

/** '' where as many samples were looked at, at each step. */
export function countDifference(expected: Answer, got: Answer): string {
  const wanted = expected.data?.stats?.samples;
  const found = got.data?.stats?.samples;
  if (wanted === undefined || found === undefined) return '';
  for (const [time, count] of wanted.totalQueryableSamplesPerStep ?? []) {
    const own = found.totalQueryableSamplesPerStep?.find(([at]) => at === time)?.[1];
    if (own !== count) return `${own} samples at ${time}, not ${count}`;
  }
  const { totalQueryableSamples: total } = wanted;
  if (found.totalQueryableSamples === total) return '';
  return `${found.totalQueryableSamples} samples, not ${total}`;
}

function bySeries(result: unknown): Map<string, readonly Point[]> {
  const list = result as Array<{
    metric: Record<string, string>;
    value?: Point;
    values?: Point[];
  }>;
  return new Map(
    list.map(({ metric, value, values }) => [
      JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1))),
      values ?? [value!],
    ]),
  );
}

function samePoints(expected: readonly Point[], got: readonly Point[]): string {
  if (expected.length !== got.length) return `${got.length} points, not ${expected.length}`;
  for (let i = 0; i < expected.length; i++) {
    const [[time, value], [gotTime, gotValue]] = [expected[i], got[i]];
    if (time !== gotTime) return `a point at ${gotTime}, not ${time}`;
    if (!isNear(value, gotValue)) return `${gotValue} at ${time}, not ${value}`;
  }
  return '';
}

function isNear(expected: string, got: string): boolean {
  if (expected === got) return true;
  const [a, b] = [expected, got].map((text) => Number(text.replace('Inf', 'Infinity')));
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b));
}
