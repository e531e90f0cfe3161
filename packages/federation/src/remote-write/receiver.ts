/**
 * `POST /api/v1/write`: remote write 1.0 and 2.0 into the process's own journal
 * (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/). A request is answered once what it brought is
 * synced in the store, because its sender forgets it then.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type Journal,
  METRIC_NAME,
  addCount,
  errorText,
  labelValue,
  labelsOf,
} from '@canopy/model';
import { uncompressSync } from 'snappy';
import type { Log } from '../log.js';
import { type SourceTrust, forgedLabel } from '../pull/trust.js';
import { sendError } from '../serve/reply.js';
import {
  type MessageVersion,
  type WriteMessage,
  type WrittenSeries,
  readWriteMessage,
} from './message.js';
import type { PushedGroup } from './pushed-group.js';
import { PushedSeries } from './pushed-series.js';

export interface RemoteWriteOptions {
  readonly clock: Clock;
  readonly journal: Journal;
  /** Why the journal takes nothing at the moment; '' where it does. */
  trouble(): string;
  /** Frames that the store did not take in time, since the start. */
  framesDropped(): number;
  /**
   * What a request may say: label → values; other labels, and series without the label, are free.
   * @throws CanopyError `forbidden` where it may not write at all.
   */
  rules(req: IncomingMessage): Promise<SourceTrust['labels']>;
  /** How far a sample may lie behind the newest of its group. */
  outOfOrderWindow(): DurationMs;
  readonly seriesMax: number;
  /** Of a request as it comes, and uncompressed. */
  readonly bodyBytesMax: number;
  readonly messageBytesMax: number;
  readonly concurrentMax: number;
  /** A request that is not synced after this is answered with 503; the sender sends it again. */
  readonly syncTimeout: DurationMs;
  /** A series that no request names for so long may be forgotten. */
  readonly idle: DurationMs;
  readonly log: Log;
}

/** Samples further ahead of the clock are refused, as in Prometheus. Milliseconds. */
const AHEAD_MAX = 10 * 60_000;
const FORGET_EVERY = 60_000 as DurationMs;
/** The reasons that an answer spells out. */
const REASONS_TOLD = 5;

/** What one request did. */
interface Outcome {
  samples: number;
  /** Reason → samples or series. */
  readonly refused: Map<string, number>;
  /** The first of each reason, for people. */
  readonly examples: string[];
}

export class RemoteWriteReceiver {
  /** Plain counts since the start. */
  readonly totals = {
    requests: 0,
    samples: 0,
    exemplars: 0,
    refused: {} as Record<string, number>,
  };
  readonly #options: RemoteWriteOptions;
  readonly #series: PushedSeries;
  #running = 0;
  #forgetAt: number;

  constructor(options: RemoteWriteOptions) {
    this.#options = options;
    this.#series = new PushedSeries(options.journal, options.seriesMax);
    this.#forgetAt = options.clock.monotonic() + FORGET_EVERY;
  }

  /** Series that may be written without a new layout. */
  get seriesCount(): number {
    return this.#series.count;
  }

  /** Answers a POST completely. Never throws. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    this.totals.requests++;
    this.#running++;
    try {
      const version = messageVersion(req);
      if (version === undefined) {
        res.writeHead(415, { 'content-type': 'text/plain; charset=utf-8' });
        res.end('remote write takes snappy-compressed protobuf messages of version 1.0 or 2.0\n');
        return;
      }
      this.#checkRoom();
      const rules = await this.#options.rules(req);
      const message = readWriteMessage(await this.#read(req), version);
      const outcome = this.#take(message, rules);
      await this.#sync();
      answer(res, version, outcome);
    } catch (error) {
      if (!(error instanceof CanopyError)) {
        this.#options.log('error', 'a remote write failed', { error: errorText(error) });
      }
      if (!req.complete) res.setHeader('Connection', 'close');
      sendError(res, error);
    } finally {
      this.#running--;
    }
  }

  close(): void {
    this.#series.close();
  }

  /** @throws CanopyError where the request must come again later. */
  #checkRoom(): void {
    const { concurrentMax, trouble } = this.#options;
    if (this.#running > concurrentMax) {
      throw new CanopyError('unavailable', `more than ${concurrentMax} remote writes at once`);
    }
    const why = trouble();
    if (why !== '') throw new CanopyError('storage_unavailable', why);
  }

  async #read(req: IncomingMessage): Promise<Uint8Array> {
    const { bodyBytesMax, messageBytesMax } = this.#options;
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of req as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > bodyBytesMax) tooLarge(`a request of more than ${bodyBytesMax} bytes`);
      chunks.push(chunk);
    }
    const body = Buffer.concat(chunks);
    // The length stands in front: nothing larger is ever made.
    if (snappyLength(body) > messageBytesMax) {
      tooLarge(`a message of more than ${messageBytesMax} bytes uncompressed`);
    }
    try {
      return uncompressSync(body) as Buffer;
    } catch (error) {
      throw new CanopyError('bad_data', `snappy: ${errorText(error)}`);
    }
  }

  #take(message: WriteMessage, rules: SourceTrust['labels']): Outcome {
    const outcome: Outcome = { samples: 0, refused: new Map(), examples: [] };
    const touched = new Set<PushedGroup>();
    this.#series.describe(message.families);
    for (const series of message.series) {
      this.#takeSeries(series, rules, outcome, touched);
    }
    for (const group of touched) group.write();
    this.totals.samples += outcome.samples;
    for (const [reason, count] of outcome.refused) {
      addCount(this.totals.refused, reason, count);
      this.#options.journal.countLeftOut(reason, count);
    }
    const { clock, idle } = this.#options;
    if (clock.monotonic() >= this.#forgetAt) {
      this.#forgetAt = clock.monotonic() + FORGET_EVERY;
      this.#series.forget(clock.now(), idle);
    }
    return outcome;
  }

  #takeSeries(
    series: WrittenSeries,
    rules: SourceTrust['labels'],
    outcome: Outcome,
    touched: Set<PushedGroup>,
  ): void {
    const now = this.#options.clock.now();
    const window = this.#options.outOfOrderWindow();
    this.totals.exemplars += series.exemplars;
    const problem = labelProblem(series.pairs);
    const labels = problem === '' ? labelsOf(pairsOf(series.pairs!)) : [];
    const refuse = (reason: string, count: number, about = ''): void => {
      const name = problem === '' ? labelValue(labels, METRIC_NAME) : '';
      if (!outcome.refused.has(reason))
        outcome.examples.push([reason, name, about].filter((part) => part !== '').join(' '));
      outcome.refused.set(reason, (outcome.refused.get(reason) ?? 0) + count);
    };
    const { times, states, values } = series;
    if (problem !== '') return refuse('invalid_labels', Math.max(1, times.length), problem);
    const forged = forgedLabel(labels, rules);
    if (forged !== undefined) {
      const said = `${forged.label}=${JSON.stringify(forged.value.slice(0, 50))}`;
      return refuse('forged_label', Math.max(1, times.length + series.histograms), said);
    }
    if (series.histograms > 0) refuse('native_histogram', series.histograms);
    if (times.length === 0) return;
    const place = this.#series.slotOf(labels, series.family);
    if (place === undefined) return refuse('series_limit', times.length);
    const { group, slot } = place;
    group.touch(slot, now);
    touched.add(group);
    for (let i = 0; i < times.length; i++) {
      // Before 1970 is too old anywhere.
      const verdict =
        times[i] > now + AHEAD_MAX
          ? 'too_far_ahead'
          : times[i] < 0
            ? 'too_old'
            : group.take(slot, times[i], states[i], values[i], window);
      if (verdict === 'taken' || verdict === 'repeated') outcome.samples++;
      else refuse(verdict, 1, `at ${times[i] / 1000}`);
    }
  }

  /** @throws CanopyError where the store has not taken it in time. */
  async #sync(): Promise<void> {
    const { clock, journal, syncTimeout, framesDropped } = this.#options;
    const dropped = framesDropped();
    let timer: { cancel(): void } | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = clock.after(syncTimeout, () => resolve(false));
    });
    const isSynced = await Promise.race([journal.flush().then(() => true), late]);
    timer?.cancel();
    if (!isSynced || framesDropped() > dropped) {
      throw new CanopyError('storage_unavailable', 'the store has not taken the samples in time');
    }
  }
}

/** By `Content-Type` and `Content-Encoding`; undefined for what nobody has specified. */
function messageVersion({ headers }: IncomingMessage): MessageVersion | undefined {
  if ((headers['content-encoding'] || 'snappy').toLowerCase() !== 'snappy') return undefined;
  const [type, ...parameters] = (headers['content-type'] || 'application/x-protobuf')
    .split(';')
    .map((part) => part.trim());
  if (type.toLowerCase() !== 'application/x-protobuf') return undefined;
  const proto = parameters.find((part) => /^proto=/i.test(part))?.slice('proto='.length);
  if (proto === undefined || proto === 'prometheus.WriteRequest') return '1.0';
  return proto === 'io.prometheus.write.v2.Request' ? '2.0' : undefined;
}

/** Length of what a raw snappy block holds: a varint of at most 32 bits. */
function snappyLength(body: Uint8Array): number {
  let length = 0;
  for (let i = 0; i < 5 && i < body.length; i++) {
    length += (body[i] & 0x7f) * 2 ** (7 * i);
    if (body[i] < 0x80) return length;
  }
  throw new CanopyError('bad_data', 'snappy: the body does not begin with a length');
}

function tooLarge(what: string): never {
  throw new CanopyError('limit', `${what} is not taken`);
}

/** What is wrong with the labels of a series; '' for nothing. */
function labelProblem(pairs: readonly string[] | null): string {
  if (pairs === null) return 'a label is no UTF-8, or a symbol that is not there';
  const names = new Set<string>();
  let hasName = false;
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i];
    if (name === '') return 'a label without a name';
    if (names.has(name)) return `label "${name}" twice`;
    names.add(name);
    if (name === METRIC_NAME && pairs[i + 1] !== '') hasName = true;
  }
  return hasName ? '' : 'no metric name';
}

function* pairsOf(flat: readonly string[]): Generator<readonly [string, string]> {
  for (let i = 0; i < flat.length; i += 2) yield [flat[i], flat[i + 1]];
}

/** 204, or 400 where something was refused: the sender must not send that again. */
function answer(res: ServerResponse, version: MessageVersion, outcome: Outcome): void {
  if (version === '2.0') {
    res.setHeader('X-Prometheus-Remote-Write-Samples-Written', outcome.samples);
    res.setHeader('X-Prometheus-Remote-Write-Histograms-Written', 0);
    res.setHeader('X-Prometheus-Remote-Write-Exemplars-Written', 0);
  }
  if (outcome.refused.size === 0) {
    res.statusCode = 204;
    res.end();
    return;
  }
  let refused = 0;
  for (const count of outcome.refused.values()) refused += count;
  const why = outcome.examples.slice(0, REASONS_TOLD).join('; ');
  res.statusCode = 400;
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.end(`${refused} refused, ${outcome.samples} samples written: ${why}\n`);
}
