/**
 * When a parent says that a journal is complete up to some time, it answers every sample of it that was or will be
 * journalled with a time up to there, or its ledger names the gap. Asked at moments in the middle of runs.
 *
 * Does not check: leaves whose clock was set; what a store lost of its own writer's journal.
 */
import type { Probe } from '../probes.js';
import { covers } from '../level.js';
import { type Checker, type Outcome, isClockSet } from './outcome.js';

const FAULTS_MAX = 3;

export const watermarks: Checker = (outcome) =>
  outcome.probes.flatMap((probe) => unseen(outcome, probe).slice(0, FAULTS_MAX));

function unseen(
  outcome: Outcome,
  { machine, at, series, watermarks: marks, takes }: Probe,
): string[] {
  const faults: string[] = [];
  const level = outcome.levels.find((other) => other.machine === machine);
  for (const [ref, mark] of marks) {
    const truth = outcome.history.truths.get(ref);
    if (truth === undefined || isClockSet(outcome, truth.writer)) continue;
    if (truth.wentBack) continue;
    const gaps = [...(level?.ledgers.get(ref)?.gaps ?? []), ...truth.gaps];
    for (const [key, { labels, samples }] of truth.series) {
      if (!takes(labels.get('__name__')!)) continue;
      const times = new Set(series.get(key)?.times ?? []);
      const others = [...outcome.history.truths.values()].some(
        (other) => other !== truth && other.series.has(key),
      );
      // Of two leaves that have a series, one is shown.
      if (others) continue;
      for (const { time } of samples) {
        if (time > mark || times.has(time) || gaps.some((gap) => covers(gap, time))) continue;
        faults.push(`${machine.name} at ${at}: complete up to ${mark}, without ${key} at ${time}`);
        break;
      }
    }
  }
  return faults;
}
