/**
 * What a process says of itself and of those it pulls from. These shapes are the JSON of
 * `/api/v1/status/hierarchy`.
 */
import type { JournalPosition, JournalRef } from './journal.js';
import type { Ledger } from './ledger.js';

/** One journal in the hierarchy, as seen from the process that reports it. */
export interface JournalStatus {
  readonly ref: JournalRef;
  readonly position: JournalPosition;
  readonly trimmed: JournalPosition;
  readonly ledger: Ledger;
  /** Now minus watermark. Seconds. */
  readonly lagSeconds: number;
  readonly entryBytes: number;
}

/** A process that is pulled from. */
export interface SourceStatus {
  readonly name: string;
  /** '' where a standby does not know: another parent pulls it, and it announces itself to nobody. */
  readonly url: string;
  readonly health: 'up' | 'down' | 'lost' | 'unknown';
  readonly lastError: string;
  readonly kind: 'canopy' | 'foreign';
  readonly journals: readonly JournalStatus[];
  /** The source's own report as of its last page, where it sends one. */
  readonly report: HierarchyStatus | undefined;
  /** How long the parent may be away before the source's journal forgets. Seconds; -1 unknown. */
  readonly mayBeAwaySeconds: number;
  /** Age of the newest page with all that the source had: this hop's part of the lag. Seconds; -1 before it. */
  readonly hopLagSeconds: number;
  /** About how many bytes of entries the source had beyond its last page; -1 unknown. */
  readonly behindBytes: number;
  /** The source's clock less ours, and how wrong that may be. Seconds; undefined before the first page. */
  readonly clockSkew: { readonly seconds: number; readonly errorSeconds: number } | undefined;
}

/** A process and what is below it. */
export interface HierarchyStatus {
  readonly role: 'leaf' | 'parent';
  readonly name: string;
  readonly url: string;
  readonly version: string;
  readonly startTime: number;
  readonly targets: { readonly up: number; readonly down: number; readonly unknown: number };
  readonly activeSeries: number;
  readonly samplesPerSecond: number;
  /** The process's own journal. */
  readonly journal: JournalStatus | undefined;
  readonly store: {
    readonly kind: string;
    readonly usedBytes: number;
    readonly limitBytes: number;
    readonly healthy: boolean;
    readonly message: string;
  };
  readonly sources: readonly SourceStatus[];
  /** Sections of the configuration that are ignored, and the like; for people. */
  readonly notices: readonly string[];
}
