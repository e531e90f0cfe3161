/**
 * What a process says of itself and of those it pulls from: the ledger, lag, gaps. These shapes
 * are the JSON of `/api/v1/status/hierarchy` and of the ledger documents in the store.
 */
import type { GapCause, GapRecord, JournalPosition, JournalRef } from './journal.js';
import { asTime } from './units.js';

/** Counts of one journal since it was first seen; in the store they move with the position. */
export interface Ledger {
  frames: number;
  samples: number;
  bytes: number;
  /** Entries, and scrapes that became none, refused by reason. */
  refused: Record<string, number>;
  /** Newest last; at most `GAPS_MAX`, older ones only counted. */
  gaps: GapRecord[];
  gapsTotal: number;
  /** All gaps ever, by cause. */
  gapsByCause: Partial<Record<GapCause, number>>;
  /** Complete up to this time (ms since epoch); 0 before the first page or commit. */
  watermark: number;
}

/** Gaps listed in a ledger; what is beyond is in `gapsTotal`. */
export const GAPS_MAX = 200;

export function emptyLedger(): Ledger {
  return {
    frames: 0,
    samples: 0,
    bytes: 0,
    refused: {},
    gaps: [],
    gapsTotal: 0,
    gapsByCause: {},
    watermark: 0,
  };
}

/** Gaps found on the way that no stored ledger names yet; the same found again is one. */
export class PendingGaps {
  #gaps: GapRecord[] = [];

  add(gap: GapRecord): void {
    if (this.#gaps.length < GAPS_MAX) this.#gaps.push(gap);
  }

  nameIn(ledger: Ledger): void {
    for (const gap of this.#gaps) if (!isNamed(ledger, gap)) addGap(ledger, gap);
  }

  /** `ledger` was stored. */
  forget(ledger: Readonly<Ledger>): void {
    this.#gaps = this.#gaps.filter((gap) => !isNamed(ledger, gap));
  }
}

/** A corrupt record that is read again may have been read with other neighbours. */
function isNamed(ledger: Readonly<Ledger>, gap: GapRecord): boolean {
  return ledger.gaps.some(
    ({ cause, group, from, to }) =>
      cause === gap.cause && group === gap.group && from <= gap.to && gap.from <= to,
  );
}

/**
 * A ledger as it was stored; '' is that of a journal without one. Fields of later versions start at nothing; one
 * that cannot be read begins anew and names that.
 */
export function parseLedger(text: string): Ledger {
  const ledger = emptyLedger();
  if (text === '') return ledger;
  try {
    return { ...ledger, ...(JSON.parse(text) as Partial<Ledger>) };
  } catch {
    const unknown = asTime(0);
    addGap(ledger, { group: 0, from: unknown, to: unknown, cause: 'corrupt', frames: -1 });
    return ledger;
  }
}

/** Adds a gap; drops the oldest listed one over the limit. */
export function addGap(ledger: Ledger, gap: GapRecord): void {
  ledger.gaps.push(gap);
  ledger.gapsTotal++;
  ledger.gapsByCause[gap.cause] = (ledger.gapsByCause[gap.cause] ?? 0) + 1;
  if (ledger.gaps.length > GAPS_MAX) ledger.gaps.shift();
}

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
  readonly url: string;
  readonly health: 'up' | 'down' | 'lost' | 'unknown';
  readonly lastError: string;
  readonly kind: 'canopy' | 'foreign';
  readonly journals: readonly JournalStatus[];
  /** The source's own report as of its last page, where it sends one. */
  readonly report: HierarchyStatus | undefined;
  /** How long the parent may be away before the source's journal forgets. Seconds; -1 unknown. */
  readonly mayBeAwaySeconds: number;
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
