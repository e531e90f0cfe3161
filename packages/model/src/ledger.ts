/**
 * What is known of a journal's frames: counts, gaps, and what the processes on the way counted. In a
 * store it is JSON and moves with the position. See ledger.format.md.
 */
import type { Epoch, GapCause, GapRecord, GroupId, JournalPosition } from './journal.js';
import { comparePositions } from './journal.js';
import { BLOCK_WINDOW_MS } from './store.js';
import { asTime } from './units.js';

/** Of one job in a journal. Only the process that writes the journal knows more than `frames`. */
export interface JobCounts {
  /** Scrapes that came to an end; `journalled` and all of `refused` make it up. */
  scraped: number;
  /** Of these: their frame is in the journal with all that came (nothing, where the target was down). */
  journalled: number;
  /** Of these: what came was refused whole, by reason; some have a frame that says `up` 0, some none. */
  refused: Record<string, number>;
  /** Ticks that passed without a scrape, which are in nothing above. */
  missed: number;
  /** Frames stored; loose ones and ends of targets among them. */
  frames: number;
  /** Values and stale marks of these frames. */
  samples: number;
}

/** Aligned frames by their time: `[first, count, frames, samples]`; windows `first` to `first + count - 1`. */
export type LedgerWindow = [first: number, count: number, frames: number, samples: number];

/** What a process on the way says of the journal as of a position. */
export interface TrailLevel {
  readonly name: string;
  readonly position: JournalPosition;
  readonly frames: number;
  readonly jobs: Readonly<Record<string, JobCounts>>;
  /** Of the process that writes the journal; else empty. */
  readonly windows: readonly LedgerWindow[];
}

/** What was here when `trail` was said: by its last level's position, exactly. */
export interface TrailBalance {
  /** Stored here by job. */
  readonly stored: Readonly<Record<string, number>>;
  /** Refused here by job. */
  readonly refused: Readonly<Record<string, number>>;
  /** By job: what the source had counted before this process had its first frame of the journal (or epoch). */
  readonly before: Readonly<Record<string, number>>;
}

/** Two targets gave the same series for more than two intervals. */
export interface Collision {
  /** One of the series, as text. */
  readonly series: string;
  /** Series that both have. */
  readonly count: number;
  readonly scrapeUrls: readonly [shown: string, hidden: string];
  /** When both had it first, and when that was noticed. */
  readonly from: number;
  readonly noticed: number;
}

/** A gap of one group names its job, where that is known. */
export type LedgerGap = GapRecord & { readonly job?: string };

/** Counts of one journal since it was first seen. */
export interface Ledger {
  frames: number;
  /** At a puller: what the appender took in; the newest page's enter with the next commit. */
  samples: number;
  bytes: number;
  /** Frames and samples, and scrapes that became none, by reason. */
  refused: Record<string, number>;
  /** Newest last; at most `GAPS_MAX`, older ones only counted. */
  gaps: LedgerGap[];
  gapsTotal: number;
  /** All gaps ever, by cause. */
  gapsByCause: Partial<Record<GapCause, number>>;
  /** Complete up to this time (ms since epoch); 0 before the first page or commit. */
  watermark: number;
  /** Time of the newest frame. Ms since epoch; 0 before the first. */
  newest: number;
  /** How much older than `newest` a frame was when it came, at the most (a slow scrape, a clock set back). Ms. */
  late: number;
  /** Of the process that writes the journal, while its clock is back behind `watermark`: complete up to this time by it. */
  setBackTo?: number;
  jobs: Record<string, JobCounts>;
  /** Ascending. */
  windows: LedgerWindow[];
  /** The way of a pulled journal, the process that writes it first; empty for an own one. */
  trail: readonly TrailLevel[];
  balance: TrailBalance | null;
  /** Newest last; at most `COLLISIONS_MAX`. */
  collisions: Collision[];
  collisionsTotal: number;
  /** At a puller: groups of this epoch, with their jobs, that hold labels their source may not write. */
  forged?: {
    readonly epoch: Epoch;
    readonly groups: ReadonlyArray<readonly [group: GroupId, job: string]>;
  };
}

/** Gaps listed in a ledger; what is beyond is in `gapsTotal`. */
export const GAPS_MAX = 200;
export const COLLISIONS_MAX = 20;
/** Jobs told apart; further ones count as ''. */
export const JOBS_MAX = 1000;
/** Longer names count as '', too: they go with every page. UTF-16 units. */
export const JOB_LENGTH_MAX = 200;
/** Windows of one length `BLOCK_WINDOW_MS`; older ones are added up by days. */
const FINE_WINDOWS_MAX = 24;
/** Older windows are forgotten: their frames are in the totals. */
const WINDOWS_MAX = 90;
const WINDOWS_A_DAY = 86_400_000 / BLOCK_WINDOW_MS;

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
    newest: 0,
    late: 0,
    jobs: {},
    windows: [],
    trail: [],
    balance: null,
    collisions: [],
    collisionsTotal: 0,
  };
}

export const emptyJob = (): JobCounts => ({
  ...{ scraped: 0, journalled: 0, refused: {}, missed: 0, frames: 0, samples: 0 },
});

/** May be counted in without a change to `ledger`. */
export function copyLedger(ledger: Readonly<Ledger>): Ledger {
  const jobs: Record<string, JobCounts> = {};
  for (const [job, counts] of Object.entries(ledger.jobs)) {
    jobs[job] = { ...counts, refused: { ...counts.refused } };
  }
  return {
    ...ledger,
    refused: { ...ledger.refused },
    gaps: [...ledger.gaps],
    gapsByCause: { ...ledger.gapsByCause },
    jobs,
    windows: ledger.windows.map((window) => [...window]),
    collisions: [...ledger.collisions],
  };
}

/** Gaps of so many groups found with one cause are told as one of the whole journal. */
const PENDING_GROUPS_MAX = 32;

/** Gaps found on the way that no stored ledger names yet; the same found again is one. */
export class PendingGaps {
  readonly #gaps: GapRecord[] = [];

  get gaps(): readonly GapRecord[] {
    return this.#gaps;
  }

  get isEmpty(): boolean {
    return this.#gaps.length === 0;
  }

  add(gap: GapRecord): void {
    if (isMerged(this.#gaps, gap) || this.#gaps.length < PENDING_GROUPS_MAX) {
      mergeGap(this.#gaps, gap);
    } else {
      const whole = { ...gap, group: 0 };
      const same = this.#gaps.filter(({ cause }) => cause === gap.cause);
      this.#keep(({ cause }) => cause !== gap.cause);
      this.#gaps.push(same.reduce(union, whole));
    }
  }

  nameIn(ledger: Ledger): void {
    for (const gap of this.#gaps) addGap(ledger, gap);
  }

  /** `ledger` was stored. */
  forget(ledger: Readonly<Ledger>): void {
    this.#keep((gap) => !ledger.gaps.some((named) => covers(named, gap)));
  }

  #keep(isKept: (gap: GapRecord) => boolean): void {
    this.#gaps.splice(0, this.#gaps.length, ...this.#gaps.filter(isKept));
  }
}

const isSameKind = (a: GapRecord, b: GapRecord) => a.cause === b.cause && a.group === b.group;
const covers = (a: GapRecord, b: GapRecord) => isSameKind(a, b) && a.from <= b.from && b.to <= a.to;
/** What is found frame by frame, or read again with other neighbours; a restart is one event each. */
const FOUND_PIECEMEAL: ReadonlySet<GapCause> = new Set(['trimmed', 'corrupt']);
const touches = (a: GapRecord, b: GapRecord) =>
  isSameKind(a, b) && FOUND_PIECEMEAL.has(a.cause) && a.from <= b.to && b.from <= a.to;

function union(a: GapRecord, b: GapRecord): GapRecord {
  const isUnknown = a.frames < 0 || b.frames < 0;
  // One that begins within the other counts some frames again: how many nobody knows.
  const goesOn = b.from >= a.to - 1;
  const frames = isUnknown ? -1 : goesOn ? a.frames + b.frames : Math.max(a.frames, b.frames);
  const from = asTime(Math.min(a.from, b.from));
  return { ...a, from, to: asTime(Math.max(a.to, b.to)), frames };
}

const isMerged = (gaps: readonly GapRecord[], gap: GapRecord) =>
  gaps.some((each) => touches(each, gap));

/** Widens the newest gap that this one touches; adds it where there is none. True where it was added. */
function mergeGap(gaps: LedgerGap[], gap: LedgerGap): boolean {
  const at = gaps.findLastIndex((each) => touches(each, gap));
  if (at < 0) gaps.push(gap);
  else if (!covers(gaps[at], gap)) gaps[at] = union(gaps[at], gap);
  return at < 0;
}

/**
 * A ledger as it was stored; '' is that of a journal without one. What an earlier version did not
 * have starts at nothing; one that cannot be read begins anew and names that.
 */
export function parseLedger(text: string): Ledger {
  const ledger = emptyLedger();
  if (text === '') return ledger;
  try {
    const stored: unknown = JSON.parse(text);
    if (!isLike(stored, ledger)) throw new SyntaxError('not a ledger');
    return { ...ledger, ...stored };
  } catch {
    const unknown = asTime(0);
    addGap(ledger, { group: 0, from: unknown, to: unknown, cause: 'corrupt', frames: -1 });
    return ledger;
  }
}

/** Each field that both have is of the same kind; `balance` may be null. */
function isLike(stored: unknown, ledger: Ledger): stored is Partial<Ledger> {
  if (typeof stored !== 'object' || stored === null || Array.isArray(stored)) return false;
  const kindOf = (value: unknown): string => (Array.isArray(value) ? 'list' : typeof value);
  return Object.entries(stored).every(([name, value]: [string, unknown]) => {
    const known = ledger[name as keyof Ledger];
    if (known === undefined || (value === null && known === null)) return true;
    return value !== null && kindOf(value) === kindOf(known);
  });
}

/**
 * Adds a gap; one of lost frames widens the listed one of the same group and cause that it touches. Drops
 * the oldest listed one over the limit. `job`: of its group, where that is known.
 */
export function addGap(ledger: Ledger, gap: LedgerGap, job = ''): void {
  if (!mergeGap(ledger.gaps, job === '' ? gap : { ...gap, job })) return;
  ledger.gapsTotal++;
  ledger.gapsByCause[gap.cause] = (ledger.gapsByCause[gap.cause] ?? 0) + 1;
  if (ledger.gaps.length > GAPS_MAX) ledger.gaps.shift();
}

/** Adds what is not listed yet; drops the oldest over the limit. */
export function addCollision(ledger: Ledger, collision: Collision): void {
  const [shown, hidden] = collision.scrapeUrls;
  const known = ledger.collisions.some(
    ({ from, scrapeUrls }) =>
      from === collision.from && scrapeUrls[0] === shown && scrapeUrls[1] === hidden,
  );
  if (known) return;
  ledger.collisions.push(collision);
  ledger.collisionsTotal++;
  if (ledger.collisions.length > COLLISIONS_MAX) ledger.collisions.shift();
}

/** The counts of a job, made where there are none. */
export function jobIn(ledger: Ledger, job: string): JobCounts {
  const room = Object.hasOwn(ledger.jobs, job) || Object.keys(ledger.jobs).length < JOBS_MAX;
  const fits = job.length <= JOB_LENGTH_MAX && job !== '__proto__';
  const name = room && fits ? job : '';
  if (!Object.hasOwn(ledger.jobs, name)) ledger.jobs[name] = emptyJob();
  return ledger.jobs[name];
}

export function addCount(counts: Record<string, number>, name: string, count: number): void {
  counts[name] = (counts[name] ?? 0) + count;
}

/** Of each frame, in the order of the journal: between which times one that is damaged may have been. */
export function addTime(ledger: Ledger, time: number): void {
  if (time > ledger.newest) ledger.newest = time;
  else ledger.late = Math.max(ledger.late, ledger.newest - time);
}

/** Counts an aligned frame in the window of its time (ms since epoch). */
export function addToWindow(windows: LedgerWindow[], time: number, samples: number): void {
  const number = Math.floor(time / BLOCK_WINDOW_MS);
  for (let i = windows.length - 1; i >= -1; i--) {
    if (i >= 0 && windows[i][0] > number) continue;
    if (i >= 0 && number < windows[i][0] + windows[i][1]) {
      windows[i][2]++;
      windows[i][3] += samples;
    } else {
      windows.splice(i + 1, 0, [number, 1, 1, samples]);
      foldWindows(windows);
    }
    return;
  }
}

/** The newest frames' windows of `told` in place of those that are known. */
export function mergeWindows(
  known: readonly LedgerWindow[],
  told: readonly LedgerWindow[],
): LedgerWindow[] {
  const overlaps = ([first, count]: LedgerWindow) =>
    told.some((window) => first < window[0] + window[1] && window[0] < first + count);
  const merged = [...known.filter((window) => !overlaps(window)), ...told];
  return merged.sort((a, b) => a[0] - b[0]).slice(-WINDOWS_MAX);
}

/** Older windows become whole days, and go in the end. */
function foldWindows(windows: LedgerWindow[]): void {
  let fine = 0;
  for (const [, count] of windows) if (count === 1) fine++;
  while (fine > FINE_WINDOWS_MAX) {
    const at = windows.findIndex(([, count]) => count === 1);
    const day = Math.floor(windows[at][0] / WINDOWS_A_DAY) * WINDOWS_A_DAY;
    const sum: LedgerWindow = [day, WINDOWS_A_DAY, 0, 0];
    const from = windows.findIndex(([first]) => first >= day);
    let to = from;
    for (; to < windows.length && windows[to][0] < day + WINDOWS_A_DAY; to++) {
      if (windows[to][1] === 1) fine--;
      sum[2] += windows[to][2];
      sum[3] += windows[to][3];
    }
    windows.splice(from, to - from, sum);
  }
  if (windows.length > WINDOWS_MAX) windows.splice(0, windows.length - WINDOWS_MAX);
}

/** What a source says of a journal, put beside what is stored at the same position. */
export function balance(ledger: Ledger, trail: readonly TrailLevel[]): void {
  const source = trail.at(-1);
  const writer = trail[0];
  if (source === undefined || writer === undefined) return;
  const stored: Record<string, number> = {};
  const refused: Record<string, number> = {};
  for (const [job, { frames, refused: reasons }] of Object.entries(ledger.jobs)) {
    stored[job] = frames;
    if (reasons.forged_label > 0) refused[job] = reasons.forged_label;
  }
  const earlier = ledger.trail.at(-1);
  const goesOn =
    ledger.balance !== null &&
    earlier?.name === source.name &&
    earlier.position.epoch === source.position.epoch &&
    comparePositions(earlier.position, source.position) <= 0;
  const before: Record<string, number> = {};
  for (const [job, { frames }] of Object.entries(source.jobs)) {
    const here = (stored[job] ?? 0) + (refused[job] ?? 0);
    const known = goesOn ? (ledger.balance!.before[job] ?? 0) : frames - here;
    if (known !== 0) before[job] = known;
  }
  const windows = mergeWindows(ledger.trail[0]?.windows ?? [], writer.windows);
  ledger.trail = [{ ...writer, windows }, ...trail.slice(1)];
  ledger.balance = { stored, refused, before };
}

/** Frames of a job that the source has and that are not here: what lies in gaps. */
export function missingFrames({ trail, balance: known }: Readonly<Ledger>, job: string): number {
  const source = trail.at(-1);
  if (source === undefined || known === null) return 0;
  const had = source.jobs[job]?.frames ?? 0;
  const here = (known.stored[job] ?? 0) + (known.refused?.[job] ?? 0);
  return had - (known.before[job] ?? 0) - here;
}
