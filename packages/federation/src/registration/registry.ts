import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, DurationMs, Milliseconds, Store } from '@canopy/model';
import type { Log } from '../log.js';
import type { Announcement } from './announcer.js';

export interface LeafRegistryOptions {
  readonly store: Pick<Store, 'getDocument' | 'putDocument'>;
  readonly clock: Clock;
  /** Read at each request so that tokens rotate; undefined: loopback only. */
  readToken(): Promise<string | undefined>;
  readonly leavesMax: number;
  /** A leaf not heard of for this long is lost (and still pulled). */
  readonly lostAfter: DurationMs;
  readonly log: Log;
}

export interface RegisteredLeaf extends Announcement {
  readonly lastSeen: Milliseconds;
  readonly lost: boolean;
}

/** Leaves that announced themselves; kept in the store's document `registry`. */
export class LeafRegistry {
  /** Plain counts since the start. */
  readonly totals = { accepted: 0, refused: 0 };
  constructor(_options: LeafRegistryOptions) {}
  /** Reads the document. Call before anything else, again where the store was not there. */
  load(): Promise<void> {
    throw new Error('BUG: not written yet');
  }
  /** Answers a POST of an announcement. */
  handle(_req: IncomingMessage, _res: ServerResponse): Promise<void> {
    throw new Error('BUG: not written yet');
  }
  leaves(): RegisteredLeaf[] {
    return [];
  }
  /** Calls `listener` when a leaf came, went or changed. Returns what undoes it. */
  onChange(_listener: (leaves: readonly RegisteredLeaf[]) => void): () => void {
    return () => {};
  }
  /** Forgets a leaf. */
  remove(_url: string): Promise<void> {
    return Promise.resolve();
  }
}
