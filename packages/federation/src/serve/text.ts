import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, DurationMs, Matcher, Queryable } from '@canopy/model';
import type { Log } from '../log.js';

export interface TextFederationOptions {
  readonly queryable: Queryable;
  readonly clock: Clock;
  readonly lookback: DurationMs;
  parseSelector(text: string): Matcher[];
  /** More series than this are refused with 400 before the body. */
  readonly seriesMax: number;
  /** Answers made at once; further ones get 429. */
  readonly concurrentMax: number;
  readonly log: Log;
}

/** Answers `/federate` as text 0.0.4. */
export class TextFederation {
  /** Plain counts since the start. */
  readonly totals = { answers: 0, refused: 0, samples: 0, typeConflicts: 0 };
  constructor(_options: TextFederationOptions) {}
  handle(_req: IncomingMessage, _res: ServerResponse, _url: URL): Promise<void> {
    throw new Error('BUG: not written yet');
  }
}
