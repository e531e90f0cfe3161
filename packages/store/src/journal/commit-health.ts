import { CanopyError, type DurationMs, asDuration, errorText } from '@canopy/model';
import type { StoreHealth, StoreLog } from '../health.js';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5000;

/** Whether the store takes commits, what the log says of it, and when it is tried again. */
export class CommitHealth {
  /** Why the newest try failed; '' where it did not. */
  failure = '';
  failures = 0;
  readonly #log: StoreLog;
  #retryMs = RETRY_MS_MIN;

  constructor(log: StoreLog) {
    this.#log = log;
  }

  /** `waiting`: records that no commit has taken yet. */
  health(waiting: number): StoreHealth {
    if (this.failure === '') return { healthy: true, message: 'journal commits go through' };
    return { healthy: false, message: `${this.failure}; ${waiting} records wait` };
  }

  /** Said once for failures in a row, unless one is a bug. False, as what a try came to. */
  failed(error: unknown): false {
    const text = errorText(error);
    this.failures++;
    if (!(error instanceof CanopyError)) {
      const { stack } = error as Error;
      this.#log('error', `BUG: a journal commit failed: ${text}`, { stack });
    } else if (this.failure === '') {
      const { code } = error;
      this.#log('error', `the store does not take journal commits: ${text}`, { code });
    }
    this.failure = text;
    return false;
  }

  wentThrough(): void {
    if (this.failure !== '') this.#log('info', 'the store takes journal commits again');
    this.failure = '';
    this.#retryMs = RETRY_MS_MIN;
  }

  /** To wait before the next try; twice as long each time. */
  nextDelay(): DurationMs {
    const delay = asDuration(this.#retryMs);
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
    return delay;
  }
}
