/** What a ledger says beside what was counted anew. */
import { BLOCK_WINDOW_MS, type GapCause, type Ledger, type LedgerWindow } from '@canopy/model';
import type { Recount, WindowCount } from './recount.js';

export interface Difference {
  /** Milliseconds, [from, to); both 0: all of the journal. */
  readonly from: number;
  readonly to: number;
  readonly what: 'frames' | 'samples' | 'scrapes' | 'records';
  readonly ledger: number;
  readonly counted: number;
  /** What in the ledger explains it; '' where nothing does. */
  readonly named: string;
}

export interface Comparison {
  readonly windows: number;
  readonly frames: number;
  readonly samples: number;
  /** Windows that are not there in full any more, or that the ledger does not have. */
  readonly windowsLeft: number;
  readonly differences: readonly Difference[];
}

/** Causes of gaps in which frames were lost that had been counted. */
const LOSSES: ReadonlySet<GapCause> = new Set<GapCause>(['trimmed', 'corrupt', 'restart']);
/** What a head refuses of frames that are stored: it is in no tile. */
const NOT_SHOWN = [
  ...['out_of_order', 'duplicate', 'too_old', 'conflict', 'series_limit'],
  ...['corrupt', 'undecodable'],
];

/** `isOwn`: the ledger is of the process that writes the journal. */
export function compare(ledger: Ledger, recount: Recount, isOwn: boolean): Comparison {
  const differences: Difference[] = [...(isOwn ? sums(ledger) : []), ...damage(recount)];
  const writers = isOwn ? ledger.windows : (ledger.trail[0]?.windows ?? []);
  const from = Math.max(recount.completeFrom, firstWhole(ledger));
  let notShown = NOT_SHOWN.reduce((sum, reason) => sum + (ledger.refused[reason] ?? 0), 0);
  const sum = { windows: 0, frames: 0, samples: 0, windowsLeft: 0 };
  for (const window of ledger.windows) {
    const [first, length, frames] = window;
    if (first < from) {
      sum.windowsLeft++;
      continue;
    }
    const counted = countedIn(recount, window);
    sum.windows++;
    sum.frames += counted.frames;
    sum.samples += counted.samples;
    const told = writers.find((one) => one[0] === first && one[1] === length);
    // A puller knows samples from the writer, whose word may be of a moment ago, or of more than was pulled.
    const samples = told?.[2] === frames ? told[3] : undefined;
    const add = (what: 'frames' | 'samples', is: number, found: number): void => {
      if (is === found) return;
      const name = named(ledger, window, is - found, notShown);
      if (name === REFUSED) notShown -= is - found;
      differences.push({ ...timesOf(window), what, ledger: is, counted: found, named: name });
    };
    add('frames', frames, counted.frames);
    if (samples !== undefined) add('samples', samples, counted.samples);
  }
  return { ...sum, differences };
}

/** Counts of a writer's ledger that must agree with each other. */
function* sums(ledger: Ledger): Generator<Difference> {
  for (const { scraped, journalled, refused } of Object.values(ledger.jobs)) {
    const sum = Object.values(refused).reduce((total, count) => total + count, journalled);
    if (sum === scraped) continue;
    const counts = { ledger: scraped, counted: sum, named: '' };
    yield { from: 0, to: 0, what: 'scrapes', ...counts };
  }
}

function* damage({ undecodable }: Recount): Generator<Difference> {
  if (undecodable === 0) return;
  yield { from: 0, to: 0, what: 'records', ledger: 0, counted: undecodable, named: '' };
}

/** The first window that the ledger has counted from its beginning: one begun by an earlier version has not. */
function firstWhole({ jobs, frames, windows }: Ledger): number {
  const counted = Object.values(jobs).reduce((sum, job) => sum + job.frames, 0);
  if (counted >= frames || windows.length === 0) return 0;
  return windows[0][0] + windows[0][1];
}

function countedIn({ windows }: Recount, [first, length]: LedgerWindow): WindowCount {
  const sum = { frames: 0, samples: 0 };
  for (let number = first; number < first + length; number++) {
    const count = windows.get(number);
    sum.frames += count?.frames ?? 0;
    sum.samples += count?.samples ?? 0;
  }
  return sum;
}

const REFUSED = 'refused by the head';

function named(ledger: Ledger, window: LedgerWindow, missing: number, notShown: number): string {
  if (missing < 0) return '';
  const { from, to } = timesOf(window);
  const gap = ledger.gaps.find(
    (one) => LOSSES.has(one.cause) && one.frames !== 0 && one.from < to && one.to > from,
  );
  if (gap !== undefined) return `gap ${gap.cause}`;
  return missing <= notShown ? REFUSED : '';
}

function timesOf([first, length]: LedgerWindow): { from: number; to: number } {
  return { from: first * BLOCK_WINDOW_MS, to: (first + length) * BLOCK_WINDOW_MS };
}
