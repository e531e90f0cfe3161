/**
 * A scrape is atomic at every level, in the end and in what was read in the middle of a run from a snapshot: where one
 * series of a scrape is there, all of it are, with the values that belong to its number.
 *
 * Does not check: times at which two runs have the target, or one may still go on (one of them is shown, series by series).
 */
import { SampleState } from '@canopy/model';
import { seriesAt } from '../exporter.js';
import type { ReadSeries } from '../level.js';
import { type Checker, instanceOf, isContested, runsByInstance } from './outcome.js';

const FAULTS_MAX = 3;

export const atomic: Checker = (outcome) => {
  const runs = runsByInstance(outcome);
  const views = [
    ...outcome.levels.map((level) => ({ ...level, name: level.machine.name })),
    ...outcome.probes.map((probe) => ({ ...probe, name: `${probe.machine.name} at ${probe.at}` })),
  ];
  return views.flatMap(({ name, series, takes }) => {
    const faults: string[] = [];
    for (const [instance, found] of byInstance(series)) {
      const own = runs.get(instance) ?? [];
      const isClear = (time: number): boolean => !isContested(own, time);
      for (const text of broken(found, takes, isClear)) faults.push(`${name} ${instance}: ${text}`);
    }
    return faults.slice(0, FAULTS_MAX);
  });
};

type Found = Map<number, Map<string, number>>;

/** By instance, then time: values by name and labels. */
function byInstance(series: ReadonlyMap<string, ReadSeries>): Map<string, Found> {
  const all = new Map<string, Found>();
  for (const { labels, times, values, states } of series.values()) {
    if (labels.get('job') !== 'farm') continue;
    const name = labels.get('__name__')!;
    if (name === 'up' || (name.startsWith('scrape_') && name !== 'scrape_number')) continue;
    const instance = instanceOf(labels);
    let found = all.get(instance);
    if (found === undefined) all.set(instance, (found = new Map()));
    const generation = labels.get('generation');
    const key =
      generation === undefined
        ? name
        : `${name}{generation="${generation}",part="${labels.get('part')}"}`;
    for (let i = 0; i < times.length; i++) {
      if (states[i] !== SampleState.value) continue;
      let scrape = found.get(times[i]);
      if (scrape === undefined) found.set(times[i], (scrape = new Map()));
      scrape.set(key, values[i]);
    }
  }
  return all;
}

function broken(
  found: Found,
  takes: (name: string) => boolean,
  isClear: (time: number) => boolean,
): string[] {
  const faults: string[] = [];
  for (const [time, scrape] of found) {
    if (!isClear(time)) continue;
    const number = scrape.get('scrape_number');
    if (number === undefined) {
      faults.push(`at ${time} ${[...scrape.keys()].join(' ')} without a number`);
      continue;
    }
    const expected = seriesAt(number).filter(({ series }) => takes(series.name));
    for (const { series, value } of expected) {
      const key = series.name + series.labels;
      if (!scrape.has(key)) faults.push(`at ${time} scrape ${number} without ${key}`);
      else if (!Object.is(scrape.get(key), value)) {
        faults.push(`at ${time} ${key} of scrape ${number} is ${scrape.get(key)}, not ${value}`);
      }
    }
    if (scrape.size !== expected.length) faults.push(`at ${time} scrape ${number} has more`);
  }
  return faults;
}
