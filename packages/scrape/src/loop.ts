/**
 * The life of one target: wait for its tick, fetch, read, write a frame; and its end.
 */
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type Gate,
  type Journal,
  type Labels,
  type Milliseconds,
  type PullFormat,
  type PullTarget,
  type TargetHealth,
  type TargetStatus,
  type Timer,
  asDuration,
  asTime,
  errorText,
  labelValue,
} from '@canopy/model';
import type { ScrapeColumns } from '@canopy/exposition';
import type { ScrapeConfig } from './config.js';
import { DEFAULT_SCRAPE_PROTOCOLS, acceptHeader, formatOf } from './formats.js';
import { type FetchRequest, type FetchedBody, type Fetcher, requestClient } from './fetch.js';
import type { ScrapeLog } from './log.js';
import type { FailureLog } from './failure-log.js';
import type { Gates } from './gates.js';
import { failureReason, isRefusal } from './refusal.js';
import type { Relabel } from './relabel.js';
import { catchUpBudget, isPunctual, nextTick, ticksPassed } from './schedule.js';
import type { StringPool } from './series-table.js';
import { type ScrapeReport, TargetSeries } from './target-series.js';
import { type Target, scrapeOffset } from './target.js';
import type { Ticks } from './ticks.js';
import { type ScrapeTotals, countUp } from './totals.js';

/** What all loops of a process share. */
export interface LoopWorld {
  readonly clock: Clock;
  readonly ticks: Ticks;
  readonly journal: Journal;
  readonly fetcher: Fetcher;
  readonly gates: Gates;
  readonly pullFormat: PullFormat | undefined;
  readonly pool: StringPool;
  readonly totals: ScrapeTotals;
  /** Times of the scrapes that have begun and are not written yet. */
  readonly underWay: Map<ScrapeLoop, Milliseconds>;
  readonly offsetSeed: string;
  readonly seriesPerTargetMax: number;
  readonly enforcedLabels: readonly string[];
  readonly failureLog: FailureLog;
  readonly log: ScrapeLog;
}

export interface LoopOptions {
  readonly target: Target;
  readonly config: ScrapeConfig;
  readonly metricRelabel: Relabel;
  readonly externalLabels: Labels;
}

/** What one request brought. */
type Answer =
  | { readonly kind: 'text'; readonly columns: ScrapeColumns }
  | { readonly kind: 'frames'; readonly samples: number; readonly more: boolean };

/** Within a gate a body is to come in so long; else its target is slow. Milliseconds. */
const SLOW_MS = 1000;
/** What was asked for when a loop is stopped may take so long to come in. */
const GRACE = asDuration(1000);

export class ScrapeLoop {
  /** Replaced by one with the same labels and URL where only what was discovered differs. */
  target: Target;
  readonly #world: LoopWorld;
  readonly #options: LoopOptions;
  readonly #pullTarget: PullTarget;
  /** The same for every scrape; a pull adds headers. */
  readonly #request: FetchRequest;
  readonly #offset: number;
  readonly #abort = new AbortController();
  #isStopped = false;
  /** Its last answer was a page of frames, which can be had again. */
  #isPulled = false;
  #series: TargetSeries | undefined;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** Set where the job as a whole may not be scraped (target_limit); every scrape fails with it. */
  forcedError: CanopyError | undefined;
  #health: TargetHealth = 'unknown';
  #lastError = '';
  #lastScrape: Milliseconds | undefined;
  #lastDuration = asDuration(0);
  #lastSamples = 0;
  /** Its last body was long on its way: it waits for its place with others of that kind. */
  #isSlow = false;
  /** Its last page said that there is more: it is catching up. */
  #isBehind = false;
  /** When it got its place last. Clock.monotonic() */
  #entered = 0;
  /** Time of the first frame; undefined before it. */
  #firstTime: Milliseconds | undefined;

  constructor(world: LoopWorld, options: LoopOptions) {
    this.#world = world;
    this.#options = options;
    this.target = options.target;
    const { url, labels, interval } = options.target;
    this.#pullTarget = { url, labels, interval };
    this.#offset = scrapeOffset(options.target, world.offsetSeed);
    this.#request = {
      url,
      headers: negotiation(options.config, world.pullFormat),
      ...requestClient(options.config),
      timeout: options.target.timeout,
      bodyBytesMax: options.config.bodySizeLimit,
      signal: this.#abort.signal,
    };
  }

  start(): void {
    this.#schedule();
  }

  get firstTime(): Milliseconds | undefined {
    return this.#firstTime;
  }

  /** Time of the last frame; 0 before the first. */
  get lastTime(): Milliseconds {
    return this.#series?.lastTime ?? asTime(0);
  }

  status(): TargetStatus {
    const { target } = this;
    return {
      scrapePool: target.jobName,
      discoveredLabels: target.discoveredLabels,
      labels: target.labels,
      scrapeUrl: target.url,
      health: this.#health,
      lastError: this.#lastError,
      lastScrape: this.#lastScrape,
      lastScrapeDuration: this.#lastDuration,
      scrapeInterval: target.interval,
      scrapeTimeout: target.timeout,
      lastSamples: this.#lastSamples,
    };
  }

  /**
   * No scrape begins any more. One under way has GRACE to come in and is written: its exporter may have answered, and
   * what was answered is not dropped without a word. Then it is given up, a pull of frames at once. Resolves when
   * nothing runs; writes nothing else.
   */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isStopped = true;
    const giveUp = (): void => {
      const reason = new CanopyError('canceled', 'the target is not scraped any more');
      if (!this.#abort.signal.aborted) this.#abort.abort(reason);
    };
    if (this.#isPulled || this.#running === undefined) giveUp();
    const grace = this.#world.clock.after(GRACE, giveUp);
    await this.#running;
    grace.cancel();
    giveUp();
  }

  /** The tick at which the next scrape would be. */
  nextTick(): Milliseconds {
    return nextTick(this.#world.clock.now(), this.target.interval, this.#offset);
  }

  /** After `stop`: ends all series at `time`. Nothing where nothing was ever written. */
  writeEnd(time: Milliseconds): void {
    if (this.#series !== undefined && this.lastTime > 0) this.#series.writeEnd(time);
  }

  /** After `stop`. */
  close(): void {
    this.#series?.close();
    this.#series = undefined;
  }

  /**
   * After the scrape of tick `done`. `isDue`: another one has passed meanwhile; it is taken at once, as
   * Prometheus's ticker holds one.
   */
  #schedule(done?: Milliseconds, isDue = false): void {
    const { interval } = this.target;
    let tick = this.nextTick();
    if (isDue) tick = asTime(tick - interval);
    // Each tick is taken once, though the clock was set back a little.
    if (tick === done) tick = asTime(tick + interval);
    this.#timer = this.#world.ticks.at(tick, (now) => {
      this.#running = this.#onTick(tick, now);
    });
  }

  async #onTick(tick: Milliseconds, now: Milliseconds): Promise<void> {
    const { clock, totals, log } = this.#world;
    const { interval } = this.target;
    const punctual = isPunctual(now, tick, interval);
    if (!punctual) totals.late++;
    const started = clock.monotonic();
    const time = punctual ? tick : now;
    this.#world.underWay.set(this, time);
    try {
      await this.#scrape(time);
    } catch (error) {
      // Only a fault of the program or of the journal gets here; the other targets go on.
      totals.failed++;
      countUp(totals.failedByReason, 'internal');
      log('error', 'scrape could not be written', {
        url: this.target.url,
        error: errorText(error),
      });
    } finally {
      this.#world.underWay.delete(this);
    }
    this.#running = undefined;
    if (this.#isStopped) return;
    const passed = ticksPassed(now - tick + clock.monotonic() - started, interval);
    totals.missed += Math.max(0, passed - 1);
    this.#world.journal.countMissed(this.#job, passed - 1);
    this.#schedule(tick, passed > 0);
  }

  async #scrape(time: Milliseconds): Promise<void> {
    const { clock, totals } = this.#world;
    const series = this.#open();
    // After a small step back of the clock there is nothing to write until it is past the last frame
    // again. A larger one is left to the journal, which begins a new run.
    const back = series.lastTime - time;
    if (back >= 0 && back <= this.target.interval) {
      countUp(totals.refused, 'clock_back');
      this.#world.journal.countRefused(this.#job, 'clock_back', 1);
      return;
    }
    totals.scrapes++;
    if (this.#firstTime === undefined) await this.#world.journal.expectScrapes(time);
    const started = clock.monotonic();
    const report: ScrapeReport = {
      up: 0,
      durationSeconds: 0,
      samplesScraped: 0,
      samplesKept: 0,
      seriesAdded: 0,
      bodyBytes: 0,
    };
    let columns: ScrapeColumns | undefined;
    let error: unknown;
    try {
      const answer = await this.#ask(series, report, started);
      if (answer.kind === 'text') columns = answer.columns;
      report.up = 1;
    } catch (thrown) {
      error = thrown;
      if (failureReason(thrown) === 'body_size_limit') report.bodyBytes = -1;
    }
    if (this.#abort.signal.aborted) return;
    const duration = clock.monotonic() - started;
    // Whole microseconds: digits beyond are noise, and cost bytes at every level.
    report.durationSeconds = Math.round(duration * 1000) / 1e6;
    const refusal = isRefusal(error) ? this.#reasonOf(error) : '';
    const written = series.write(time, clock.now(), columns, report, refusal);
    this.#firstTime ??= time;
    totals.samples += written.samples;
    countUp(totals.refused, 'duplicate', written.duplicates);
    countUp(totals.refused, 'out_of_bounds', written.outOfBounds);
    this.#conclude(time, asDuration(duration), report, error);
  }

  #open(): TargetSeries {
    const { config, externalLabels, metricRelabel, target } = this.#options;
    const { journal, pool, seriesPerTargetMax, enforcedLabels } = this.#world;
    this.#series ??= new TargetSeries({
      target,
      config,
      journal,
      externalLabels,
      metricRelabel,
      pool,
      seriesMax: seriesPerTargetMax,
      enforcedLabels,
    });
    return this.#series;
  }

  /** Asks once; a source of frames that has more, again until the next scrape is near. */
  async #ask(series: TargetSeries, report: ScrapeReport, started: number): Promise<Answer> {
    if (this.forcedError !== undefined) throw this.forcedError;
    const { clock } = this.#world;
    const until = started + catchUpBudget(this.target.interval);
    let samples = 0;
    for (;;) {
      const answer = await this.#askOnce(series, report);
      this.#isPulled = answer.kind === 'frames';
      if (answer.kind === 'text') return answer;
      samples += answer.samples;
      this.#world.totals.samples += answer.samples;
      report.samplesScraped = samples;
      report.samplesKept = samples;
      const again = answer.more && clock.monotonic() < until && !this.#isStopped;
      if (!again) return { kind: 'frames', samples, more: answer.more };
    }
  }

  async #askOnce(series: TargetSeries, report: ScrapeReport): Promise<Answer> {
    const { fetcher, pullFormat } = this.#world;
    let request = this.#request;
    if (pullFormat !== undefined) {
      const pullHeaders = await pullFormat.requestHeaders(this.#pullTarget);
      request = { ...request, headers: { ...request.headers, ...pullHeaders } };
    }
    return fetcher.fetch<Answer>(
      request,
      (contentType) => this.#gateFor(contentType),
      async (answer) => {
        this.#isSlow = this.#world.clock.monotonic() - this.#entered > SLOW_MS;
        report.bodyBytes = answer.body.length;
        if (pullFormat !== undefined && this.#isPull(answer.contentType)) {
          const headers = Object.fromEntries(answer.headers);
          const taken = await pullFormat.take(this.#pullTarget, headers, answer.body);
          this.#isBehind = taken.more;
          return { kind: 'frames', ...taken };
        }
        if (this.#options.config.pullOnly === true) {
          throw new CanopyError(
            'unavailable',
            'the source answers with something else than frames',
          );
        }
        return { kind: 'text', columns: this.#read(answer, series, report) };
      },
    );
  }

  #gateFor(contentType: string): Gate {
    const { clock, gates } = this.#world;
    const isPull = this.#isPull(contentType);
    const gate = gates.for({ isPull, isSlow: this.#isSlow, isBehind: this.#isBehind });
    return (task) =>
      gate(() => {
        this.#entered = clock.monotonic();
        this.#isSlow = true;
        return task();
      });
  }

  #isPull(contentType: string): boolean {
    const { pullFormat } = this.#world;
    return pullFormat !== undefined && mediaType(contentType) === mediaType(pullFormat.mediaType);
  }

  #read(answer: FetchedBody, series: TargetSeries, report: ScrapeReport): ScrapeColumns {
    const format = formatOf(answer.contentType, this.#options.config.fallbackScrapeProtocol);
    const conflicts = series.conflicts;
    const columns = series.parse(answer.body, format);
    countUp(this.#world.totals.refused, 'conflict', series.conflicts - conflicts);
    this.#world.totals.exemplars += series.exemplars;
    report.samplesScraped = columns.samplesScraped;
    report.samplesKept = columns.samplesKept;
    report.seriesAdded = columns.seriesAdded;
    series.checkSampleLimit(columns);
    return columns;
  }

  #reasonOf(error: unknown): string {
    return error === this.forcedError ? 'target_limit' : failureReason(error);
  }

  /** As its series have it, and so the ledger. */
  get #job(): string {
    return labelValue(this.target.labels, 'job');
  }

  #logFailure(path: string, time: Milliseconds): void {
    this.#world.failureLog.write(path, {
      time: new Date(time).toISOString(),
      level: 'ERROR',
      msg: this.#lastError,
      job_name: this.target.jobName,
      target: this.target.url,
    });
  }

  #conclude(time: Milliseconds, duration: DurationMs, report: ScrapeReport, error: unknown): void {
    const { totals, log } = this.#world;
    const healthBefore = this.#health;
    this.#health = report.up === 1 ? 'up' : 'down';
    this.#lastError = report.up === 1 ? '' : errorText(error);
    this.#lastScrape = time;
    this.#lastDuration = duration;
    if (report.up === 1) {
      this.#lastSamples = report.samplesScraped;
      if (healthBefore === 'down') log('info', 'target is up again', { url: this.target.url });
      return;
    }
    totals.failed++;
    const expected = error instanceof CanopyError;
    countUp(totals.failedByReason, this.#reasonOf(error));
    const { scrapeFailureLogFile: file } = this.#options.config;
    if (file !== undefined) this.#logFailure(file, time);
    const fields = { url: this.target.url, job: this.target.jobName, error: this.#lastError };
    if (!expected) log('error', 'scrape failed unexpectedly', fields);
    else if (healthBefore !== 'down') log('warn', 'target is down', fields);
    else log('debug', 'scrape failed', fields);
  }
}

function mediaType(contentType: string): string {
  return contentType.split(';', 1)[0].trim().toLowerCase();
}

/** The headers that say what is read here; frames before any text. */
function negotiation(config: ScrapeConfig, pull: PullFormat | undefined): Record<string, string> {
  const {
    scrapeProtocols = DEFAULT_SCRAPE_PROTOCOLS,
    metricNameEscapingScheme = 'allow-utf-8',
    enableCompression = true,
  } = config;
  const compression = enableCompression ? 'br, gzip' : 'identity';
  if (pull !== undefined && config.pullOnly === true) {
    return { accept: pull.mediaType, 'accept-encoding': compression };
  }
  const accept = acceptHeader(scrapeProtocols, metricNameEscapingScheme);
  const compressed = pull ? 'br, gzip' : 'gzip';
  return {
    accept: pull ? `${pull.mediaType},${accept}` : accept,
    'accept-encoding': enableCompression ? compressed : 'identity',
  };
}
