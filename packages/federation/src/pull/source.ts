/** What is known of a process that is pulled from. */
import type { HierarchyStatus, JournalRef, Milliseconds, SourceStatus } from '@canopy/model';
import type { JournalIntake } from './journal-intake.js';

/** Silent for this long, a source counts as lost. */
const LOST_AFTER_MS = 300_000;

export interface Source {
  readonly url: string;
  /** Name of the store's document that lists its journals. */
  readonly document: string;
  readonly refs: Set<JournalRef>;
  /** The document lists `refs`, as far as we know. */
  isSaved: boolean;
  /** Its own name for itself; its URL before the first page. */
  name: string;
  health: SourceStatus['health'];
  lastError: string;
  /** When its last page was taken in; 0 before the first. */
  lastTaken: Milliseconds | 0;
  report: HierarchyStatus | undefined;
  isLoop: boolean;
}

export function newSource(url: string, document: string, refs: readonly JournalRef[]): Source {
  return {
    url,
    document,
    refs: new Set(refs),
    isSaved: refs.length > 0,
    name: url,
    health: 'unknown',
    lastError: '',
    lastTaken: 0,
    report: undefined,
    isLoop: false,
  };
}

export function sourceStatus(
  source: Source,
  journals: readonly JournalIntake[],
  now: Milliseconds,
): SourceStatus {
  const isLost = source.lastTaken !== 0 && now - source.lastTaken > LOST_AFTER_MS;
  let mayBeAway = -1;
  for (const journal of journals) {
    const left = journal.mayBeAwayMs(now);
    if (left >= 0 && (mayBeAway < 0 || left < mayBeAway)) mayBeAway = left;
  }
  return {
    name: source.name,
    url: source.url,
    health: isLost ? 'lost' : source.health,
    lastError: source.lastError,
    kind: 'canopy',
    journals: journals.flatMap((journal) => journal.status(now) ?? []),
    report: source.report,
    mayBeAwaySeconds: mayBeAway < 0 ? -1 : mayBeAway / 1000,
  };
}
