/**
 * Plain `/federate`: the last sample of each series, as text 0.0.4 or OpenMetrics that any Prometheus reads.
 * As Prometheus answers it (web/federate.go), but with types, help and contiguous families.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type EscapingScheme,
  type FamilyEncoder,
  OpenMetricsEncoder,
  TextEncoder004,
} from '@canopy/exposition';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type Family,
  type LabelNumbers,
  type LastColumns,
  type LastQueryable,
  type LastSamples,
  type Matcher,
  type Milliseconds,
  Turns,
  asTime,
  errorText,
} from '@canopy/model';
import type { Log } from '../log.js';
import {
  type Dialect,
  type FamilyCounts,
  type FamilyPlan,
  OPENMETRICS_DIALECT,
  TEXT_DIALECT,
  byStem,
  escapedName,
  joined,
  planFamilies,
  withEscapedNames,
} from './families.js';
import { lineOrder } from './line-order.js';
import { type TextChoice, textChoice } from './negotiate.js';
import { Outlet } from './outlet.js';
import { acceptsCoding, sendError } from './reply.js';

export interface TextFederationOptions {
  readonly queryable: LastQueryable;
  readonly clock: Clock;
  /** A series whose last sample is older is left out. */
  readonly lookback: DurationMs;
  parseSelector(text: string): Matcher[];
  /** More series than this are refused with 413 before the body. */
  readonly seriesMax: number;
  /** Answers made at once, half of them to one address; further ones get 429. */
  readonly concurrentMax: number;
  readonly log: Log;
}

interface Format {
  readonly contentType: string;
  readonly dialect: Dialect;
  encoder(labels: LabelNumbers, escaping: EscapingScheme): FamilyEncoder;
}

/**
 * As Prometheus: a series without `instance` gets an empty one, so that the scraper does not put
 * its own there.
 */
const ALWAYS = 'instance';
const FORMATS: Readonly<Record<TextChoice['format'], Format>> = {
  text: {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    dialect: TEXT_DIALECT,
    encoder: (labels, escaping) => new TextEncoder004(labels, ALWAYS, escaping),
  },
  openmetrics: {
    contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    dialect: OPENMETRICS_DIALECT,
    encoder: (labels, escaping) => new OpenMetricsEncoder(labels, ALWAYS, escaping),
  },
};
const METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD']);
const SELECTORS_MAX = 64;
/** Read at once; a chunk's worth of lines is a part of it. */
const SERIES_AT_ONCE = 8192;
/** The event loop is held no longer than this. */
const HOLD_MS = 10;

/** Answers `/federate` as text 0.0.4, or as OpenMetrics where that is preferred. */
export class TextFederation {
  /** Plain counts since the start. */
  readonly totals = { answers: 0, refused: 0, samples: 0, typeConflicts: 0 };
  readonly #options: TextFederationOptions;
  /** Answers that are made at once hold the event loop no longer than one does. */
  readonly #turns = new Turns(setImmediate);
  /** Addresses that are being answered, each as often as it is. */
  readonly #answering: string[] = [];

  constructor(options: TextFederationOptions) {
    this.#options = options;
  }

  /** Answers one request completely; errors become HTTP errors before the body. */
  async handle(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    const remote = req.socket.remoteAddress ?? '';
    const tooMany = this.#tooMany(remote);
    if (tooMany !== undefined) {
      this.totals.refused++;
      return sendError(res, new CanopyError('too_many_requests', tooMany));
    }
    this.#answering.push(remote);
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
      this.#answering.splice(this.#answering.indexOf(remote), 1);
    }
  }

  /** Half of the answers are for others, however slowly one address takes its own. */
  #tooMany(remote: string): string | undefined {
    const { concurrentMax: max } = this.#options;
    if (this.#answering.length >= max) return 'too many requests at once';
    const here = this.#answering.filter((one) => one === remote).length;
    return here >= Math.ceil(max / 2) ? 'too many requests at once from one address' : undefined;
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
    const { queryable, clock, lookback, seriesMax } = this.#options;
    const now = clock.now();
    const range = { minTime: asTime(now - lookback), maxTime: now as Milliseconds };
    const snapshot = queryable.snapshot();
    try {
      const last = await snapshot.last(sets, range, signal);
      if (last.seriesCount > seriesMax) {
        throw new CanopyError('limit', `match[] selects more than ${seriesMax} series`);
      }
      const choice = textChoice(req);
      const { contentType } = FORMATS[choice.format];
      res.statusCode = 200;
      res.setHeader('Content-Type', `${contentType}; escaping=${choice.escaping}`);
      res.setHeader('Cache-Control', 'no-store');
      res.setHeader('Vary', 'Accept, Accept-Encoding');
      if (req.method === 'HEAD') return void res.end();
      const outlet = new Outlet(res, acceptsCoding(req, 'gzip'), clock, signal);
      const answer = new TextAnswer(last, choice, outlet, clock, this.#turns, signal);
      await answer.write();
      this.totals.samples += answer.samples;
      this.totals.typeConflicts += answer.conflicts;
    } finally {
      snapshot.release();
    }
  }
}

/** One answer: family after family is counted, planned and written, so that no more is held than a part of one. */
class TextAnswer {
  samples = 0;
  conflicts = 0;
  readonly #last: LastSamples;
  readonly #dialect: Dialect;
  readonly #escaping: EscapingScheme;
  /** By name as it is written. */
  readonly #metrics: ReadonlyMap<string, Uint32Array>;
  /** Families under the names that are written. */
  readonly #shown = new Map<Family, Family>();
  readonly #encoder: FamilyEncoder;
  readonly #outlet: Outlet;
  readonly #clock: Clock;
  readonly #turns: Turns;
  readonly #signal: AbortSignal;
  #since: number;
  readonly #columns: LastColumns = {
    values: new Float64Array(SERIES_AT_ONCE),
    times: new Float64Array(SERIES_AT_ONCE),
    families: Array.from({ length: SERIES_AT_ONCE }, () => undefined),
  };
  /** What the columns have. */
  #series: Uint32Array | undefined;
  #from = 0;

  constructor(
    last: LastSamples,
    { format, escaping }: TextChoice,
    outlet: Outlet,
    clock: Clock,
    turns: Turns,
    signal: AbortSignal,
  ) {
    this.#last = last;
    this.#dialect = FORMATS[format].dialect;
    this.#escaping = escaping;
    this.#metrics = withEscapedNames(last.metrics, escaping);
    this.#encoder = FORMATS[format].encoder(last.labels, escaping);
    this.#outlet = outlet;
    this.#clock = clock;
    this.#turns = turns;
    this.#signal = signal;
    this.#since = clock.monotonic();
  }

  async write(): Promise<void> {
    for (const [, names] of byStem(this.#metrics.keys(), this.#dialect)) {
      const counts = new Map<string, FamilyCounts>();
      for (const name of names) {
        const own = await this.#count(this.#metrics.get(name)!);
        if (own.size > 0) counts.set(name, own);
      }
      if (counts.size === 0) continue;
      const { families, conflicts } = planFamilies(counts, this.#dialect);
      this.conflicts += conflicts;
      for (const family of families) await this.#writeFamily(family);
    }
    this.#encoder.end();
    await this.#outlet.send(this.#encoder.take());
    this.#outlet.end();
  }

  /** What series with a sample say of their families. */
  async #count(series: Uint32Array): Promise<FamilyCounts> {
    const counts: FamilyCounts = new Map();
    const { families, times } = this.#columns;
    const add = (family: Family | undefined, run: number): void => {
      if (run === 0) return;
      const shown = this.#asShown(family);
      counts.set(shown, (counts.get(shown) ?? 0) + run);
    };
    for (let from = 0; from < series.length; from += SERIES_AT_ONCE) {
      const count = await this.#read(series, from);
      // Fast path: neighbours mostly share the object.
      let current: Family | undefined;
      let run = 0;
      for (let i = 0; i < count; i++) {
        if (Number.isNaN(times[i])) continue;
        if (families[i] !== current) {
          add(current, run);
          current = families[i];
          run = 0;
        }
        run++;
      }
      add(current, run);
    }
    return counts;
  }

  #asShown(family: Family | undefined): Family | undefined {
    if (family === undefined) return undefined;
    const name = escapedName(family.name, this.#escaping);
    if (name === family.name) return family;
    let shown = this.#shown.get(family);
    if (shown === undefined) this.#shown.set(family, (shown = { ...family, name }));
    return shown;
  }

  async #writeFamily({ header, metrics }: FamilyPlan): Promise<void> {
    const encoder = this.#encoder;
    encoder.beginFamily(header);
    const lists = metrics.map((name) => this.#metrics.get(name)!);
    const all = lists.length === 1 ? lists[0] : joined(lists);
    const series = await lineOrder(all, header.type, this.#last.labels, this.#pause);
    const { values, times } = this.#columns;
    for (let from = 0; from < series.length; from += SERIES_AT_ONCE) {
      const count = await this.#read(series, from);
      for (let i = 0; i < count; i++) {
        if (Number.isNaN(times[i])) continue;
        encoder.sample(series[from + i], values[i], times[i]);
        this.samples++;
        if (!encoder.full) continue;
        await this.#outlet.send(encoder.take());
        // All whose client has taken a chunk would go on at once.
        await this.#turn();
      }
    }
  }

  /** Into the columns, where they do not have it; returns how many there are. */
  async #read(series: Uint32Array, from: number): Promise<number> {
    const count = Math.min(SERIES_AT_ONCE, series.length - from);
    if (series === this.#series && from === this.#from) return count;
    await this.#pause();
    await this.#last.read(series, from, count, this.#columns);
    this.#series = series;
    this.#from = from;
    return count;
  }

  /** Lets others have the event loop where it is time to. */
  readonly #pause = async (): Promise<void> => {
    if (this.#clock.monotonic() - this.#since >= HOLD_MS) await this.#turn();
  };

  async #turn(): Promise<void> {
    await this.#turns.next();
    this.#since = this.#clock.monotonic();
    this.#signal.throwIfAborted();
  }
}
