/**
 * Every journalled sample is at every level above, once, at its time, with its state and exact value, or in a gap that
 * the level's ledger names for its journal. Nothing is there that was not journalled.
 *
 * Does not check: what a store lost of its own writer's journal before others had it (it may be there or not; a gap is
 * asked for by `answered`); which of two runs wins where they have a series at the same time, only that one does.
 */
import { type GapRecord, SampleState, comparePositions } from '@canopy/model';
import { type Level, type ReadSeries, covers } from '../level.js';
import type { Run, Truth, TrueSample } from '../truth.js';
import {
  type Checker,
  type Outcome,
  RUN_BREAK_INTERVALS,
  isOver,
  owedUpTo,
  truthsBelow,
} from './outcome.js';

const FAULTS_MAX = 5;

export const complete: Checker = (outcome) =>
  outcome.levels.flatMap((level) => {
    const faults: string[] = [];
    const truths = truthsBelow(outcome, level);
    for (const [key, { labels, samples }] of trueSeries(truths, level)) {
      const name = labels.get('__name__') ?? '';
      if (!level.takes(name)) continue;
      const read = level.series.get(key);
      for (const text of compare(outcome, level, samples, read)) {
        faults.push(`${level.machine.name} ${key}: ${text}`);
      }
    }
    const known = new Set(truths.flatMap(({ series }) => [...series.keys()]));
    for (const key of level.series.keys()) {
      if (!known.has(key)) faults.push(`${level.machine.name} ${key}: never journalled`);
    }
    return faults.slice(0, FAULTS_MAX);
  });

function trueSeries(
  truths: readonly Truth[],
  _level: Level,
): Map<string, { labels: ReadonlyMap<string, string>; samples: TrueSample[] }> {
  const all = new Map<string, { labels: ReadonlyMap<string, string>; samples: TrueSample[] }>();
  for (const { series } of truths) {
    for (const [key, { labels, samples }] of series) {
      const known = all.get(key);
      if (known === undefined) all.set(key, { labels, samples: [...samples] });
      else known.samples.push(...samples);
    }
  }
  return all;
}

const isSame = (sample: TrueSample, read: ReadSeries, i: number): boolean =>
  sample.state === read.states[i] &&
  (sample.state === SampleState.stale || Object.is(sample.value, read.values[i]));

function compare(
  outcome: Outcome,
  level: Level,
  samples: readonly TrueSample[],
  read: ReadSeries | undefined,
): string[] {
  const faults: string[] = [];
  const runs = new Set(samples.map(({ run }) => run));
  const byTime = new Map<number, TrueSample[]>();
  for (const sample of samples) {
    const list = byTime.get(sample.time);
    if (list === undefined) byTime.set(sample.time, [sample]);
    else list.push(sample);
  }
  const there = new Map<number, number>();
  for (let i = 0; i < (read?.times.length ?? 0); i++) {
    const time = read!.times[i];
    if (i > 0 && time <= read!.times[i - 1]) faults.push(`twice or out of order at ${time}`);
    there.set(time, i);
    const origins = byTime.get(time);
    if (origins === undefined) faults.push(`never journalled at ${time}`);
    else if (!origins.some((sample) => isSame(sample, read!, i))) {
      faults.push(`at ${time} ${read!.values[i]} (${read!.states[i]}), not ${textOf(origins)}`);
    }
  }
  const isOwed = ({ run, position }: TrueSample): boolean =>
    comparePositions(position, owedUpTo(outcome, level, run.ref)) <= 0;
  const owed = samples.filter(isOwed);
  // What its writer's store lost tells nobody that another run is over, unless the level has it all the same.
  const known = owed.filter(({ isLost, time }) => !isLost || there.has(time));
  const newest = known.reduce((most, { time }) => Math.max(most, time), 0);
  for (const sample of owed) {
    if (there.has(sample.time) || (sample.isLost && !isLeft(outcome, sample))) continue;
    const { run, time, position } = sample;
    if (isHidden(runs, run, time, newest) || isNamed(outcome, level, run, time)) continue;
    const place = `${run.ref.slice(0, 4)} ${position.epoch}-${position.sequence}`;
    faults.push(`missing at ${time} (${place}, ${textOf([sample])})`);
  }
  return faults;
}

/** Nobody tells of what the store of its writer lost of a journal that is over; who has it must have all of it. */
const isLeft = ({ hierarchy, history }: Outcome, { run }: TrueSample): boolean =>
  isOver(hierarchy, history.truths.get(run.ref)!);

const textOf = (samples: readonly TrueSample[]): string =>
  samples.map(({ value, state }) => `${value} (${state})`).join(' or ');

/**
 * Another run has the series at that time; the earlier one wins. One that may still go on has it from its last frame on, as
 * long as nothing is known that came later than it could be silent.
 */
function isHidden(runs: ReadonlySet<Run>, own: Run, time: number, newest: number): boolean {
  for (const run of runs) {
    if (run === own || time < run.first) continue;
    const isOpen = newest <= run.last + RUN_BREAK_INTERVALS * run.interval;
    if (time <= run.last || isOpen) return true;
  }
  return false;
}

function isNamed({ history }: Outcome, level: Level, run: Run, time: number): boolean {
  const truth = history.truths.get(run.ref);
  const isOfTarget = ({ group }: GapRecord): boolean =>
    group === 0 || truth?.targets.get(group) === run.target;
  const gaps = level.ledgers.get(run.ref)?.gaps ?? [];
  return gaps.some((gap) => covers(gap, time) && isOfTarget(gap));
}
