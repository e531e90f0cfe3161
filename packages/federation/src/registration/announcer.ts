import type { Clock, DurationMs, JournalId, Milliseconds } from '@canopy/model';
import type { Log } from '../log.js';

/** What a leaf says of itself. */
export interface Announcement {
  readonly name: string;
  /** Where it can be pulled, without a path: `http://host:port`. */
  readonly url: string;
  readonly journal: JournalId;
  /** Labels for the target that the parent makes of it (`cluster`, …). */
  readonly labels: Readonly<Record<string, string>>;
}

/** Posts JSON and gives back the status and the first bytes of the answer; rejects where there is none. */
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

/** Announces this process to its parent until it is stopped. */
export class Announcer {
  constructor(_options: AnnouncerOptions) {}
  get state(): AnnouncerState {
    return { health: 'unknown', lastError: '', lastAccepted: undefined };
  }
  start(): void {}
  /** No announcement is under way when it resolves. */
  stop(): Promise<void> {
    return Promise.resolve();
  }
}
