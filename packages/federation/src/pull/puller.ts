import type {
  Appender,
  Clock,
  DurationMs,
  JournalId,
  JournalRef,
  JournalStatus,
  Milliseconds,
  PullFormat,
  PullOutcome,
  PullTarget,
  SourceStatus,
  Store,
} from '@canopy/model';
import type { Log } from '../log.js';
import { FRAMES_MEDIA_TYPE } from '../page.js';

export interface FramePullerOptions {
  readonly store: Store;
  readonly appender: Appender;
  readonly clock: Clock;
  /** Name of this process: owner of the leases, and what sources call their reader. */
  readonly owner: string;
  readonly leaseTtl: DurationMs;
  /** Journals this process writes; a source that hands them back is part of a loop. */
  ownJournals(): ReadonlySet<JournalId>;
  /** A journal is complete up to `watermark`, in the store and in the appender. */
  onWatermark(ref: JournalRef, watermark: Milliseconds): void;
  readonly pageBytesMax: number;
  /** Journals one source may have. */
  readonly journalsMax: number;
  readonly log: Log;
}

/** Plain counts since the start. */
export interface PullTotals {
  pages: number;
  pageBytes: number;
  entries: number;
  frames: number;
  samples: number;
  /** Entries that were stored already. */
  repeated: number;
  /** Pages refused whole. */
  corruptPages: number;
  /** Sections that would have left a hole. */
  ahead: number;
  /** Our own journal handed back to us. */
  loops: number;
  /** The store was not where we thought it was. */
  behind: number;
  absent: number;
  fenced: number;
  epochBreaks: number;
}

/** Pulls pages into the store and then the appender. */
export class FramePuller implements PullFormat {
  readonly mediaType = FRAMES_MEDIA_TYPE;
  constructor(_options: FramePullerOptions) {}
  get totals(): Readonly<PullTotals> {
    throw new Error('BUG: not written yet');
  }
  requestHeaders(_target: PullTarget): Promise<Record<string, string>> {
    throw new Error('BUG: not written yet');
  }
  take(
    _target: PullTarget,
    _headers: Readonly<Record<string, string | undefined>>,
    _body: Uint8Array,
  ): Promise<PullOutcome> {
    throw new Error('BUG: not written yet');
  }
  /** Every source asked since the start, by name. */
  sources(): SourceStatus[] {
    return [];
  }
  /** Every journal taken in from any source. */
  journals(): JournalStatus[] {
    return [];
  }
  /** Up to when a pulled journal is complete (ms since epoch); 0 where that is not known. */
  watermark(_ref: JournalRef): number {
    return 0;
  }
  /** The target is gone: its source leaves the status. What it sent stays. */
  forget(_url: string): void {}
  /** Gives the leases back. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
