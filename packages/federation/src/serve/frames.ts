import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  Clock,
  DurationMs,
  HierarchyStatus,
  JournalId,
  JournalPosition,
  JournalRef,
  Matcher,
  Milliseconds,
  Store,
} from '@canopy/model';
import type { Log } from '../log.js';

export interface FrameServerOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** How this process calls itself in pages. */
  readonly name: string;
  /** The journal this process writes; the others in the store are passed on. */
  readonly ownJournal: JournalId;
  /** Starts a new epoch above both the journal's end and `above`. Repeating it is harmless. */
  breakEpoch(above: JournalPosition): void;
  /** What this process says of itself, sent with each page; undefined to send nothing. */
  report(): HierarchyStatus | undefined;
  /** Up to when a journal is complete at its stored position (ms since epoch); 0 unknown. */
  watermark(ref: JournalRef): number;
  /** How long an entry written to a journal now will be kept here; -1 unknown. */
  keptFor(ref: JournalRef): DurationMs;
  /** A frame may stand in a journal this much later than a frame that is younger (a scrape's time-out). */
  readonly reorder: DurationMs;
  parseSelector(text: string): Matcher[];
  /** Entries of a page, before compression. */
  readonly pageBytes: number;
  /** Time spent on a page, waiting for the store included. */
  readonly pageTime: DurationMs;
  /** Pulls answered at once; further ones get 429. */
  readonly concurrentPullsMax: number;
  /** Readers remembered; further ones get 429 while all of them are alive. */
  readonly readersMax: number;
  /** A reader not heard of for this long is forgotten. */
  readonly readerTtl: DurationMs;
  /** Filtered views whose decoding state is kept between pulls. */
  readonly viewsMax: number;
  readonly log: Log;
}

/** Who pulls, as far as it is known. */
export interface ReaderStatus {
  readonly name: string;
  readonly remote: string;
  readonly lastSeen: Milliseconds;
  readonly pulls: number;
  readonly positions: ReadonlyArray<readonly [ref: JournalRef, position: JournalPosition]>;
}

/** Answers pulls by cursor from the store; keeps nothing that a cursor could not bring back. */
export class FrameServer {
  /** Plain counts since the start. */
  readonly totals = {
    pages: 0,
    refused: 0,
    entries: 0,
    bytes: 0,
    bytesSent: 0,
    layoutDumps: 0,
    gaps: 0,
    epochBreaks: 0,
    undecodable: 0,
    replays: 0,
  };
  constructor(_options: FrameServerOptions) {}
  handle(_req: IncomingMessage, _res: ServerResponse, _url: URL): Promise<void> {
    throw new Error('BUG: not written yet');
  }
  readers(): ReaderStatus[] {
    return [];
  }
  /** The position of the reader of `ref` (any view of it) that is furthest behind; undefined without readers. */
  oldestReader(_ref: JournalRef): JournalPosition | undefined {
    return undefined;
  }
}
