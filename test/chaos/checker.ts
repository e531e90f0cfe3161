/**
 * Judges the evidence of one stretch of a run. Each promise is a function that says what is wrong, and each is seen to fail in
 * chaos.test.ts. What scrapes were lost is judged in loss.ts, what parents hold and count in copies.ts.
 *
 * Does not check: what lies before the window, but that a parent shows nothing of it that was not journalled; samples
 * that a parent scraped itself; how long anything took; which of two leaves is shown where both have a target's
 * sample (packages/head has tests of that), but that one of them is.
 */
import { copyFaults } from './copies.js';
import {
  type Answered,
  type Answers,
  type Evidence,
  type JournalEvidence,
  type Metadata,
  type Samples,
  type Window,
  numberOf,
} from './evidence.js';
import {
  SHARED_TARGET,
  VIEWED_TARGET,
  askedBetween,
  at,
  isReport,
  nameOf,
  scrapeNumber,
  targetOf,
} from './frame-facts.js';
import { lostFaults, syncedFaults, tailFaults } from './loss.js';
import { type Frame, type SeriesKey, seriesKey } from './oracle.js';

/** How far back PromQL looks. */
const LOOKBACK_MS = 300_000;
/** Of each kind; what follows is the same again. */
const FAULTS_MAX = 8;

/** What is wrong; empty where every promise was kept. */
export function faultsOf(evidence: Evidence): string[] {
  const { window, journals } = evidence;
  const faults = [
    ...cut(bodyFaults(evidence)),
    ...cut(lostFaults(evidence)),
    ...cut(viewFaults(evidence)),
    ...journals.flatMap((journal) => [
      ...cut(endFaults(journal, window)),
      ...cut(tailFaults(journal, evidence)),
      ...cut(syncedFaults(journal)),
    ]),
  ];
  for (const answers of [...evidence.leaves, ...evidence.parents]) {
    faults.push(
      ...cut(sampleFaults(evidence, answers)),
      ...cut(stepFaults(evidence, answers)),
      ...cut(sharedFaults(evidence, answers)),
      ...cut(metadataFaults(evidence, answers)),
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

/** A scrape is journalled whole, once, with the values that the exporter gave, at the time at which it was asked. */
function bodyFaults({ answered, journals }: Evidence): string[] {
  const faults: string[] = [];
  const bodies = new Map(answered.map((scrape) => [`${scrape.target} ${scrape.number}`, scrape]));
  const seen = new Set<string>();
  for (const { leaf, clockOffset, frames } of journals) {
    const spans = askedBetween(frames, clockOffset);
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
      const { from, to } = spans.get(frame)!;
      if (scrape.at < from || scrape.at > to)
        faults.push(`scrape ${id}: asked at ${scrape.at}, not in ${from} to ${to}`);
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
    if (isJudgedApart(key, who)) continue;
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

/** By `sharedFaults`: which of two leaves a parent shows is not known here. */
const isJudgedApart = (key: SeriesKey, who: string): boolean =>
  isParent(who) && targetOf(key) === SHARED_TARGET;

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
    if (isJudgedApart(key, who)) continue;
    const want = wanted.get(key);
    const have = steps.get(key);
    for (const time of evidence.stepTimes) {
      const last = want?.get(time);
      // Not known: what the series was before the window.
      if (last === undefined) continue;
      const { value } = last;
      const shown = have?.get(time) ?? null;
      if (Object.is(value, shown)) continue;
      // A step looks back, over a gap perhaps, at what retention has dropped.
      if (shown === null && isParent(who) && last.time < evidence.keptFrom) continue;
      const times = [...(have?.keys() ?? [])];
      const there = `${times.length} of ${evidence.stepTimes.length} there, ${times[0]} to ${times.at(-1)}`;
      faults.push(
        `${who}: ${key}: ${shown ?? 'absent'} in the step ${time}, not ${value ?? 'absent'} of ${last.time}; ${there}`,
      );
    }
    if (faults.length > FAULTS_MAX) break;
  }
  return faults;
}

/** What a series has last at some time: null where it has ended. */
interface Last {
  readonly time: number;
  readonly value: number | null;
}

/** By series and step; nothing where the frames do not tell. */
function stepsOf(
  { journals, stepTimes }: Evidence,
  who: string,
): Map<SeriesKey, Map<number, Last>> {
  const wanted = new Map<SeriesKey, Map<number, Last>>();
  for (const { leaf, frames: journalled } of journals) {
    if (!sees(who, leaf)) continue;
    // A slow target is journalled after others whose scrapes began later.
    const frames = [...journalled].sort((a, b) => a.time - b.time);
    const latest = new Map<SeriesKey, Last>();
    let next = 0;
    for (const step of stepTimes) {
      for (; next < frames.length && frames[next].time <= step; next++) {
        const { time, values, stale } = frames[next];
        for (const [key, value] of values) latest.set(key, { time, value });
        for (const key of stale) latest.set(key, { time, value: null });
      }
      for (const [key, { time, value }] of latest) {
        const series = wanted.get(key) ?? new Map<number, Last>();
        wanted.set(key, series);
        series.set(step, { time, value: time > step - LOOKBACK_MS ? value : null });
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

/** Whoever asked in the middle of it all saw each scrape whole, or not yet. */
function viewFaults({ journals, views, window }: Evidence): string[] {
  const sizes = new Map<string, number>();
  for (const { leaf, frames } of journals)
    for (const { target, time, values } of frames) {
      for (const who of [leaf, ''])
        if (target === VIEWED_TARGET) sizes.set(`${who} ${time}`, values.size);
    }
  const faults: string[] = [];
  for (const { who, time, count } of views) {
    if (time <= window.from || time > window.to) continue;
    const size = sizes.get(`${isParent(who) ? '' : who} ${time}`) ?? 0;
    if (count !== size) faults.push(`${who}: showed ${count} of ${size} series at ${time}`);
  }
  return faults;
}

/** TYPE, HELP and UNIT are those of the newest body of each target; of one that moves nobody knows whose that is. */
function metadataFaults({ answered, journals }: Evidence, { who, metadata }: Answers): string[] {
  const seen = journals.filter(({ leaf }) => sees(who, leaf)).flatMap(({ frames }) => frames);
  const targets = new Set(seen.map(({ target }) => target));
  targets.delete(SHARED_TARGET);
  const newest = new Map<string, string>();
  for (const { target, body } of answered) if (targets.has(target)) newest.set(target, body);
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
