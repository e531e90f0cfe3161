/**
 * What became of scrapes that an exporter answered and that no journal has: judged by the exporter's log (when it
 * answered what) and the leaf's (which commit began and ended when, up to its last line before the kill).
 */
import { comparePositions } from '@canopy/model';
import type { Gap } from '../hierarchy.js';
import type { Answered, CommitLine, Evidence, JournalEvidence, Kill, Window } from './evidence.js';
import { CLOCK_MS, SHARED_TARGET, scrapeNumber } from './frame-facts.js';

/** A record waits so long for the begin of its commit (`commitInterval` in DESIGN.md). Milliseconds. */
const COMMIT_MS = 1000;
/** Told of with a fault. */
const NEAR_MS = 5000;
/** Of its life before a kill, in which it is seen how late a leaf's event loop was. Milliseconds. */
const LATENESS_SEEN_MS = 3000;

/**
 * What the exporter answered is journalled; or its scrape is an `up` 0; or it lies in a named gap before a kill, and was not due
 * for a commit that ended before it.
 */
export function lostFaults({ answered, journals, window }: Evidence): string[] {
  const faults: string[] = [];
  for (const target of new Set(answered.map((scrape) => scrape.target))) {
    const failures = new Failures(target, journals);
    for (const scrape of answered) {
      if (scrape.target !== target || failures.journalled.has(scrape.number)) continue;
      // Beyond the window what was asked for may not be written yet.
      if (scrape.at <= window.from || scrape.at > window.to - CLOCK_MS) continue;
      const loss = lossOf(scrape, journals, answered);
      if (loss === 'allowed' || failures.take(scrape)) continue;
      faults.push(`${lostText(scrape, window)}: ${loss}; ${nearText(scrape, journals)}`);
    }
  }
  return faults;
}

/**
 * Scrapes that failed. An exporter that is kept from the processor answers when nobody waits any more, but in the order in which it
 * was asked: the scrape that an answer belongs to lies between those of the answers before and after it.
 */
class Failures {
  /** Times by number, of scrapes that succeeded; by the exporter's clock. */
  readonly journalled = new Map<number, number>();
  readonly #numbers: readonly number[];
  readonly #times: number[] = [];

  constructor(target: string, journals: readonly JournalEvidence[]) {
    for (const { frames, clockOffset } of journals) {
      for (const frame of frames) {
        if (frame.target !== target || frame.values.size === 0) continue;
        const number = scrapeNumber(frame);
        if (number === undefined) this.#times.push(frame.time - clockOffset);
        else this.journalled.set(number, frame.time - clockOffset);
      }
    }
    this.#numbers = [...this.journalled.keys()].sort((a, b) => a - b);
  }

  /** Uses one up. False: there is none that the answer may belong to. */
  take({ number, at }: Answered): boolean {
    const before = this.#timeOf(this.#numbers.findLast((other) => other < number));
    const after = this.#timeOf(this.#numbers.find((other) => other > number));
    const index = this.#times.findIndex(
      (time) =>
        time >= (before ?? Number.NEGATIVE_INFINITY) &&
        time <= Math.min(after ?? Number.POSITIVE_INFINITY, at + CLOCK_MS),
    );
    if (index >= 0) this.#times.splice(index, 1);
    return index >= 0;
  }

  #timeOf(number: number | undefined): number | undefined {
    return number === undefined ? undefined : this.journalled.get(number);
  }
}

const lostText = ({ target, number, at }: Answered, { from, to }: Window): string =>
  `scrape ${target} ${number} at ${at}, ${at - from} ms in the window, ${to - at} before its end`;

/** What happened about then, ms before and after. */
function nearText({ at, target }: Answered, journals: readonly JournalEvidence[]): string {
  const near = (times: readonly number[]): string =>
    times
      .filter((time) => Math.abs(time - at) < NEAR_MS)
      .map((time) => time - at)
      .join();
  return journals
    .map(({ leaf, frames, kills, clockOffset }) => {
      const own = frames.filter((frame) => frame.target === target);
      const times = own.map(({ time }) => time - clockOffset);
      return `${leaf}: frames ${near(times)}, killed ${near(kills.map((kill) => kill.at))}`;
    })
    .join('; ');
}

/** 'allowed', or why it is not. */
function lossOf(
  { at }: Answered,
  journals: readonly JournalEvidence[],
  answered: readonly Answered[],
): string {
  for (const { gaps, kills, clockOffset, intervalMs } of journals) {
    const time = at + clockOffset;
    const isNamed = gaps.some(
      ({ cause, from, to }) => cause === 'restart' && from < time + CLOCK_MS && time < to,
    );
    const kill = kills.find((one) => one.at >= at);
    if (!isNamed || kill === undefined) continue;
    const overdue = overdueMs(at, kill);
    const late = latenessMs(kill, answered, intervalMs);
    if (overdue <= late + CLOCK_MS) return 'allowed';
    return `in a gap, but its commit was overdue by ${overdue} ms when the leaf was killed, ${kill.sent - at} ms after it; the leaf was ${late} ms late`;
  }
  return 'no gap, no up 0';
}

/**
 * By how much a record of a scrape that was asked for at `at` waited longer than it may, as far as the leaf's log tells;
 * not more than 0: it did not. It is held by the first commit that begins once it is there, a little after `at`.
 * One that runs when the leaf is killed takes as long as it takes, but has begun in time.
 */
export function overdueMs(at: number, { sent, commits }: Pick<Kill, 'sent' | 'commits'>): number {
  const synced = new Set(commits.filter(({ isEnd }) => isEnd).map(keyOf));
  let overdue = Number.NEGATIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  const note = (ms: number): void => void (overdue = Math.max(overdue, ms));
  const due = (): number => Math.max(at, end) + COMMIT_MS;
  for (const line of commits) {
    if (line.isEnd) end = line.at;
    else if (line.at >= at) note(synced.has(keyOf(line)) ? line.at - at : line.at - due());
  }
  if (commits.at(-1)?.isEnd !== false) note(sent - due());
  return overdue;
}

const keyOf = ({ position }: CommitLine): string => `${position.epoch}/${position.sequence}`;

/**
 * How late a leaf's event loop was before a kill, at most, as its exporter saw it: it asks each target at each interval, and whatever
 * it is kept from for a while, it is kept from that as well. A timer cannot keep its time while its process has no processor: of
 * 205 commits on two cores with a load of 15 one in eight began more than CLOCK_MS late, one by 172 ms, and none later
 * than this tells. 0 where nothing was late. Milliseconds.
 */
export function latenessMs(
  { started, sent }: Kill,
  answered: readonly Answered[],
  intervalMs: number,
): number {
  const from = Math.max(started, sent - LATENESS_SEEN_MS);
  const last = new Map<string, number>();
  let longest = 0;
  for (const { target, at } of answered) {
    if (target === SHARED_TARGET || at < from || at > sent) continue;
    longest = Math.max(longest, at - (last.get(target) ?? at));
    last.set(target, at);
  }
  for (const at of last.values()) longest = Math.max(longest, sent - at);
  return last.size === 0 ? sent - from : Math.max(0, longest - intervalMs);
}

/** What the leaf's log said was synced is in its journal, whenever it was killed. */
export function syncedFaults({ leaf, kills, marks }: JournalEvidence): string[] {
  if (marks.length === 0) return [];
  const have = new Set(marks.map(({ position }) => `${position.epoch}/${position.sequence}`));
  const [{ position: first }] = marks;
  const faults: string[] = [];
  for (const { commits, at } of kills) {
    for (const line of commits) {
      if (!line.isEnd || comparePositions(line.position, first) < 0 || have.has(keyOf(line))) {
        continue;
      }
      faults.push(
        `${leaf}: ${keyOf(line)} was synced ${at - line.at} ms before the kill, and lost`,
      );
    }
  }
  return faults;
}

/**
 * Gaps of a leaf in the window: each of them from a kill, and none from before what the last commit held. A scrape
 * under way keeps the watermark back by what it may take, and the last frame of a target is as old as its interval.
 */
export function tailFaults(
  { leaf, gaps, kills, clockOffset, intervalMs }: JournalEvidence,
  { answered, window }: Pick<Evidence, 'answered' | 'window'>,
): string[] {
  const faults: string[] = [];
  for (const gap of gaps) {
    if (gap.to <= window.from + clockOffset) continue;
    // A target that came late after the start: what it answered meanwhile is journalled, or lost as any.
    if (gaps.some((other) => other !== gap && other.to === gap.from)) continue;
    const text = `${leaf}: gap ${gapText(gap)}`;
    const kill = killIn(gap, kills, clockOffset);
    if (gap.cause !== 'restart' || kill === undefined) {
      faults.push(`${text}: nobody was killed`);
      continue;
    }
    const begun = lastSyncedBegin(kill);
    const early = begun - (gap.from - clockOffset);
    const late = latenessMs(kill, answered, intervalMs);
    if (early > 2 * (intervalMs + late) + CLOCK_MS) {
      faults.push(`${text}: ${early} ms before the last commit; the leaf was ${late} ms late`);
    }
  }
  return faults;
}

/** When the last commit that was synced had begun; -Infinity where the log has none. */
function lastSyncedBegin({ commits }: Kill): number {
  const end = commits.findLast(({ isEnd }) => isEnd);
  if (end === undefined) return Number.NEGATIVE_INFINITY;
  const begin = commits.find((line) => !line.isEnd && keyOf(line) === keyOf(end));
  return begin?.at ?? Number.NEGATIVE_INFINITY;
}

/** The first one. */
function killIn(gap: Gap, kills: readonly Kill[], clockOffset: number): Kill | undefined {
  return kills.find(({ at }) => at + clockOffset >= gap.from && at + clockOffset <= gap.to);
}

/** From the last scrape that is there to the first kill in the gap; undefined where there was none. */
export function tailMs(gap: Gap, kills: readonly Kill[], clockOffset: number): number | undefined {
  const kill = killIn(gap, kills, clockOffset);
  return kill && kill.at + clockOffset - gap.from;
}

export const gapText = ({ cause, from, to }: Gap): string => `${cause} ${from} ${to}`;
