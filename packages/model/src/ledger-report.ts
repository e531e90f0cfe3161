/**
 * Ledgers side by side, as people and `/api/v1/status/ledger` read them: what each job's scrapes became, level
 * by level.
 */
import type { HierarchyStatus, JournalStatus } from './hierarchy.js';
import type { GapCause, JournalPosition, JournalRef } from './journal.js';
import {
  type Collision,
  type JobCounts,
  type Ledger,
  type LedgerGap,
  type TrailLevel,
  emptyJob,
  missingFrames,
} from './ledger.js';

/**
 * `balanced`: every frame is accounted for. `gaps`: frames are missing, and a gap names them. `differs`: frames are
 * missing or too many, and nothing says why. `filtered`: only part is pulled. `unknown`: the source has not said.
 */
export type Verdict = 'balanced' | 'gaps' | 'differs' | 'filtered' | 'unknown';

export interface JobReport {
  readonly job: string;
  /** By the process that wrote the journal, as of its last word; `forged_label` in `refused` by this one. */
  readonly scraped: number;
  readonly journalled: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly missed: number;
  readonly samples: number;
  /** Frames that the source had, and those of them from before this process knew it; 0 for an own journal. */
  readonly pulled: number;
  readonly before: number;
  /** Frames here when the source said so; of an own journal: now. */
  readonly stored: number;
  /** Frames that the source had and that are not here. */
  readonly missing: number;
  readonly verdict: Verdict;
}

export interface JournalReport {
  /** The process it is pulled from; this one's name for its own. */
  readonly source: string;
  readonly ref: JournalRef;
  /** The way of the journal: names of processes, the writer first, this one last. */
  readonly path: readonly string[];
  /** Of each process on the way before this one: the position for which it last said what it has. */
  readonly saidAt: readonly JournalPosition[];
  readonly position: JournalPosition;
  readonly watermark: number;
  readonly lagSeconds: number;
  readonly frames: number;
  readonly samples: number;
  readonly bytes: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly gaps: readonly LedgerGap[];
  readonly gapsTotal: number;
  readonly gapsByCause: Readonly<Partial<Record<GapCause, number>>>;
  readonly collisions: readonly Collision[];
  readonly collisionsTotal: number;
  readonly jobs: readonly JobReport[];
}

/** A server without a journal, whose `/federate` is read: what it had between two scrapes, or while it was away from us, is not seen. */
export interface LossySource {
  readonly source: string;
  readonly url: string;
}

export interface LedgerReport {
  readonly name: string;
  readonly role: 'leaf' | 'parent';
  readonly lossy: readonly LossySource[];
  readonly journals: readonly JournalReport[];
}

/** A journal that comes over several sources is there once, of the first. */
export function ledgerReport(status: HierarchyStatus): LedgerReport {
  const { name, role, journal, sources } = status;
  const journals = new Map<JournalRef, JournalReport>();
  if (journal !== undefined) journals.set(journal.ref, journalReport(name, undefined, journal));
  for (const source of sources) {
    for (const one of source.journals) {
      if (!journals.has(one.ref)) journals.set(one.ref, journalReport(name, source.name, one));
    }
  }
  const foreign = sources.filter(({ kind }) => kind === 'foreign');
  const lossy = foreign.map(({ name: source, url }) => ({ source, url }));
  return { name, role, lossy, journals: [...journals.values()] };
}

/** `source` undefined: the process itself. */
function journalReport(
  own: string,
  source: string | undefined,
  status: JournalStatus,
): JournalReport {
  const { ref, position, lagSeconds, ledger } = status;
  const { jobs, windows: _, trail, balance: __, forged: ___, ...counts } = ledger;
  const way = trail.length === 0 && source !== undefined ? [source] : trail.map(({ name }) => name);
  const path = [...way, own];
  const saidAt = trail.map((level) => level.position);
  const names = new Set([
    ...Object.keys(jobs),
    ...trail.flatMap((level) => Object.keys(level.jobs)),
  ]);
  const isFiltered = ref.includes('.');
  const reports = [...names]
    .sort()
    .map((job) =>
      source === undefined ? ownJob(ledger, job) : pulledJob(ledger, job, isFiltered),
    );
  return {
    ...{ source: source ?? own, ref, path, saidAt, position, lagSeconds, ...counts },
    jobs: reports,
  };
}

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

function ownJob({ jobs }: Ledger, job: string): JobReport {
  const counts = jobs[job];
  const { scraped, journalled, refused, missed, samples, frames } = counts;
  const verdict = scraped === journalled + total(refused) ? 'balanced' : 'differs';
  return {
    ...{ job, scraped, journalled, refused, missed, samples },
    ...{ pulled: 0, before: 0, stored: frames, missing: 0, verdict },
  };
}

function pulledJob(ledger: Ledger, job: string, isFiltered: boolean): JobReport {
  const { jobs, trail, balance, gapsByCause } = ledger;
  const of = (level: TrailLevel | undefined): JobCounts =>
    level !== undefined && Object.hasOwn(level.jobs, job) ? level.jobs[job] : emptyJob();
  const { scraped, journalled, missed, samples, ...writer } = of(trail[0]);
  // What a label of another's costs is refused here, all else by the writer.
  const refused = { ...writer.refused, ...jobs[job]?.refused };
  const pulled = of(trail.at(-1)).frames;
  const missing = isFiltered ? 0 : missingFrames(ledger, job);
  const { trimmed = 0, corrupt = 0, restart = 0 } = gapsByCause;
  let verdict: Verdict = 'balanced';
  if (balance === null) verdict = 'unknown';
  else if (isFiltered) verdict = 'filtered';
  else if (missing !== 0)
    verdict = missing > 0 && trimmed + corrupt + restart > 0 ? 'gaps' : 'differs';
  return {
    ...{ job, scraped, journalled, refused, missed, samples },
    ...{ pulled, before: balance?.before[job] ?? 0, stored: balance?.stored[job] ?? 0 },
    ...{ missing, verdict },
  };
}
