/**
 * Requests between machines: lost, late, asked twice; answers lost, cut, late, or those of an earlier request once more.
 * What comes is whole or an error, as over TCP; text that was cut is an error, too.
 */
import { createHash } from 'node:crypto';
import { CanopyError, type DurationMs, type Timer } from '@canopy/model';
import { FRAMES_MEDIA_TYPE } from '@canopy/federation';
import type { Doors } from 'canopy/testing';
import type { Canaries } from './canaries.js';
import { type Answer, type Question, requestOf, responseTo } from './exchange.js';
import type { Exporter } from './exporter.js';
import type { History } from './history.js';
import type { Chance } from './random.js';
import type { Life, SimTime } from './time.js';
import type { Trace } from './trace.js';

/** Shares of requests. */
export interface NetworkWeather {
  requestLost: number;
  requestTwice: number;
  answerLost: number;
  answerCut: number;
  answerOld: number;
  /** Late by up to `lateMs`. */
  late: number;
  lateMs: number;
}

interface Listener {
  readonly life: Life;
  readonly doors: Doors;
}

/** Two machines that do not reach one another: connections are reset, or what is sent goes nowhere. */
interface Cut {
  readonly until: number;
  readonly kind: 'reset' | 'swallow';
}

const ANSWERS_KEPT = 3;

export class Network {
  readonly weather: NetworkWeather = {
    ...{ requestLost: 0, requestTwice: 0, answerLost: 0, answerCut: 0, answerOld: 0 },
    ...{ late: 0, lateMs: 0 },
  };
  readonly exporters = new Map<string, Exporter>();
  /** One address that leads to any of several machines. */
  readonly aliases = new Map<string, readonly string[]>();
  readonly #listeners = new Map<string, Listener>();
  readonly #turns = new Map<string, number>();
  readonly #cuts = new Map<string, Cut>();
  /** Pages that were answered, by who asked whom. */
  readonly #old = new Map<string, Answer[]>();
  readonly #time: SimTime;
  readonly #chance: Chance;
  readonly #trace: Trace;
  readonly #history: History;
  readonly #canaries: Canaries;

  constructor(time: SimTime, chance: Chance, trace: Trace, history: History, canaries: Canaries) {
    this.#time = time;
    this.#chance = chance;
    this.#trace = trace;
    this.#history = history;
    this.#canaries = canaries;
  }

  listen(host: string, life: Life, doors: Doors): () => void {
    const listener = { life, doors };
    this.#listeners.set(host, listener);
    const close = (): void => {
      if (this.#listeners.get(host) === listener) this.#listeners.delete(host);
    };
    life.onEnd(close);
    return close;
  }

  cut(a: string, b: string, kind: Cut['kind'], ms: number): void {
    this.#cuts.set(linkKey(a, b), { until: this.#time.now + ms, kind });
  }

  mend(): void {
    this.#cuts.clear();
    for (const key of Object.keys(this.weather) as Array<keyof NetworkWeather>)
      this.weather[key] = 0;
  }

  /** @throws CanopyError as a fetcher does, for people. */
  ask(
    from: { readonly host: string; readonly life: Life },
    question: Question,
    timeout: DurationMs,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const { life } = from;
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const isOver = (): boolean => timer === undefined;
      const settle = (act: () => void): void => {
        if (isOver()) return;
        timer?.cancel();
        timer = undefined;
        signal?.removeEventListener('abort', onAbort);
        act();
      };
      const fail = (error: unknown): void => settle(() => reject(error as Error));
      const onAbort = (): void => fail(signal?.reason);
      timer = life.in(timeout, () => fail(new CanopyError('timeout', 'context deadline exceeded')));
      signal?.addEventListener('abort', onAbort, { once: true });
      const take = (answer: Answer | Error): void => {
        if (isOver()) return;
        if (answer instanceof Error) return fail(answer);
        settle(() => resolve(answer));
      };
      this.#send(from, question, take);
    });
  }

  #send(
    { host, life }: { readonly host: string; readonly life: Life },
    question: Question,
    take: (answer: Answer | Error) => void,
  ): void {
    const named = new URL(question.url).host;
    const behind = this.aliases.get(named) ?? [named];
    const turn = this.#turns.get(host) ?? 0;
    // Who asks several is sent to them in turn.
    if (behind.length > 1) this.#turns.set(host, turn + 1);
    const to = behind[turn % behind.length];
    const { weather } = this;
    const chance = this.#chance;
    const cut = this.#cuts.get(linkKey(host, to));
    const path = `${host}>${to}`;
    this.#history.asks(host, question);
    if (cut !== undefined && this.#time.now < cut.until) {
      if (cut.kind === 'swallow') return;
      return void life.in(0.5, () => take(reset()));
    }
    if (chance.isHit(weather.requestLost))
      return this.#trace.note(`${path} request lost`, 'requests lost');
    const arrive = (isSecond: boolean): void => {
      this.#time.at(this.#time.now + this.#delay(), () => {
        this.#serve(to, question, (answer) => {
          // Of a request that came twice, one answer gets through.
          if (isSecond) return;
          this.#giveBack(path, life, answer, take);
        });
      });
    };
    const isTwice = chance.isHit(weather.requestTwice);
    if (isTwice) this.#trace.note(`${path} request twice`, 'requests that came twice');
    arrive(false);
    if (isTwice) arrive(true);
  }

  #serve(to: string, question: Question, done: (answer: Answer | Error) => void): void {
    const exporter = this.exporters.get(to);
    if (exporter !== undefined) return this.#scrape(exporter, done);
    const listener = this.#listeners.get(to);
    if (listener === undefined) return done(new CanopyError('unavailable', 'connection refused'));
    const { life, doors } = listener;
    // A frozen machine takes the request when it thaws.
    life.in(0, () => {
      let isDone = false;
      const finish = (answer: Answer | Error): void => {
        if (isDone) return;
        isDone = true;
        forget();
        if (!(answer instanceof Error)) this.#history.leaves(question, answer.status);
        done(answer);
      };
      const forget = life.onEnd(() => finish(reset()));
      const response = responseTo((answer) => finish(answer ?? reset()));
      const request = requestOf(question);
      const url = new URL(question.url);
      if (this.#canaries.swallows(question.method)) {
        return finish({ status: 200, headers: new Map(), body: NOTHING });
      }
      if (url.pathname === '/federate') void doors.federate(request, response, url);
      else if (doors.register === null) finish({ status: 404, headers: new Map(), body: NOTHING });
      else void doors.register(request, response);
    });
  }

  #scrape(exporter: Exporter, done: (answer: Answer | Error) => void): void {
    if (this.#time.now < exporter.downUntil) {
      return done(new CanopyError('unavailable', 'connection refused'));
    }
    if (this.#time.now < exporter.hungUntil) return;
    const { number, body } = exporter.scrape();
    this.#trace.note(`${exporter.name} answers ${number}`);
    const headers = new Map([
      ['content-type', 'text/plain; version=0.0.4'],
      ['x-number', String(number)],
    ]);
    const sent = this.#canaries.spoilBody(number, body);
    done({ status: 200, headers, body: Buffer.from(sent) });
  }

  #giveBack(
    path: string,
    life: Life,
    given: Answer | Error,
    take: (answer: Answer | Error) => void,
  ): void {
    const { weather } = this;
    const chance = this.#chance;
    if (chance.isHit(weather.answerLost))
      return this.#trace.note(`${path} answer lost`, 'answers lost');
    if (given instanceof Error) return void life.in(0.3, () => take(given));
    if (chance.isHit(weather.answerCut)) {
      this.#trace.note(`${path} answer cut`, 'answers cut');
      return void life.in(this.#delay(), () => take(reset()));
    }
    let answer = this.#canaries.spoilAnswer(path, given);
    if (answer === undefined) return;
    if (answer.headers.get('content-type')?.startsWith(FRAMES_MEDIA_TYPE.split(';')[0])) {
      this.#history.paged(answer.body);
      const old = this.#old.get(path) ?? [];
      if (old.length > 0 && chance.isHit(weather.answerOld)) {
        this.#trace.note(`${path} old answer`, 'answers of earlier requests');
        answer = chance.of(old);
      }
      old.push(answer);
      if (old.length > ANSWERS_KEPT) old.shift();
      this.#old.set(path, old);
    }
    const mark = createHash('md5').update(answer.body).digest('hex').slice(0, 8);
    this.#trace.note(`${path} ${answer.status} ${answer.body.length} ${mark}`);
    life.in(this.#delay(), () => take(answer));
  }

  #delay(): number {
    const { late, lateMs } = this.weather;
    const chance = this.#chance;
    return chance.isHit(late) ? chance.between(1, lateMs) : chance.between(0.1, 2);
  }
}

const NOTHING = new Uint8Array(0);
const reset = (): CanopyError => new CanopyError('unavailable', 'connection reset by peer');
const linkKey = (a: string, b: string): string => (a < b ? `${a}|${b}` : `${b}|${a}`);
