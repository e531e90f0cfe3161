/**
 * Judges the evidence of one stretch of a run. Each promise is a function that says what is wrong, and each is
 * seen to fail in checker.test.ts.
 *
 * Does not check: what lies before the window, but that a parent shows nothing of it that was not journalled; samples
 * that a parent scraped itself; how long anything took.
 */
import { type JournalPosition, type JournalReport, comparePositions } from '@canopy/model';
import type { Gap, SourceLedger } from '../hierarchy.js';
import {
  type Answered,
  type Answers,
  type Copy,
  type Evidence,
  type JournalEvidence,
  type Metadata,
  type Samples,
  type Window,
  numberOf,
} from './evidence.js';
import { type Frame, type SeriesKey, seriesKey } from './oracle.js';

/**
 * What a kill may cost: the commit interval, one scrape that was under way, and what a machine that does many things
 * adds to both. Milliseconds.
 */
const TAIL_MS_MAX = 4000;
/** A scrape's time is that of its tick; it is asked for after it, and soon. Milliseconds. */
const EARLY_MS = 20;
const LATE_MS = 10_000;
/** How far back PromQL looks. */
const LOOKBACK_MS = 300_000;
/** Of each kind; what follows is the same again. */
const FAULTS_MAX = 8;
/** A parent lists at most so many gaps, the newest. */
const GAPS_LISTED_MAX = 200;
/** The target that two leaves scrape: its samples are merged, not copied. */
export const SHARED_TARGET = 'shared';

const REPORT = ['up', 'scrape_'];

/** What is wrong; empty where every promise was kept. */
export function faultsOf(evidence: Evidence): string[] {
  const { window, journals } = evidence;
  const faults = [
    ...cut(bodyFaults(evidence)),
    ...cut(lostFaults(evidence)),
    ...journals.flatMap((journal) => [
      ...cut(endFaults(journal, window)),
      ...cut(tailFaults(journal, window)),
    ]),
  ];
  for (const answers of [...evidence.leaves, ...evidence.parents]) {
    faults.push(
      ...cut(sampleFaults(evidence, answers)),
      ...cut(stepFaults(evidence, answers)),
      ...cut(sharedFaults(evidence, answers)),
      ...cut(metadataFaults(evidence.answered, answers)),
    );
  }
  for (const { who, copies } of evidence.parents) {
    for (const journal of journals) {
      const copy = copies.find(({ ref }) => ref === journal.ref);
      const of = `${who}: journal of ${journal.leaf}`;
      if (copy === undefined) faults.push(`${of}: not there`);
      else faults.push(...cut(copyFaults(journal, copy)).map((fault) => `${of}: ${fault}`));
    }
  }
  return faults;
}

const cut = (faults: readonly string[]): readonly string[] => faults.slice(0, FAULTS_MAX);

const nameOf = (key: SeriesKey): string => /\["__name__","([^"]*)"\]/.exec(key)?.[1] ?? '';
const targetOf = (key: SeriesKey): string => /\["n","([^"]*)"\]/.exec(key)?.[1] ?? '';
const isReport = (key: SeriesKey): boolean =>
  REPORT.some((name) => isReportName(nameOf(key), name));
const isReportName = (name: string, report: string): boolean =>
  name !== 'scrape_number' && name.startsWith(report);
const at = ({ time, target }: Frame): string => `${target} at ${time}`;

/** The number of a scrape that succeeded. */
function scrapeNumber(frame: Frame): number | undefined {
  for (const [key, value] of frame.values) if (nameOf(key) === 'scrape_number') return value;
  return undefined;
}

/** A scrape is journalled whole, once, with the values that the exporter gave, soon after it was asked for. */
function bodyFaults({ answered, journals }: Evidence): string[] {
  const faults: string[] = [];
  const bodies = new Map(answered.map((scrape) => [`${scrape.target} ${scrape.number}`, scrape]));
  const seen = new Set<string>();
  for (const { leaf, clockOffset, frames } of journals) {
    for (const frame of frames) {
      const number = scrapeNumber(frame);
      if (number === undefined) {
        const some = [...frame.values.keys()].find((key) => !isReport(key));
        if (some !== undefined) faults.push(`${leaf}: half a scrape: ${some}, ${at(frame)}`);
        continue;
      }
      const id = `${frame.target} ${number}`;
      const scrape = bodies.get(id);
      if (seen.has(id)) faults.push(`scrape ${id} journalled twice, ${at(frame)}`);
      seen.add(id);
      if (scrape === undefined) {
        faults.push(`${leaf}: scrape ${id} was never answered`);
        continue;
      }
      const delay = scrape.at + clockOffset - frame.time;
      if (delay < -EARLY_MS || delay > LATE_MS)
        faults.push(`scrape ${id}: asked for ${delay} ms late`);
      faults.push(...oneBodyFaults(`${leaf}: scrape ${id}`, scrape, frame));
    }
  }
  return faults;
}

function oneBodyFaults(what: string, scrape: Answered, frame: Frame): string[] {
  const faults: string[] = [];
  const labels = targetLabels(frame);
  let count = 0;
  for (const line of scrape.body.split('\n')) {
    const parts = /^(\w+)(?:\{(\w+)="(\w+)"\})? (\S+)$/.exec(line);
    if (parts === null) continue;
    const [, name, label, value, text] = parts;
    const own: Array<[string, string]> = label === undefined ? [] : [[label, value]];
    const key = seriesKey([['__name__', name], ...own, ...labels]);
    count++;
    if (!Object.is(frame.values.get(key), numberOf(text))) {
      faults.push(`${what}: ${key} is ${frame.values.get(key)}, was ${text}`);
    }
  }
  const journalled = [...frame.values.keys()].filter((key) => !isReport(key)).length;
  if (journalled !== count) faults.push(`${what}: ${journalled} series, were ${count}`);
  return faults;
}

/** Labels that every series of a target has. */
function targetLabels(frame: Frame): Array<[string, string]> {
  for (const key of frame.values.keys()) {
    if (nameOf(key) !== 'up') continue;
    return (JSON.parse(key) as Array<[string, string]>).filter(([name]) => name !== '__name__');
  }
  return [];
}

/**
 * What the exporter answered is journalled; or it came too late and is an `up` 0; or it lies in a named gap, and no
 * longer before a kill than the journal's commits are apart.
 */
function lostFaults({ answered, journals, window }: Evidence): string[] {
  const faults: string[] = [];
  for (const target of new Set(answered.map((scrape) => scrape.target))) {
    const frames = journals
      .flatMap((journal) => journal.frames.map((frame) => ({ journal, frame })))
      .filter(({ frame }) => frame.target === target);
    const trueTime = (item: (typeof frames)[number]): number =>
      item.frame.time - item.journal.clockOffset;
    frames.sort((a, b) => trueTime(a) - trueTime(b));
    const numbers = new Set(frames.map(({ frame }) => scrapeNumber(frame)));
    const failures = frames.filter((item) => scrapeNumber(item.frame) === undefined);
    const missing = answered.filter(
      (scrape) =>
        scrape.target === target &&
        !numbers.has(scrape.number) &&
        scrape.at > window.from &&
        // Its tick may be later than it by a little, and so beyond the window.
        scrape.at <= window.to - EARLY_MS,
    );
    const used = new Set<object>();
    for (const scrape of missing) {
      if (isInTail(scrape.at, journals)) continue;
      // It was asked for at the tick of the failed one.
      const failed = failures.find(
        (item) =>
          !used.has(item) &&
          trueTime(item) <= scrape.at + EARLY_MS &&
          scrape.at - trueTime(item) < LATE_MS,
      );
      if (failed !== undefined) used.add(failed);
      else faults.push(lostText(scrape, window, journals));
    }
  }
  return faults;
}

const lostText = (
  { target, number, at: time }: Answered,
  { from, to }: Window,
  journals: readonly JournalEvidence[],
): string => {
  const kills = journals.flatMap((journal) => journal.kills.map((kill) => kill - time));
  const near = kills.filter((kill) => Math.abs(kill) < LATE_MS).join();
  return `scrape ${target} ${number} at ${time}: no gap, no up 0; ${time - from} ms in the window, ${to - time} before its end, kills ${near} ms after it`;
};

function isInTail(time: number, journals: readonly JournalEvidence[]): boolean {
  return journals.some(({ gaps, kills, clockOffset }) => {
    const isNamed = gaps.some(
      ({ cause, from, to }) =>
        cause === 'restart' && from < time + clockOffset + EARLY_MS && time + clockOffset < to,
    );
    return isNamed && kills.some((kill) => kill >= time && kill - time <= TAIL_MS_MAX);
  });
}

/** Gaps of a leaf in the window: each of them from a kill, and none longer before it than the commits are apart. */
function tailFaults({ leaf, gaps, kills, clockOffset }: JournalEvidence, window: Window): string[] {
  const faults: string[] = [];
  for (const gap of gaps) {
    if (gap.to <= window.from + clockOffset) continue;
    // A target that came late after the start: no scrape of it was answered.
    if (gaps.some((other) => other !== gap && other.to === gap.from)) continue;
    const tail = tailMs(gap, kills, clockOffset);
    const text = `${leaf}: gap ${gapText(gap)}`;
    if (gap.cause !== 'restart' || tail === undefined) faults.push(`${text}: nobody was killed`);
    else if (tail > TAIL_MS_MAX) faults.push(`${text}: ${tail} ms were lost before the kill`);
  }
  return faults;
}

/** From the last scrape that is there to the first kill in the gap; undefined where there was none. */
export function tailMs(
  gap: Gap,
  kills: readonly number[],
  clockOffset: number,
): number | undefined {
  const within = kills
    .map((kill) => kill + clockOffset)
    .filter((kill) => kill >= gap.from && kill <= gap.to);
  return within.length === 0 ? undefined : Math.min(...within) - gap.from;
}

const gapText = ({ cause, from, to }: Gap): string => `${cause} ${from} ${to}`;

/** A series ends in the journal in the first scrape in which it is not, and times ascend. */
function endFaults({ leaf, frames, gaps }: JournalEvidence, window: Window): string[] {
  const faults: string[] = [];
  const before = new Map<string, Frame>();
  for (const frame of frames) {
    const last = before.get(frame.target);
    before.set(frame.target, frame);
    if (last === undefined) continue;
    if (frame.time <= last.time) faults.push(`${leaf}: ${at(frame)} after ${last.time}`);
    if (gaps.some(({ from, to }) => from < frame.time && to > last.time)) continue;
    if (frame.time <= window.from) continue;
    const gone = [...last.values.keys()].filter((key) => !frame.values.has(key));
    const marks = new Set(frame.stale);
    for (const key of gone)
      if (!marks.delete(key)) faults.push(`${leaf}: ${key} not ended, ${at(frame)}`);
    for (const key of marks) faults.push(`${leaf}: ${key} ended for nothing, ${at(frame)}`);
  }
  return faults;
}

/** Everything that was journalled, once, at its time, with its value, and nothing else. */
function sampleFaults({ journals, window }: Evidence, { who, samples }: Answers): string[] {
  const wanted = new Map<SeriesKey, Samples>();
  for (const { leaf, frames } of journals) {
    if (!sees(who, leaf)) continue;
    for (const { time, values } of frames) {
      for (const [key, value] of values) {
        const series = wanted.get(key) ?? { times: [], values: [] };
        wanted.set(key, series);
        series.times.push(time);
        series.values.push(value);
      }
    }
  }
  const faults: string[] = [];
  for (const key of new Set([...wanted.keys(), ...samples.keys()])) {
    if (targetOf(key) === SHARED_TARGET) continue;
    const want = wanted.get(key) ?? NOTHING;
    const have = samples.get(key) ?? NOTHING;
    faults.push(...oneSeriesFaults(`${who}: ${key}`, want, have, window));
    if (faults.length > FAULTS_MAX) break;
  }
  return faults;
}

/** A leaf answers for itself, a parent for all. */
const sees = (who: string, leaf: string): boolean => isParent(who) || who === leaf;
const isParent = (who: string): boolean => who.startsWith('parent');

const NOTHING: Samples = { times: [], values: [] };

function oneSeriesFaults(
  what: string,
  want: Samples,
  have: Samples,
  { from, to }: Window,
): string[] {
  const faults: string[] = [];
  const say = (text: string, time: number): void => void faults.push(`${what}: ${text} at ${time}`);
  let w = 0;
  for (let h = 0; h < have.times.length; h++) {
    const time = have.times[h];
    if (time > to) break;
    if (h > 0 && time <= have.times[h - 1]) say('twice or out of order', time);
    for (; w < want.times.length && want.times[w] < time; w++) {
      if (want.times[w] > from) say('missing', want.times[w]);
    }
    if (want.times[w] !== time) say('never journalled', time);
    else if (!Object.is(want.values[w++], have.values[h])) say(`not ${want.values[w - 1]}`, time);
  }
  for (; w < want.times.length && want.times[w] <= to; w++) {
    if (want.times[w] > from) say('missing', want.times[w]);
  }
  return faults;
}

/** A series is there in the steps between its samples and its ends, with the value it has then. */
function stepFaults(evidence: Evidence, { who, steps }: Answers): string[] {
  const faults: string[] = [];
  const wanted = stepsOf(evidence, who);
  for (const key of new Set([...wanted.keys(), ...steps.keys()])) {
    if (targetOf(key) === SHARED_TARGET) continue;
    const want = wanted.get(key);
    const have = steps.get(key);
    for (const time of evidence.stepTimes) {
      const value = want?.get(time);
      // Not known: what the series was before the window.
      if (value === undefined) continue;
      const shown = have?.get(time) ?? null;
      if (Object.is(value, shown)) continue;
      faults.push(
        `${who}: ${key}: ${shown ?? 'absent'} in the step ${time}, not ${value ?? 'absent'}`,
      );
    }
    if (faults.length > FAULTS_MAX) break;
  }
  return faults;
}

/** By series and step: its value, null where it has none; nothing where the frames do not tell. */
function stepsOf(
  { journals, stepTimes }: Evidence,
  who: string,
): Map<SeriesKey, Map<number, number | null>> {
  const wanted = new Map<SeriesKey, Map<number, number | null>>();
  for (const { leaf, frames: journalled } of journals) {
    if (!sees(who, leaf)) continue;
    // A slow target is journalled after others whose scrapes began later.
    const frames = [...journalled].sort((a, b) => a.time - b.time);
    const latest = new Map<SeriesKey, { readonly time: number; readonly value: number | null }>();
    let next = 0;
    for (const step of stepTimes) {
      for (; next < frames.length && frames[next].time <= step; next++) {
        const { time, values, stale } = frames[next];
        for (const [key, value] of values) latest.set(key, { time, value });
        for (const key of stale) latest.set(key, { time, value: null });
      }
      for (const [key, { time, value }] of latest) {
        const series = wanted.get(key) ?? new Map<number, number | null>();
        wanted.set(key, series);
        series.set(step, time > step - LOOKBACK_MS ? value : null);
      }
    }
  }
  return wanted;
}

/**
 * A target that two leaves scrape: nothing is shown but what one of them journalled, each time once; where
 * both have it one of them is shown without a break; who has it alone is shown.
 */
function sharedFaults({ journals, window }: Evidence, { who, samples }: Answers): string[] {
  if (!isParent(who)) return [];
  const faults: string[] = [];
  const number = [...samples.keys()].find(
    (key) => nameOf(key) === 'scrape_number' && targetOf(key) === SHARED_TARGET,
  );
  const frames = journals
    .flatMap((journal) => journal.frames)
    .filter((frame) => frame.target === SHARED_TARGET && scrapeNumber(frame) !== undefined)
    .sort((a, b) => a.time - b.time);
  const byTime = new Map<number, Frame[]>();
  for (const frame of frames) byTime.set(frame.time, [...(byTime.get(frame.time) ?? []), frame]);
  for (const [key, { times, values }] of samples) {
    if (targetOf(key) !== SHARED_TARGET || isReport(key)) continue;
    for (const [i, time] of times.entries()) {
      const isKnown = (byTime.get(time) ?? []).some((frame) =>
        Object.is(frame.values.get(key), values[i]),
      );
      if (!isKnown) faults.push(`${who}: ${key}: ${values[i]} at ${time} was never journalled`);
      if (i > 0 && time <= times[i - 1]) faults.push(`${who}: ${key}: twice at ${time}`);
    }
  }
  const shown = new Set(number === undefined ? [] : samples.get(number)!.times);
  const intervals = frames.slice(1).map((frame, i) => frame.time - frames[i].time);
  const usual = Math.max(
    ...intervals.sort((a, b) => a - b).slice(0, Math.ceil(intervals.length * 0.9)),
  );
  for (const { time } of frames) {
    if (time <= window.from || time > window.to || shown.has(time)) continue;
    const isNear = [...shown].some((other) => Math.abs(other - time) <= 2 * usual);
    if (!isNear) faults.push(`${who}: ${SHARED_TARGET}: nothing is shown near ${time}`);
  }
  return faults;
}

/** TYPE, HELP and UNIT are those of the newest body of each target. */
function metadataFaults(answered: readonly Answered[], { who, metadata }: Answers): string[] {
  const newest = new Map(answered.map((scrape) => [scrape.target, scrape.body]));
  newest.delete(SHARED_TARGET);
  const wanted = new Map<string, Set<string>>();
  for (const body of newest.values()) {
    for (const [name, said] of metadataOf(body)) {
      const all = wanted.get(name) ?? new Set();
      wanted.set(name, all.add(textOf(said)));
    }
  }
  const faults: string[] = [];
  for (const [name, want] of wanted) {
    const have = (metadata[name] ?? []).map(textOf).sort().join();
    if (have !== [...want].sort().join())
      faults.push(`${who}: metadata of ${name}: ${have}, not ${[...want]}`);
  }
  return faults;
}

const textOf = ({ type, help, unit }: Metadata): string => JSON.stringify([type, help, unit]);

function metadataOf(body: string): Map<string, Metadata> {
  const found = new Map<string, { type: string; help: string; unit: string }>();
  for (const line of body.split('\n')) {
    const parts = /^# (TYPE|HELP|UNIT) (\w+) (.*)$/.exec(line);
    if (parts === null) continue;
    const [, what, name, text] = parts;
    const family = found.get(name) ?? { type: 'unknown', help: '', unit: '' };
    found.set(name, family);
    if (what === 'TYPE') family.type = text === 'untyped' ? 'unknown' : text;
    else if (what === 'UNIT') family.unit = text;
    else family.help = text.replaceAll(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
  }
  // A family without samples says nothing.
  for (const name of found.keys())
    if (!new RegExp(`^${name}[ {]`, 'm').test(body)) found.delete(name);
  return found;
}

/** A parent has each entry it has not cut, byte for byte, and counts what it took in. */
function copyFaults(journal: JournalEvidence, { ledger, report, trimmed, marks }: Copy): string[] {
  const faults = gapFaults(ledger.gaps, journal.gapsBefore, journal.gaps);
  const key = ({ epoch, sequence }: JournalPosition): string => `${epoch}/${sequence}`;
  const have = new Map(marks.map(({ position, crc }) => [key(position), crc]));
  if (have.size !== marks.length) faults.push('entries twice');
  for (const { position, crc } of journal.marks) {
    if (comparePositions(position, trimmed) <= 0) continue;
    if (comparePositions(position, ledger.position) > 0) break;
    const its = have.get(key(position));
    if (its === undefined) {
      const kept = `trimmed ${key(trimmed)}, stored ${key(ledger.position)}, read ${marks.length}`;
      faults.push(`entry ${key(position)} missing; ${kept}`);
    } else if (its !== crc) faults.push(`entry ${key(position)} has other bytes`);
  }
  return [...faults, ...ledgerFaults(journal, ledger), ...verdictFaults(journal, report)];
}

/** What a ledger counts is what the journal has up to its position. */
function ledgerFaults({ tallies }: JournalEvidence, ledger: SourceLedger): string[] {
  const faults: string[] = [];
  const { epoch, sequence } = ledger.position;
  const here = tallies.find(
    ({ position }) => position.epoch === epoch && position.sequence === sequence,
  );
  for (const what of ['frames', 'bytes'] as const) {
    if (ledger[what] !== here?.[what]) {
      faults.push(`ledger: ${ledger[what]} ${what}, not ${here?.[what]}`);
    }
  }
  for (const reason of Object.keys(ledger.refused)) faults.push(`ledger: refused ${reason}`);
  if (ledger.collisionsTotal > 0) faults.push('ledger: a collision');
  return faults;
}

/** What the leaf says of its scrapes is what it journalled of those that the exporter was asked for, up to some position. */
function verdictFaults(
  { leaf, tallies }: JournalEvidence,
  { jobs, path }: JournalReport,
): string[] {
  // Levels say it once in a while: a further one may not have heard of the leaf yet.
  if (path[0] !== leaf) return [];
  const faults: string[] = [];
  for (const { job, scraped, journalled, refused, samples, verdict, missing } of jobs) {
    const came = Object.values(refused).reduce((sum, count) => sum + count, journalled);
    const text = `${scraped} scrapes, ${samples} samples`;
    if (came !== scraped) faults.push(`ledger of ${job}: ${came} journalled or refused of ${text}`);
    const isKnown = tallies.some((one) => one.scrapes === scraped && one.samples === samples);
    if (!isKnown && scraped > 0) faults.push(`ledger of ${job}: ${text}: at no position`);
    // After FLUSHALL it is not known until the source says it again.
    if ((verdict !== 'balanced' && verdict !== 'unknown') || missing !== 0) {
      faults.push(`ledger of ${job}: ${verdict}, ${missing} missing`);
    }
  }
  return faults;
}

/** A parent lists what was journalled before it was asked, and nothing that was not journalled after. */
export function gapFaults(
  listed: readonly Gap[],
  before: readonly Gap[],
  after: readonly Gap[],
): string[] {
  const count = (gaps: readonly Gap[]): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const gap of gaps) counts.set(gapText(gap), (counts.get(gapText(gap)) ?? 0) + 1);
    return counts;
  };
  const [have, must, may] = [count(listed), count(before), count(after)];
  const faults: string[] = [];
  for (const [gap, times] of have) {
    if (times > (may.get(gap) ?? 0)) faults.push(`gap ${gap}: not journalled ${times} times`);
  }
  if (before.length > GAPS_LISTED_MAX) return faults;
  for (const [gap, times] of must) {
    if (times > (have.get(gap) ?? 0)) faults.push(`gap ${gap}: not listed`);
  }
  return faults;
}
