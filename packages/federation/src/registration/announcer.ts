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
import { TOKEN_HEADER, type TokenRule } from './authority.js';

export type { Announcement } from './announcement.js';

/**
 * Sends JSON and gives back the status and the first bytes of the answer; rejects where there is
 * none.
 */
export type SendJson = (
  method: 'POST' | 'DELETE',
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
  readTokens(): Promise<readonly TokenRule[]>;
  readonly send: SendJson;
  readonly interval: DurationMs;
  /** Longest wait after failures; the first retry comes after a second. */
  readonly backoffMax: DurationMs;
  readonly timeout: DurationMs;
  /** How long taking leave may take. */
  readonly leaveTimeout: DurationMs;
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
const LEAVE_TRIES = 3;
const LEAVE_AGAIN = asDuration(100);

/** Announces this process to its parent until it is stopped. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  #state: AnnouncerState = { health: 'unknown', lastError: '', lastAccepted: undefined };
  #stopping: AbortController | undefined;
  /** Ends the wait for the next announcement. */
  #waiting = new AbortController();
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

  /** What is announced has changed: the parent is told before it meets the change in the journal. */
  announceNow(): void {
    this.#waiting.abort(new Error('announced at once'));
  }

  /**
   * Takes leave of a parent that knows this process. An announcement under way is waited for no longer than that
   * may take; nothing follows.
   */
  async stop(): Promise<void> {
    const { clock, leaveTimeout, parentUrl, log } = this.#options;
    if (this.#stopping === undefined) return;
    this.#stopping.abort(new Error('stopped'));
    this.#waiting.abort(new Error('stopped'));
    this.#stopping = undefined;
    await this.#running;
    if (this.#state.lastAccepted === undefined) return;
    const late = new AbortController();
    const timer = clock.after(leaveTimeout, () => late.abort(new Error('no answer in time')));
    try {
      await this.#takeLeave(late.signal);
      log('info', 'took leave of the parent', { parent: parentUrl });
    } catch (error) {
      log('warn', 'could not take leave of the parent: it will call this process lost', {
        parent: parentUrl,
        error: errorText(error),
      });
    } finally {
      timer.cancel();
    }
  }

  /** Of several parents behind one address those on standby refuse; the next one that is asked may not. */
  async #takeLeave(signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#send('DELETE', signal);
      } catch (error) {
        if (tries === LEAVE_TRIES || signal.aborted) throw error;
      }
      await sleep(this.#options.clock, LEAVE_AGAIN, signal);
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, interval, backoffMax } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      failures = (await this.#announce(signal)) ? 0 : failures + 1;
      const backoff = Math.min(backoffMax, BACKOFF_MIN_MS * 2 ** Math.min(20, failures - 1));
      const wait = failures === 0 ? interval : asDuration(backoff);
      // Rejects when stopped, which ends the loop, or when somebody cannot wait.
      await sleep(clock, wait, this.#waiting.signal).catch(() => undefined);
      if (this.#waiting.signal.aborted) this.#waiting = new AbortController();
    }
  }

  async #announce(signal: AbortSignal): Promise<boolean> {
    const { clock, parentUrl, log } = this.#options;
    const before = this.#state;
    try {
      await this.#send('POST', signal);
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

  /** Rejects unless the parent answers with 200. */
  async #send(method: 'POST' | 'DELETE', signal: AbortSignal): Promise<void> {
    const { parentUrl, send, timeout } = this.#options;
    const [first] = await this.#options.readTokens();
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    // `Authorization` is left to the name and password that the parent's server may ask for.
    if (first !== undefined) headers[TOKEN_HEADER] = first.token;
    const body = JSON.stringify(this.#options.announcement());
    const url = `${parentUrl.replace(/\/+$/, '')}${PATH}`;
    const sending = send(method, url, headers, body, timeout);
    const answer = await unlessAborted(signal, sending);
    if (answer.status === 200) return;
    const reason = answer.body.trim().slice(0, ANSWER_SHOWN);
    throw new Error(`the parent answered ${answer.status}: ${reason}`);
  }
}

/** Rejects when the signal is aborted; leaves nothing behind at it. */
function unlessAborted<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const forget = (): void => signal.removeEventListener('abort', onAbort);
    answer.then(resolve, reject).finally(forget);
  });
}
