/**
 * Compares what a parent answers with what the leaf has journalled, and both with what the farm's values must be.
 *
 * Checks: each journalled sample of the window is there, once, at its time, with its value; nothing else is; a
 * scrape whose number is missing lies in a named gap or was one that failed (`up` 0); the values of one scrape
 * belong together.
 * Does not check: stale marks (a raw selection does not show them), metadata, anything outside of the window but
 * that it was journalled.
 */
import type { Gap } from '../hierarchy.js';
import type { ApiSeries } from '../processes.js';
import { type Samples, type SeriesSamples, seriesKey } from './oracle.js';

/** Times in ms since epoch. */
export interface Window {
  /** From here on (exclusive) all must be there; what is older may be gone. */
  readonly from: number;
  /** Up to here (inclusive) the parent says it is complete. */
  readonly to: number;
}

const FAULTS_MAX = 20;

/** Samples of a raw range answer. */
export function samplesOf(answer: readonly ApiSeries[]): Samples {
  const samples: Samples = new Map();
  for (const { metric, values = [] } of answer) {
    const key = seriesKey(Object.entries(metric));
    const times = values.map(([time]) => Math.round(time * 1000));
    samples.set(key, { times, values: values.map(([, text]) => numberOf(text)) });
  }
  return samples;
}

function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

const NOTHING: SeriesSamples = { times: [], values: [] };

/** What is wrong with `actual`, at most some lines of it. */
export function differences(expected: Samples, actual: Samples, window: Window): string[] {
  const faults: string[] = [];
  for (const key of new Set([...expected.keys(), ...actual.keys()])) {
    const have = actual.get(key) ?? NOTHING;
    const want = expected.get(key) ?? NOTHING;
    faults.push(...compareSeries(key, want, have, window));
    if (faults.length >= FAULTS_MAX) return faults.slice(0, FAULTS_MAX);
  }
  return faults;
}

function compareSeries(
  key: string,
  want: SeriesSamples,
  have: SeriesSamples,
  { from, to }: Window,
): string[] {
  const faults: string[] = [];
  const say = (what: string, time: number): void => void faults.push(`${key}: ${what} at ${time}`);
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

/** What a scrape's values must be, whoever kept them; and that what is missing between two is named. */
export function lawFaults(samples: Samples, gaps: readonly Gap[], window: Window): string[] {
  const faults: string[] = [];
  const specials = [-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324];
  const laws: Array<[name: string, valueOf: (number: number) => number]> = [
    ['constant', () => 42],
    ['wave', Math.sin],
    ['special', (number) => specials[number % 5]],
    ['now_and_then', (number) => number],
  ];
  for (const [key, numbers] of samples) {
    if (!key.includes('["__name__","scrape_number"]')) continue;
    const up = samples.get(key.replace('"scrape_number"', '"up"')) ?? NOTHING;
    faults.push(...hidden(key, numbers, up, gaps, window));
    const numberAt = new Map(numbers.times.map((time, i) => [time, numbers.values[i]]));
    for (const [name, valueOf] of laws) {
      const other = samples.get(key.replace('"scrape_number"', `"${name}"`)) ?? NOTHING;
      other.times.forEach((time, i) => {
        const number = numberAt.get(time);
        // The window's first scrape may be cut.
        if (number === undefined || Object.is(valueOf(number), other.values[i])) return;
        faults.push(`${name} of ${key}: ${other.values[i]} in scrape ${number} at ${time}`);
      });
    }
  }
  return faults.slice(0, FAULTS_MAX);
}

/** Scrapes that the farm answered, that are not there, and neither a gap nor an `up` 0 says why. */
function hidden(
  key: string,
  { times, values }: SeriesSamples,
  up: SeriesSamples,
  gaps: readonly Gap[],
  { from, to }: Window,
): string[] {
  const faults: string[] = [];
  for (let i = 1; i < times.length && times[i] <= to; i++) {
    if (times[i - 1] <= from || values[i] === values[i - 1] + 1) continue;
    const isNamed = gaps.some((gap) => gap.from <= times[i - 1] && gap.to >= times[i]);
    const isDown = up.times.some(
      (time, j) => time > times[i - 1] && time < times[i] && up.values[j] === 0,
    );
    if ((isNamed || isDown) && values[i] > values[i - 1]) continue;
    faults.push(
      `${key}: ${values[i - 1]} to ${values[i]}, no gap from ${times[i - 1]} to ${times[i]}`,
    );
  }
  return faults;
}

/** A parent lists at most so many gaps, the newest. */
const GAPS_LISTED_MAX = 200;

/** A parent lists what was journalled before it was asked, and nothing that was not journalled after. */
export function gapFaults(
  listed: readonly Gap[],
  before: readonly Gap[],
  after: readonly Gap[],
): string[] {
  const text = ({ cause, from, to }: Gap): string => `${cause} ${from} ${to}`;
  const count = (gaps: readonly Gap[]): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const gap of gaps) counts.set(text(gap), (counts.get(text(gap)) ?? 0) + 1);
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
