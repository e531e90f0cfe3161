/**
 * Plain `/federate`: the last sample of each series, as text 0.0.4 or OpenMetrics that any Prometheus reads.
 * As Prometheus answers it (web/federate.go), but with types, help and contiguous families.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Gzip, createGzip } from 'node:zlib';
import {
  type ChunkSink,
  type EscapingScheme,
  type FamilyEncoder,
  OpenMetricsEncoder,
  TextEncoder004,
} from '@canopy/exposition';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type Labels,
  METRIC_NAME,
  type Matcher,
  type Milliseconds,
  type Queryable,
  SampleState,
  type SelectedSeries,
  type Snapshot,
  asTime,
  compareUtf8,
  errorText,
  labelValue,
  labelsKey,
} from '@canopy/model';
import type { Log } from '../log.js';
import {
  type Dialect,
  type FamilyPlan,
  type LastSample,
  LineOrder,
  OPENMETRICS_DIALECT,
  TEXT_DIALECT,
  planFamilies,
  withEscapedNames,
} from './families.js';
import { type TextChoice, textChoice } from './negotiate.js';
import { acceptsCoding, sendError } from './reply.js';

export interface TextFederationOptions {
  readonly queryable: Queryable;
  readonly clock: Clock;
  /** A series whose last sample is older is left out. */
  readonly lookback: DurationMs;
  parseSelector(text: string): Matcher[];
  /** More series than this are refused with 413 before the body. */
  readonly seriesMax: number;
  /** Answers made at once; further ones get 429. */
  readonly concurrentMax: number;
  readonly log: Log;
}

interface Format {
  readonly contentType: string;
  readonly dialect: Dialect;
  encoder(write: ChunkSink, escaping: EscapingScheme): FamilyEncoder;
}

const FORMATS: Readonly<Record<TextChoice['format'], Format>> = {
  text: {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    dialect: TEXT_DIALECT,
    encoder: (write, escaping) => new TextEncoder004(write, escaping),
  },
  openmetrics: {
    contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    dialect: OPENMETRICS_DIALECT,
    encoder: (write, escaping) => new OpenMetricsEncoder(write, escaping),
  },
};
const METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD']);
const SELECTORS_MAX = 64;
/** Written before others get their turn. */
const SERIES_AT_ONCE = 2000;

/** Answers `/federate` as text 0.0.4, or as OpenMetrics where that is preferred. */
export class TextFederation {
  /** Plain counts since the start. */
  readonly totals = { answers: 0, refused: 0, samples: 0, typeConflicts: 0 };
  readonly #options: TextFederationOptions;
  #answering = 0;

  constructor(options: TextFederationOptions) {
    this.#options = options;
  }

  /** Answers one request completely; errors become HTTP errors before the body. */
  async handle(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    if (this.#answering >= this.#options.concurrentMax) {
      this.totals.refused++;
      return sendError(res, new CanopyError('too_many_requests', 'too many requests at once'));
    }
    this.#answering++;
    const gone = new AbortController();
    const onClose = (): void => gone.abort(new CanopyError('canceled', 'the client went away'));
    res.once('close', onClose);
    try {
      const sets = this.#matcherSets(req, url);
      await this.#answer(req, res, sets, gone.signal);
      this.totals.answers++;
    } catch (error) {
      this.totals.refused++;
      if (!(error instanceof CanopyError)) {
        this.#options.log('error', 'federation failed', { error: errorText(error) });
      }
      sendError(res, error);
    } finally {
      res.off('close', onClose);
      this.#answering--;
    }
  }

  #matcherSets(req: IncomingMessage, url: URL): Matcher[][] {
    if (!METHODS.has(req.method)) throw new CanopyError('bad_data', '/federate is read with GET');
    const selectors = url.searchParams.getAll('match[]');
    if (selectors.length > SELECTORS_MAX) {
      throw new CanopyError('bad_data', `more than ${SELECTORS_MAX} match[] selectors`);
    }
    return selectors.map((text) => this.#options.parseSelector(text));
  }

  async #answer(
    req: IncomingMessage,
    res: ServerResponse,
    sets: ReadonlyArray<readonly Matcher[]>,
    signal: AbortSignal,
  ): Promise<void> {
    // Values are copied out of the snapshot, so that a slow client does not hold it.
    const choice = textChoice(req);
    const format = FORMATS[choice.format];
    const metrics = await this.#select(sets, signal);
    const named = withEscapedNames(metrics, choice.escaping);
    const { families, conflicts } = planFamilies(named, format.dialect);
    this.totals.typeConflicts += conflicts;
    res.statusCode = 200;
    res.setHeader('Content-Type', `${format.contentType}; escaping=${choice.escaping}`);
    res.setHeader('Cache-Control', 'no-store');
    res.setHeader('Vary', 'Accept, Accept-Encoding');
    if (req.method === 'HEAD') {
      res.end();
      return;
    }
    let zip: Gzip | null = null;
    if (acceptsCoding(req, 'gzip')) {
      zip = createGzip({ level: 1 });
      res.setHeader('Content-Encoding', 'gzip');
      zip.pipe(res);
    }
    await this.#write(
      (write) => format.encoder(write, choice.escaping),
      families,
      zip ?? res,
      signal,
    );
    (zip ?? res).end();
  }

  /** Last samples by metric name, from one pinned snapshot. */
  async #select(
    sets: ReadonlyArray<readonly Matcher[]>,
    signal: AbortSignal,
  ): Promise<Map<string, LastSample[]>> {
    const { queryable, clock, lookback, seriesMax } = this.#options;
    const metrics = new Map<string, LastSample[]>();
    const now = clock.now();
    const range = { minTime: asTime(now - lookback), maxTime: now as Milliseconds };
    const snapshot: Snapshot = queryable.snapshot();
    try {
      // One selector selects each series once; several may overlap.
      const seen = sets.length > 1 ? new Set<string>() : null;
      let count = 0;
      for (const set of sets) {
        const selected = await snapshot.select(set, range, signal);
        for (const series of selected) {
          if (seen !== null) {
            const key = labelsKey(series.labels);
            if (seen.has(key)) continue;
            seen.add(key);
          }
          const last = lastSample(series);
          if (last === null) continue;
          if (++count > seriesMax) {
            throw new CanopyError('limit', `match[] selects more than ${seriesMax} series`);
          }
          const name = labelValue(last.labels, METRIC_NAME);
          const bucket = metrics.get(name);
          if (bucket === undefined) metrics.set(name, [last]);
          else bucket.push(last);
          if (count % SERIES_AT_ONCE === 0) await pause(signal);
        }
      }
    } finally {
      snapshot.release();
    }
    return metrics;
  }

  async #write(
    encoderTo: (write: ChunkSink) => FamilyEncoder,
    families: readonly FamilyPlan[],
    out: ServerResponse | Gzip,
    signal: AbortSignal,
  ): Promise<void> {
    let isFull = false;
    const encoder = encoderTo((chunk) => {
      isFull = !out.write(chunk);
    });
    let count = 0;
    let lines = 0;
    for (const { header, metrics } of families) {
      encoder.beginFamily(header);
      const order = new LineOrder(header.type);
      for (const { samples } of metrics) {
        for (const sample of samples) {
          order.add(sample);
          if (++count % SERIES_AT_ONCE === 0) await pause(signal);
        }
      }
      for (const { labels, value, time } of order.samples()) {
        encoder.sample(withInstance(labels), value, time);
        if (isFull) {
          await drained(out, signal);
          isFull = false;
        }
        if (++lines % SERIES_AT_ONCE === 0) await pause(signal);
      }
    }
    encoder.end();
    this.totals.samples += count;
  }
}

/** The newest sample of the range; null where the series ended with a stale mark or has none. */
function lastSample(series: SelectedSeries): LastSample | null {
  const { labels, family, times, values, states, from, to } = series;
  for (let i = to - 1; i >= from; i--) {
    if (states !== null && states[i] === SampleState.none) continue;
    if (states !== null && states[i] === SampleState.stale) return null;
    return { labels, family, time: times[i], value: values[i] };
  }
  return null;
}

/**
 * As Prometheus: a series without `instance` gets an empty one, so that the scraper does not put
 * its own there.
 */
function withInstance(labels: Labels): Labels {
  let at = 0;
  for (; at < labels.length; at += 2) {
    if (labels[at] === 'instance') return labels;
    if (compareUtf8(labels[at], 'instance') > 0) break;
  }
  return [...labels.slice(0, at), 'instance', '', ...labels.slice(at)];
}

async function pause(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

/** Resolves when `out` takes more; rejects when the client went away. */
function drained(out: ServerResponse | Gzip, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const onDrain = (): void => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = (): void => {
      out.off('drain', onDrain);
      reject(signal.reason as Error);
    };
    out.once('drain', onDrain);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
