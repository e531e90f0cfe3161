/** What the implementations of Store say of themselves beyond the port. */
import type { GapRecord, JournalRef, Store } from '@canopy/model';

export interface StoreHealth {
  readonly healthy: boolean;
  /** For people: what is wrong, or what the store is. Never holds a password. */
  readonly message: string;
}

/** A Store that says how it is. */
export interface ReportingStore extends Store {
  readonly health: StoreHealth;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where a package says what people should know; `fields` are plain values. */
export type StoreLog = (
  level: LogLevel,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/**
 * A stored record that did not pass its checks: a gap stands in the place of an entry, a layout is left
 * out, whoever reads a document is refused it. Told each time it is read.
 */
export interface CorruptRecord {
  /** Null for a document, which is of no journal. */
  readonly journal: JournalRef | null;
  readonly what: 'entry' | 'layout' | 'tile' | 'block' | 'document';
  /** What is missing for it; null for a document. */
  readonly gap: GapRecord | null;
  /** Where it lies, for people. */
  readonly place: string;
  readonly message: string;
}
