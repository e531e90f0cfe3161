/** What is known of one stretch of a run, from all who took part: plain data, gathered here, judged by checker.ts. */
import {
  JOURNAL_START,
  type JournalPosition,
  type JournalReport,
  comparePositions,
} from '@canopy/model';
import { type Gap, type SourceLedger, ledgerOf, reportOf } from '../hierarchy.js';
import { type ApiSeries, get, query } from '../processes.js';
import {
  type EntryMark,
  type Frame,
  type Oracle,
  type SeriesKey,
  type Tally,
  markOf,
  readPage,
  seriesKey,
} from './oracle.js';

/** A scrape that the farm answered; times by the farm's clock, ms since epoch. */
export interface Answered {
  readonly target: string;
  readonly number: number;
  readonly at: number;
  readonly body: string;
}

/** A line of a leaf's log: all up to `position` is about to be synced, or is. Time by the farm's clock. */
export interface CommitLine {
  readonly at: number;
  readonly isEnd: boolean;
  readonly position: JournalPosition;
}

/** By the farm's clock, ms since epoch. */
export interface Kill {
  /** When the process that was killed was ready. */
  readonly started: number;
  /** When the signal was sent, and when the process was seen to be gone. */
  readonly sent: number;
  readonly at: number;
  /** Of that process, in order; old ones may be left out. */
  readonly commits: readonly CommitLine[];
}

/** So many series of one target were shown at one time, at some moment in the middle of it all. */
export interface View {
  readonly who: string;
  readonly time: number;
  readonly count: number;
}

/** Times in ms since epoch. */
export interface Window {
  /** From here on (exclusive) all must be there. */
  readonly from: number;
  /** Up to here (inclusive) everybody says it is complete. */
  readonly to: number;
}

/** The journal of one leaf, read from the leaf. */
export interface JournalEvidence {
  readonly leaf: string;
  readonly ref: string;
  /** By how much the leaf's clock is ahead of the farm's. Milliseconds. */
  readonly clockOffset: number;
  /** From one scrape of a target to the next. Milliseconds. */
  readonly intervalMs: number;
  readonly kills: readonly Kill[];
  /** Of the window and some before it. */
  readonly frames: readonly Frame[];
  readonly marks: readonly EntryMark[];
  readonly tallies: readonly Tally[];
  /** As the leaf had them before it was asked for anything else; a parent lists these. */
  readonly gapsBefore: readonly Gap[];
  readonly gaps: readonly Gap[];
}

export interface Samples {
  readonly times: number[];
  readonly values: number[];
}

export interface Metadata {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

/** What somebody answers to PromQL. */
export interface Answers {
  readonly who: string;
  readonly samples: Map<SeriesKey, Samples>;
  /** Of a range query: values by the times of its steps, where there is one. */
  readonly steps: Map<SeriesKey, Map<number, number>>;
  readonly metadata: Record<string, Metadata[]>;
}

/** What a parent says of one leaf's journal. */
export interface Copy {
  readonly ref: string;
  readonly ledger: SourceLedger;
  readonly report: JournalReport;
  readonly trimmed: JournalPosition;
  readonly marks: readonly EntryMark[];
}

export interface ParentEvidence extends Answers {
  readonly copies: readonly Copy[];
}

export interface Evidence {
  readonly window: Window;
  /** What is older may be past the retention of parents, whoever looks back at it. Ms since epoch; 0: nothing is. */
  readonly keptFrom: number;
  readonly stepTimes: readonly number[];
  readonly answered: readonly Answered[];
  readonly journals: readonly JournalEvidence[];
  /** Leaves, asked by PromQL about what they scrape. */
  readonly leaves: readonly Answers[];
  readonly parents: readonly ParentEvidence[];
  readonly views: readonly View[];
}

const SELECTOR = '{job="farm"}';
const ANSWER_MS = 60_000;
const STEPS_MAX = 150;
const STEP_MS_MIN = 40;
/** Frames kept for what a series was before the window. Milliseconds. */
const BEFORE_MS = 5000;

/** Steps are not multiples of scrapes: they fall anywhere between two. */
export function stepTimesOf({ from, to }: Window): readonly number[] {
  const step = Math.max(STEP_MS_MIN, Math.ceil((to - from) / STEPS_MAX)) + 3;
  const times: number[] = [];
  for (let time = from + 1; time <= to; time += step) times.push(time);
  return times;
}

/** Of a leaf or a parent. */
export async function answersOf(
  who: string,
  base: string,
  { from, to }: Window,
  stepTimes: readonly number[],
): Promise<Answers> {
  const raw = await query(base, `${SELECTOR}[${to - from}ms]`, to / 1000, ANSWER_MS);
  const [first] = stepTimes;
  const last = stepTimes[stepTimes.length - 1];
  const step = stepTimes.length > 1 ? stepTimes[1] - first : 1;
  const range = new URLSearchParams({
    query: SELECTOR,
    start: String(first / 1000),
    end: String(last / 1000),
    step: String(step / 1000),
  });
  const ranged = await getJson<{ result: ApiSeries[] }>(`${base}/api/v1/query_range?${range}`);
  const metadata = await getJson<Record<string, Metadata[]>>(`${base}/api/v1/metadata`);
  const steps = [...samplesOf(ranged.result)].map(([key, { times, values }]) => {
    return [key, new Map(times.map((time, i) => [time, values[i]]))] as const;
  });
  return { who, samples: samplesOf(raw), steps: new Map(steps), metadata };
}

async function getJson<T>(url: string): Promise<T> {
  return (JSON.parse(await get(url, {}, ANSWER_MS)) as { data: T }).data;
}

/** Samples of a raw range, or of steps. */
function samplesOf(answer: readonly ApiSeries[]): Map<SeriesKey, Samples> {
  const samples = new Map<SeriesKey, Samples>();
  for (const { metric, values = [] } of answer) {
    const times = values.map(([time]) => Math.round(time * 1000));
    const key = seriesKey(Object.entries(metric));
    samples.set(key, { times, values: values.map(([, text]) => numberOf(text)) });
  }
  return samples;
}

/** A number as Prometheus writes it. */
export function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

/** What a parent has of the leaves' journals: its ledgers, and the entries it would hand on. */
export async function copiesOf(
  base: string,
  leaves: ReadonlyArray<{ readonly source: string; readonly ref: string }>,
): Promise<Copy[]> {
  // Ledgers first: what they count must be among the entries that are read then.
  const ledgers = await Promise.all(leaves.map(({ source, ref }) => ledgerOf(base, source, ref)));
  const reports = await Promise.all(leaves.map(({ ref }) => reportOf(base, ref)));
  const marks = new Map<string, EntryMark[]>();
  const trimmed = new Map<string, JournalPosition>();
  // Once more at the end: a reader that stays behind would keep the parent from cutting its journal.
  for (let cursor = '', asks = 1; asks >= 0; asks--) {
    const sections = await readPage(base, cursor);
    cursor = sections.map((section) => section.cursor).join('.');
    if (sections.some((section) => section.more)) asks = 2;
    for (const section of sections) {
      const known = marks.get(section.ref) ?? [];
      marks.set(section.ref, known);
      for (const entry of section.entries) known.push(markOf(entry));
      trimmed.set(section.ref, section.trimmed);
    }
  }
  return leaves.map(({ ref }, i) => ({
    ...{ ref, ledger: ledgers[i], report: reports[i] },
    marks: marks.get(ref) ?? [],
    trimmed: trimmed.get(ref) ?? JOURNAL_START,
  }));
}

/** Of a journal, what concerns the window. */
export function journalOf(
  oracle: Oracle,
  leaf: Pick<JournalEvidence, 'clockOffset' | 'intervalMs' | 'kills'> & { readonly name: string },
  { from, to }: Window,
  gapsBefore: readonly Gap[],
): JournalEvidence {
  const { name, clockOffset, intervalMs, kills } = leaf;
  const isNear = ({ time }: Frame): boolean =>
    time > from + clockOffset - BEFORE_MS && time <= to + clockOffset;
  const frames = oracle.frames.filter(isNear);
  const first = frames[0]?.position;
  const marks = oracle.marks.filter(
    ({ position }) => first !== undefined && comparePositions(position, first) >= 0,
  );
  return {
    ...{ leaf: name, ref: oracle.ref, clockOffset, intervalMs, kills, frames, marks },
    ...{ tallies: oracle.tallies, gapsBefore, gaps: [...oracle.gaps] },
  };
}
