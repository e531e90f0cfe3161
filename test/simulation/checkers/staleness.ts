/**
 * A series that is not in a scrape any more, by the exporter's own law, ends there: at every level its stale mark has
 * the time of that very scrape; where a scrape failed, all series of the target end.
 *
 * Does not check: between two runs (a restart knows nothing of what was there before); times at which two runs have the
 * target; across a gap that the level's ledger names: the mark may be in it.
 */
import { SampleState } from '@canopy/model';
import type { Level } from '../level.js';
import type { Run } from '../truth.js';
import { type Checker, instanceOf, isContested, runsByInstance } from './outcome.js';

const FAULTS_MAX = 3;

export const staleness: Checker = (outcome) => {
  const runs = runsByInstance(outcome);
  return outcome.levels
    .filter(({ machine }) => machine.name !== 'f')
    .flatMap((level) => unended(level, runs).slice(0, FAULTS_MAX));
};

function unended(
  { machine, series, ledgers }: Level,
  runs: ReadonlyMap<string, readonly Run[]>,
): string[] {
  const faults: string[] = [];
  for (const up of series.values()) {
    if (up.labels.get('__name__') !== 'up' || up.labels.get('job') !== 'farm') continue;
    const instance = instanceOf(up.labels);
    const own = runs.get(instance) ?? [];
    for (const read of series.values()) {
      const name = read.labels.get('__name__')!;
      if (read.labels.get('job') !== 'farm' || instanceOf(read.labels) !== instance) continue;
      if (name === 'up') continue;
      const states = new Map(Array.from(read.times, (time, i) => [time, read.states[i]]));
      for (let i = 1; i < up.times.length; i++) {
        const [before, time] = [up.times[i - 1], up.times[i]];
        if (states.get(before) !== SampleState.value || states.has(time)) continue;
        const run = own.find(({ first, last }) => first <= before && before <= last);
        if (run === undefined || time > run.last) continue;
        if (isContested(own, before) || isContested(own, time)) continue;
        const gaps = ledgers.get(run.ref)?.gaps ?? [];
        if (gaps.some(({ from, to }) => from < time && before < to)) continue;
        faults.push(`${machine.name} ${instance}: ${name} of ${before} has no end at ${time}`);
      }
    }
  }
  return faults;
}
