/** `/api/v1/query`, `query_range`, and what reads expressions without evaluating them. */
import {
  CanopyError,
  type MatrixSeries,
  type QueryOptions,
  type QueryRead,
  type QueryResult,
  type QueryStats,
  type QueryValue,
  type VectorSample,
} from '@canopy/model';
import {
  formatFloatPlain,
  formatQuery,
  formatSeconds,
  numberPrinter,
  parseQuery,
} from '@canopy/promql';
import { type Answer, TRUNCATED, plain } from './answer.js';
import type { Call } from './call.js';
import { type JsonOutput, writeArray } from './json-output.js';
import { MAX_TIME, MIN_TIME, invalidParameter } from './params.js';
import { syntaxJson } from './syntax-json.js';

/** Prometheus's bound on (end - start) / step. */
const STEPS_MAX = 11_000;

const TOO_MANY_STEPS =
  'exceeded maximum resolution of 11,000 points per timeseries. ' +
  'Try decreasing the query resolution (?step=XX)';
const NO_STEP =
  'zero or negative query resolution step widths are not accepted. Try a positive integer';

export async function query(call: Call): Promise<Answer> {
  const { params, options } = call;
  const time = params.time('time', options.clock.now());
  const limit = params.limit('limit');
  const queryOptions = readQueryOptions(call);
  const result = await evaluate(() =>
    options.engine.instant(params.text('query'), time, queryOptions),
  );
  return resultAnswer(call, result, limit);
}

export async function queryRange(call: Call): Promise<Answer> {
  const { params, options } = call;
  const start = params.requiredTime('start');
  const end = params.requiredTime('end');
  if (end < start) throw invalidParameter('end', 'end timestamp must not be before start time');
  const step = params.requiredDuration('step');
  if (step <= 0) throw invalidParameter('step', NO_STEP);
  if (Math.floor((end - start) / step) > STEPS_MAX)
    throw new CanopyError('bad_data', TOO_MANY_STEPS);
  const limit = params.limit('limit');
  const queryOptions = readQueryOptions(call);
  const result = await evaluate(() =>
    options.engine.range(params.text('query'), start, end, step, queryOptions),
  );
  return resultAnswer(call, result, limit);
}

export function formatQueryText(call: Call): Answer {
  return plain(withParameterName(() => formatQuery(call.params.text('query'))));
}

export function parsedQuery(call: Call): Answer {
  return plain(withParameterName(() => syntaxJson(call.params.text('query'))));
}

/** No exemplars are kept yet: the question is checked, the answer is empty. */
export function queryExemplars({ params }: Call): Answer {
  const start = params.time('start', MIN_TIME);
  const end = params.time('end', MAX_TIME);
  if (end < start) throw invalidParameter('end', 'end timestamp must not be before start time');
  withParameterName(() => parseQuery(params.text('query')));
  return plain([]);
}

function readQueryOptions({ params, options, signal }: Call): QueryOptions {
  const lookback = params.duration('lookback_delta');
  const perStepStats = params.text('stats') === 'all';
  const isComplete = params.flag('complete', options.completeByDefault);
  return {
    timeout: params.duration('timeout'),
    // Nothing and less mean the default, as in Prometheus.
    lookback: lookback !== undefined && lookback > 0 ? lookback : undefined,
    ...{ signal, perStepStats },
    ...(isComplete && { complete: (reads: readonly QueryRead[]) => options.complete(reads) }),
  };
}

/** Says which parameter a refused expression came from. */
function namedFailure(error: unknown): unknown {
  if (!(error instanceof CanopyError) || error.code !== 'bad_data') return error;
  return invalidParameter('query', error.message);
}

function withParameterName<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw namedFailure(error);
  }
}

async function evaluate(run: () => Promise<QueryResult>): Promise<QueryResult> {
  try {
    return await run();
  } catch (error) {
    throw namedFailure(error);
  }
}

function resultAnswer(call: Call, result: QueryResult, limit: number): Answer {
  const { value, truncated } = truncate(result.value, limit);
  const warnings = [...result.warnings];
  if (truncated) warnings.push(TRUNCATED);
  const stats = call.params.text('stats');
  if (stats !== '' && stats !== 'true' && stats !== 'all') {
    warnings.push(`stats=${stats} is deprecated: say stats=true or stats=all`);
  }
  const data = async (out: JsonOutput): Promise<void> => {
    out.write(`{"resultType":"${value.type}","result":`);
    await writeValue(out, value);
    if (stats !== '') out.write(`,"stats":${statsJson(result.stats)}`);
    out.write('}');
  };
  return { data, warnings, infos: result.infos };
}

function truncate(value: QueryValue, limit: number): { value: QueryValue; truncated: boolean } {
  if (limit > 0 && value.type === 'vector' && value.samples.length > limit) {
    return { value: { ...value, samples: value.samples.slice(0, limit) }, truncated: true };
  }
  if (limit > 0 && value.type === 'matrix' && value.series.length > limit) {
    return { value: { ...value, series: value.series.slice(0, limit) }, truncated: true };
  }
  return { value, truncated: false };
}

function statsJson({ perStep, ...stats }: QueryStats): string {
  const { queueTime, preparationTime, innerEvalTime, resultSortTime } = stats;
  const evalTotalTime = preparationTime + innerEvalTime + resultSortTime;
  const byStep = (counts: Float64Array): Array<[seconds: number, count: number]> =>
    Array.from(counts, (count, k) => [perStep!.times[k] / 1000, count]);
  return JSON.stringify({
    timings: {
      evalTotalTime,
      resultSortTime,
      queryPreparationTime: preparationTime,
      innerEvalTime,
      execQueueTime: queueTime,
      execTotalTime: queueTime + evalTotalTime,
    },
    samples: {
      ...(perStep && {
        totalQueryableSamplesPerStep: byStep(perStep.totalQueryableSamples),
      }),
      totalQueryableSamples: stats.totalQueryableSamples,
      ...(perStep && { samplesReadPerStep: byStep(perStep.samplesRead) }),
      samplesRead: stats.samplesRead,
      peakSamples: stats.peakSamples,
    },
  });
}

/** Samples of a vector between two looks at how full the output is. */
const SAMPLES_A_LOOK = 256;

async function writeValue(out: JsonOutput, value: QueryValue): Promise<void> {
  switch (value.type) {
    case 'scalar':
      out.write(`[${formatSeconds(value.time)},"${formatFloatPlain(value.value)}"]`);
      return;
    case 'string':
      out.write(`[${formatSeconds(value.time)},${JSON.stringify(value.value)}]`);
      return;
    case 'vector':
      return writeVector(out, value.samples);
    case 'matrix':
      await writeArray(out, value.series, (series) => writeSeries(out, series));
  }
}

const METRIC = Buffer.from('{"metric":');
const NEXT_METRIC = Buffer.from('"]},{"metric":');
const VALUES = Buffer.from(',"values":[');

async function writeVector(out: JsonOutput, samples: readonly VectorSample[]): Promise<void> {
  const printer = numberPrinter();
  let time: number | undefined;
  let value = METRIC;
  out.write('[');
  for (let from = 0; from < samples.length; from += SAMPLES_A_LOOK) {
    const count = Math.min(SAMPLES_A_LOOK, samples.length - from);
    for (let i = 0; i < count; i++) printer.values[i] = samples[from + i].value;
    const numbers = printer.numbers(count);
    for (let i = 0; i < count; i++) {
      const sample = samples[from + i];
      if (sample.time !== time) value = valueAt((time = sample.time));
      out.writeSome(from + i === 0 ? METRIC : NEXT_METRIC);
      out.writeLabels(sample.labels);
      out.writeSome(value);
      out.writeSome(numbers, i === 0 ? 0 : printer.ends[i - 1], printer.ends[i]);
    }
    if (out.full) await out.drain();
  }
  out.write(samples.length === 0 ? ']' : '"]}]');
}

/** What stands before a sample's value: the same for all samples of a time. */
const valueAt = (time: number) => Buffer.from(`,"value":[${formatSeconds(time)},"`);

async function writeSeries(out: JsonOutput, series: MatrixSeries): Promise<void> {
  const { labels, times, values } = series;
  const printer = numberPrinter();
  out.writeSome(METRIC);
  out.writeLabels(labels);
  out.writeSome(VALUES);
  for (let from = 0; from < times.length; from += printer.countMax) {
    const to = Math.min(times.length, from + printer.countMax);
    printer.stamp(times, from, to);
    for (let i = from; i < to; i++) printer.values[i - from] = values[i];
    // A comma is after each point.
    out.writeBytes(printer.points(), to === times.length ? 1 : 0);
    if (out.full) await out.drain();
  }
  out.write(']}');
}
