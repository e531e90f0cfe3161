/**
 * The leaf's side of registration: says where it is, again and again, for parents forget and
 * restart.
 */
import {
  type Clock,
  type DurationMs,
  type Milliseconds,
  asDuration,
  errorText,
  sleep,
} from '@canopy/model';
import type { Log } from '../log.js';
import type { Announcement } from './announcement.js';

export type { Announcement } from './announcement.js';

/**
 * Posts JSON and gives back the status and the first bytes of the answer; rejects where there is
 * none.
 */
export type PostJson = (
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  timeout: DurationMs,
) => Promise<{ status: number; body: string }>;

export interface AnnouncerOptions {
  readonly clock: Clock;
  /** The parent's base URL. */
  readonly parentUrl: string;
  /** Asked each time, so that a change is told. */
  announcement(): Announcement;
  readToken(): Promise<string | undefined>;
  readonly post: PostJson;
  readonly interval: DurationMs;
  /** Longest wait after failures; the first retry comes after a second. */
  readonly backoffMax: DurationMs;
  readonly timeout: DurationMs;
  readonly log: Log;
}

export interface AnnouncerState {
  readonly health: 'up' | 'down' | 'unknown';
  readonly lastError: string;
  readonly lastAccepted: Milliseconds | undefined;
}

const PATH = '/api/v1/canopy/leaves';
const BACKOFF_MIN_MS = 1000;
const ANSWER_SHOWN = 200;

/** Announces this process to its parent until it is stopped. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  #state: AnnouncerState = { health: 'unknown', lastError: '', lastAccepted: undefined };
  #stopping: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  get state(): AnnouncerState {
    return this.#state;
  }

  start(): void {
    if (this.#stopping !== undefined) return;
    this.#stopping = new AbortController();
    this.#running = this.#run(this.#stopping.signal);
  }

  /** An announcement under way is left to itself; nothing follows it. */
  async stop(): Promise<void> {
    this.#stopping?.abort(new Error('stopped'));
    this.#stopping = undefined;
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, interval, backoffMax } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      failures = (await this.#announce(signal)) ? 0 : failures + 1;
      const backoff = Math.min(backoffMax, BACKOFF_MIN_MS * 2 ** Math.min(20, failures - 1));
      const wait = failures === 0 ? interval : asDuration(backoff);
      // Rejects when stopped, which ends the loop.
      await sleep(clock, wait, signal).catch(() => undefined);
    }
  }

  async #announce(signal: AbortSignal): Promise<boolean> {
    const { clock, parentUrl, post, timeout, log } = this.#options;
    const before = this.#state;
    try {
      const token = await this.#options.readToken();
      const headers: Record<string, string> = { 'content-type': 'application/json' };
      if (token !== undefined && token !== '') headers.authorization = `Bearer ${token}`;
      const body = JSON.stringify(this.#options.announcement());
      const url = `${parentUrl.replace(/\/+$/, '')}${PATH}`;
      const answer = await Promise.race([post(url, headers, body, timeout), aborted(signal)]);
      if (answer.status !== 200) {
        const reason = answer.body.trim().slice(0, ANSWER_SHOWN);
        throw new Error(`the parent answered ${answer.status}: ${reason}`);
      }
      this.#state = { health: 'up', lastError: '', lastAccepted: clock.now() };
      if (before.health !== 'up') log('info', 'announced to the parent', { parent: parentUrl });
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const lastError = errorText(error);
      this.#state = { health: 'down', lastError, lastAccepted: before.lastAccepted };
      // Once for each kind of trouble: it goes on until somebody mends it.
      if (before.lastError !== lastError) {
        log('warn', 'cannot announce to the parent', { parent: parentUrl, error: lastError });
      }
      return false;
    }
  }
}

/** Rejects when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
