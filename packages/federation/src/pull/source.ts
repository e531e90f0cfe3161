/** What is known of a process that is pulled from. */
import type {
  DurationMs,
  HierarchyStatus,
  JournalId,
  JournalRef,
  Milliseconds,
  PullTarget,
  SourceStatus,
} from '@canopy/model';
import type { Page } from '../page-types.js';
import { ClockSkew, type SkewEstimate } from './clock-skew.js';
import type { JournalIntake } from './journal-intake.js';

/** Silent for this long, a source counts as lost. */
const LOST_AFTER_MS = 300_000;
/** Pulls that may fail before it counts as down. */
const DOWN_INTERVALS = 3;
/** As servers give where they are not asked for less. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
/** One that does not come either is not late because of its size. */
const PAGE_BYTES_MIN = 4 * 1024;
/** After a page that did not come, and after one that did: what the line carries in time is found soon, and seldom missed. */
const SMALLER = 1 / 4;
const LARGER = 5 / 4;

export interface Source {
  readonly url: string;
  /** Name of the store's document that lists its journals. */
  readonly document: string;
  readonly refs: Set<JournalRef>;
  /** Those that its newest page told of, and how long it keeps their entries (ms; -1 unknown); undefined before the first. */
  listed: ReadonlyMap<JournalRef, number> | undefined;
  /** The document lists `refs`, as far as we know. */
  isSaved: boolean;
  /** Its own name for itself; its URL before the first page. */
  name: string;
  /** How the last page went; failures before a page came are not seen here. */
  health: SourceStatus['health'];
  lastError: string;
  /**
   * When its last page was taken in, or, before the first, when it was asked for the first time.
   */
  lastTaken: Milliseconds;
  readonly interval: DurationMs;
  report: HierarchyStatus | undefined;
  isLoop: boolean;
  /** When it was asked last. */
  asked: Milliseconds;
  /** What it was asked for last has not come yet. */
  isAwaited: boolean;
  /** Entries of a page that it is asked for. Bytes. */
  pageBytes: number;
  readonly skew: ClockSkew;
  /** When its last page without more was made, by our clock as far as we know; 0 before it. */
  level: number;
  /** -1 before the first page. */
  behindBytes: number;
  /** The journal it writes itself, as it says. */
  own: JournalId | undefined;
}

export function newSource(
  { url, interval }: PullTarget,
  document: string,
  refs: readonly JournalRef[],
  now: Milliseconds,
): Source {
  return {
    url,
    interval,
    document,
    refs: new Set(refs),
    listed: undefined,
    isSaved: refs.length > 0,
    name: url,
    health: 'unknown',
    lastError: '',
    lastTaken: now,
    report: undefined,
    isLoop: false,
    asked: now,
    isAwaited: false,
    pageBytes: PAGE_BYTES_MAX,
    skew: new ClockSkew(),
    level: 0,
    behindBytes: -1,
    own: undefined,
  };
}

export function sourceStatus(
  source: Source,
  journals: readonly JournalIntake[],
  now: Milliseconds,
): SourceStatus {
  let mayBeAway = -1;
  for (const journal of journals) {
    const left = journal.mayBeAwayMs(now, source.listed?.get(journal.ref) ?? -1);
    if (left >= 0 && (mayBeAway < 0 || left < mayBeAway)) mayBeAway = left;
  }
  return {
    name: source.name,
    url: source.url,
    health: healthOf(source, now),
    lastError: source.lastError,
    kind: 'canopy',
    journals: journals.flatMap((journal) => journal.status(now) ?? []),
    report: source.report,
    mayBeAwaySeconds: mayBeAway < 0 ? -1 : mayBeAway / 1000,
    hopLagSeconds: source.level === 0 ? -1 : Math.max(0, now - source.level) / 1000,
    behindBytes: source.behindBytes,
    clockSkew: inSeconds(source.skew.estimate),
  };
}

function inSeconds(estimate: SkewEstimate | undefined): SourceStatus['clockSkew'] {
  if (estimate === undefined) return undefined;
  return { seconds: estimate.skewMs / 1000, errorSeconds: estimate.errorMs / 1000 };
}

/** Notes that it is asked. Bytes of entries that the page should have at most; undefined: as many as it gives. */
export function noteAsked(source: Source, now: Milliseconds): number | undefined {
  source.asked = now;
  // The page before did not come, or too late: one of the same size would not, either.
  if (source.isAwaited) {
    source.pageBytes = Math.max(PAGE_BYTES_MIN, Math.floor(source.pageBytes * SMALLER));
  }
  source.isAwaited = true;
  return source.pageBytes < PAGE_BYTES_MAX ? source.pageBytes : undefined;
}

/** Notes that a page has come, whatever is in it. */
export function noteAnswered(source: Source): void {
  if (source.isAwaited) {
    source.pageBytes = Math.min(PAGE_BYTES_MAX, Math.ceil(source.pageBytes * LARGER));
  }
  source.isAwaited = false;
}

/** Notes what a page says that was taken in whole. */
export function notePage(source: Source, page: Page, more: boolean, now: Milliseconds): void {
  source.skew.measure(source.asked, now, page.serverTime);
  source.behindBytes = page.journals.reduce((sum, journal) => sum + journal.behindBytes, 0);
  const { skewMs } = source.skew.estimate ?? { skewMs: 0 };
  if (!more) source.level = Math.min(now, page.serverTime - skewMs);
}

/** A source that does not answer hands over no page: silence says so. */
export function healthOf(source: Source, now: Milliseconds): SourceStatus['health'] {
  const silent = now - source.lastTaken;
  if (silent > LOST_AFTER_MS) return 'lost';
  return silent > DOWN_INTERVALS * source.interval ? 'down' : source.health;
}
