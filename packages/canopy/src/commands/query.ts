/**
 * `canopy query EXPR`: asks a process over its HTTP API and prints a table. Works against any Prometheus.
 */
import type { Writable } from 'node:stream';
import {
  CanopyError,
  type DurationMs,
  errorText,
  formatLabels,
  labelsFromObject,
} from '@canopy/model';
import { type HttpClientConfig, HttpSender } from '@canopy/scrape';
import { systemClock } from '../clock.js';
import { loadHttpConfigFile } from '../config/http-config-file.js';
import { VERSION } from '../version.js';

const ANSWER_WITHIN = 150_000 as DurationMs; // more than the time-out of any query
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** With more label names than this, a series is one column, as Prometheus prints it. */
const LABEL_COLUMNS_MAX = 8;

export interface QueryCommand {
  readonly expr: string;
  /** Of the process to ask: `http://127.0.0.1:9090`, with a path where a proxy adds one. */
  readonly url: string;
  /** How to speak to it, where it asks for more than the question (`http_config`). */
  readonly httpConfigFile?: string;
  /** Evaluation time, Unix seconds or RFC 3339; now where absent. */
  readonly time?: string;
  readonly stdout: Writable;
  readonly stderr?: Writable;
}

type Point = readonly [seconds: number, value: string];

interface ResultSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: Point;
  readonly values?: readonly Point[];
}

type QueryData =
  | { readonly resultType: 'vector'; readonly result: readonly ResultSeries[] }
  | { readonly resultType: 'matrix'; readonly result: readonly ResultSeries[] }
  | { readonly resultType: 'scalar'; readonly result: Point }
  | { readonly resultType: 'string'; readonly result: Point };

/** @returns 0 with an answer, 2 where the query is at fault, 1 where there is no answer. */
export async function runQuery(command: QueryCommand): Promise<number> {
  const { expr, url, httpConfigFile, time, stdout, stderr = process.stderr } = command;
  const parameters: Record<string, string> = { query: expr };
  if (time !== undefined) parameters.time = time;
  try {
    const answer = await askApi<QueryData>(url, 'query', parameters, httpConfigFile);
    stdout.write(queryText(answer.data));
    for (const text of [...(answer.warnings ?? []), ...(answer.infos ?? [])]) {
      stderr.write(`canopy: ${printable(text)}\n`);
    }
    return 0;
  } catch (error) {
    stderr.write(`canopy: ${printable(errorText(error))}\n`);
    return error instanceof CanopyError && error.code === 'bad_data' ? 2 : 1;
  }
}

function queryText(data: QueryData): string {
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    return `${printable(data.result[1])}\n`;
  }
  if (data.result.length === 0) return 'no series\n';
  const names = new Set<string>();
  for (const { metric } of data.result) for (const name of Object.keys(metric)) names.add(name);
  const labels = [...names].sort();
  const asColumns = labels.length > 0 && labels.length <= LABEL_COLUMNS_MAX;
  const isMatrix = data.resultType === 'matrix';
  const head = asColumns
    ? labels.map((name) => (name === '__name__' ? 'METRIC' : name))
    : ['SERIES'];
  const rows: string[][] = [[...head, ...(isMatrix ? ['TIME', 'VALUE'] : ['VALUE'])]];
  for (const series of data.result) {
    const { metric } = series;
    const cells = asColumns
      ? labels.map((name) => metric[name] ?? '')
      : [formatLabels(labelsFromObject(metric))];
    if (isMatrix) {
      for (const [seconds, value] of series.values ?? []) {
        rows.push([...cells, new Date(seconds * 1000).toISOString(), value]);
      }
    } else rows.push([...cells, series.value?.[1] ?? 'a histogram']);
  }
  return table(rows, new Set([head.length + (isMatrix ? 1 : 0)]));
}

/** Aligned columns, two spaces apart; those in `right` end together. One line a row. */
export function table(rows: ReadonlyArray<readonly string[]>, right: ReadonlySet<number>): string {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) {
    row.forEach((text, column) => {
      widths[column] = Math.max(widths[column] ?? 0, [...text].length);
    });
  }
  let lines = '';
  for (const row of cells) {
    const padded = row.map((text, column) => {
      const fill = ' '.repeat(widths[column] - [...text].length);
      return right.has(column) ? fill + text : text + fill;
    });
    lines += `${padded.join('  ').trimEnd()}\n`;
  }
  return lines;
}

/** Text of strangers must not steer the terminal: control characters as escapes. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export interface ApiAnswer<T> {
  readonly data: T;
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/**
 * Asks `<url>/api/v1/<path>`.
 * @throws CanopyError `bad_data` where the question is refused, `not_found` where the server has no
 *   such path, `unavailable` where nobody answers; each with a sentence that says what to do.
 */
export async function askApi<T>(
  url: string,
  path: string,
  parameters: Readonly<Record<string, string>> = {},
  httpConfigFile?: string,
): Promise<ApiAnswer<T>> {
  const asked = apiUrl(url, path, parameters);
  const http = loadHttpConfigFile(httpConfigFile);
  let answer: { status: number; body: string };
  try {
    answer = await fetchText(asked, http);
  } catch (error) {
    throw new CanopyError('unavailable', noAnswer(url, error), { cause: error });
  }
  const { status, body } = answer;
  const parsed = parseObject(body);
  if (parsed?.status === 'success') return parsed as unknown as ApiAnswer<T>;
  if (parsed?.status === 'error') {
    const code = status >= 400 && status < 500 ? 'bad_data' : 'unavailable';
    throw new CanopyError(code, String(parsed.error));
  }
  if (status === 404) {
    throw new CanopyError('not_found', `${url} answers, but does not know /api/v1/${path}`);
  }
  const said = body.trim().split('\n', 1)[0].slice(0, 200);
  throw new CanopyError('unavailable', `${url} answers with HTTP status ${status}: ${said}`);
}

function apiUrl(url: string, path: string, parameters: Readonly<Record<string, string>>): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
    throw new CanopyError('bad_data', `--url must start with http:// or https://, not "${url}"`);
  }
  base.pathname = `${base.pathname.replace(/\/+$/, '')}/api/v1/${path}`;
  for (const [name, value] of Object.entries(parameters)) base.searchParams.set(name, value);
  return base;
}

function noAnswer(url: string, error: unknown): string {
  const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') {
    return (
      `nothing listens at ${url}; start a hierarchy with "npm start" ` +
      'or a process with "canopy parent", or name another with --url'
    );
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the host of ${url} is not known`;
  return `no answer from ${url}: ${errorText(error)}`;
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

async function fetchText(
  url: URL,
  http: HttpClientConfig,
): Promise<{ status: number; body: string }> {
  using sender = new HttpSender({
    clock: systemClock,
    userAgent: `Canopy/${VERSION}`,
    idleTimeout: ANSWER_WITHIN,
    env: process.env,
  });
  const request = {
    method: 'GET',
    url: url.href,
    headers: { accept: 'application/json' },
    body: '',
    timeout: ANSWER_WITHIN,
    answerBytesMax: ANSWER_BYTES_MAX + 1,
  } as const;
  const answer = await sender.send(request, http);
  if (answer.body.length > ANSWER_BYTES_MAX) throw new Error('the answer is larger than 256 MiB');
  return answer;
}
