import type { DurationMs, JournalPosition, Milliseconds, Store } from '@canopy/model';
import type { StoreLog } from './health.js';
import type { JournalWriter } from './journal/journal-writer.js';

export interface JournalTrimmerOptions {
  readonly store: Store;
  readonly journal: JournalWriter;
  /** 0: no limit. */
  readonly maxAge: DurationMs;
  /** 0: no limit. */
  readonly maxBytes: number;
  /** Also forget layouts of groups without frames; false where tiles still need them. */
  readonly dropLayouts: boolean;
  readonly log: StoreLog;
}

export interface TrimOutcome {
  readonly bytesFreed: number;
  readonly trimmed: JournalPosition;
}

/** Cuts a process's own journal so that every group stays decodable from what is left. */
export declare class JournalTrimmer {
  constructor(options: JournalTrimmerOptions);
  /** Keeps what is after `keepAfter`, where given. */
  trim(now: Milliseconds, keepAfter?: JournalPosition): Promise<TrimOutcome>;
}
