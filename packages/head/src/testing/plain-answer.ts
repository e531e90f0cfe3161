/** What a select has to answer, by the rules written out, sample by sample, in quadratic time. */
import type { Family, LastSnapshot, Snapshot, TimeRange } from '@canopy/model';
import type { PlainGroup, PlainSample } from './plain-group.js';

/** By metric name, which is all that series of these tests are named by. */
export type Answer = Record<string, Array<[time: number, value: number | null]>>;

/** `runBreak`: a longer silence ends a run of samples. Milliseconds. */
export function plainAnswer(
  groups: readonly PlainGroup[],
  { minTime, maxTime }: TimeRange,
  runBreak: number,
): Answer {
  const answer: Answer = {};
  for (const [name, known] of byName(groups)) {
    const newest = Math.max(...known.map((group) => group.lastTime));
    const origins = known.filter((group) => group.samples.get(name)?.length).sort(precedence(name));
    const covers = (group: PlainGroup, time: number): boolean => {
      const samples = group.samples.get(name)!;
      const before = samples.findLast((sample) => sample.time <= time);
      if (before === undefined || before.value === null) return false;
      if (before.time === time) return true;
      const next = samples.find((sample) => sample.time > time);
      if (next === undefined) return !group.ended && newest <= before.time + runBreak;
      return next.value !== null && next.time - before.time <= runBreak;
    };
    const here = (group: PlainGroup, time: number): PlainSample | undefined =>
      group.samples.get(name)!.find((sample) => sample.time === time);
    const times = new Set(
      origins.flatMap((group) => group.samples.get(name)!.map((sample) => sample.time)),
    );
    const shown: Answer[string] = [];
    for (const time of [...times].sort((a, b) => a - b)) {
      if (time < minTime || time > maxTime) continue;
      const owner = origins.find((group) => covers(group, time));
      if (owner === undefined) shown.push([time, null]);
      else if (here(owner, time) !== undefined) shown.push([time, here(owner, time)!.value]);
    }
    if (shown.length > 0) answer[name] = shown;
  }
  return answer;
}

/** Groups whose layout has a name, by name. */
function byName(groups: readonly PlainGroup[]): Map<string, PlainGroup[]> {
  const found = new Map<string, PlainGroup[]>();
  for (const group of groups) {
    for (const name of new Set(group.names.slice(0, group.slotTimes.length))) {
      const list = found.get(name);
      if (list === undefined) found.set(name, [group]);
      else list.push(group);
    }
  }
  return found;
}

/** The earlier slot first; then by journal, epoch and number. */
function precedence(name: string): (a: PlainGroup, b: PlainGroup) => number {
  const slotTime = (group: PlainGroup): number => group.slotTimes[group.names.indexOf(name)];
  return (a, b) =>
    slotTime(a) - slotTime(b) ||
    (a.options.ref < b.options.ref ? -1 : a.options.ref > b.options.ref ? 1 : 0) ||
    a.options.epoch - b.options.epoch ||
    a.options.script.id - b.options.script.id;
}

/** Samples of `answer` that no group ever said, taken or refused; as text. */
export function invented(groups: readonly PlainGroup[], answer: Answer): string[] {
  const said = new Set<string>();
  const textOf = (name: string, time: number, value: number | null): string =>
    `${name} ${time}: ${value}`;
  for (const group of groups) {
    for (const [name, samples] of group.samples) {
      for (const { time, value } of samples) {
        said.add(textOf(name, time, value));
        // Of two that end at one time, a stale mark is shown.
        said.add(textOf(name, time, null));
      }
    }
    for (const { name, time, value } of group.refused) said.add(textOf(name, time, value));
  }
  return Object.entries(answer)
    .flatMap(([name, samples]) => samples.map(([time, value]) => textOf(name, time, value)))
    .filter((text) => !said.has(text));
}

/**
 * An answer without samples that were too old or doubled, of groups whose past a head does not know: it may take them
 * in after all. Such series come in one group only.
 */
export function withoutRefused(
  groups: readonly PlainGroup[],
  answer: Answer,
  expected: Answer,
): Answer {
  const extra = new Set<string>();
  for (const { isForgotten, refused } of groups) {
    if (isForgotten) for (const { name, time } of refused) extra.add(`${name} ${time}`);
  }
  const rest: Answer = {};
  for (const [name, samples] of Object.entries(answer)) {
    const known = new Set(expected[name]?.map(([time]) => time));
    rest[name] = samples.filter(([time]) => known.has(time) || !extra.has(`${name} ${time}`));
    if (rest[name].length === 0) delete rest[name];
  }
  return rest;
}

/** The part of an answer from a time on. */
export function since(answer: Answer, minTime: number): Answer {
  const part: Answer = {};
  for (const [name, samples] of Object.entries(answer)) {
    const rest = samples.filter(([time]) => time >= minTime);
    if (rest.length > 0) part[name] = rest;
  }
  return part;
}

/** What a snapshot answers, and the family that each series comes with. */
export async function answerOf(
  snapshot: Snapshot,
  range: TimeRange,
  families?: Map<string, Family | undefined>,
): Promise<Answer> {
  const answer: Answer = {};
  for (const series of await snapshot.select([], range)) {
    const { labels, times, values, states, from, to } = series;
    const name = labels[1];
    const samples: Answer[string] = [];
    for (let i = from; i < to; i++) {
      const state = states === null ? 1 : states[i];
      if (state !== 0) samples.push([times[i], state === 2 ? null : values[i]]);
    }
    if (answer[name] !== undefined) throw new Error(`series ${name} came twice`);
    if (samples.length === 0) continue;
    answer[name] = samples;
    families?.set(name, series.family);
  }
  return answer;
}

/** What `last` says in place of an answer: the newest sample of each series, but for those that are stale. */
export async function lastOf(snapshot: LastSnapshot, range: TimeRange): Promise<Answer> {
  const answer: Answer = {};
  const last = await snapshot.last([[]], range);
  const columns = { values: new Float64Array(9), times: new Float64Array(9), families: [] };
  for (const [name, series] of last.metrics) {
    await last.read(series, 0, series.length, columns);
    last.labels.load(series[0]);
    if (last.labels.text(last.labels.numbers[1]) !== name) throw new Error(`no name of ${name}`);
    if (!Number.isNaN(columns.times[0])) answer[name] = [[columns.times[0], columns.values[0]]];
  }
  return answer;
}

/** The same of an answer. */
export function newestIn(answer: Answer): Answer {
  const newest = Object.entries(answer).map(([name, samples]) => [name, samples.slice(-1)]);
  return Object.fromEntries(newest.filter(([, [sample]]) => sample[1] !== null)) as Answer;
}

/** Descriptions that a head has to tell of, by name: those of groups that have not ended. As text, sorted. */
export function plainMetadata(groups: readonly PlainGroup[]): string[] {
  const told = new Set<string>();
  for (const { ended, slotTimes, options } of groups) {
    if (!ended && slotTimes.length > 0)
      for (const family of options.families) told.add(say(family));
  }
  return [...told].sort();
}

/** Families that describe a series in any group that has it; as text. */
export function familiesOf(groups: readonly PlainGroup[], name: string): Set<string> {
  const found = new Set<string>();
  for (const { names, options } of groups) {
    if (!names.includes(name)) continue;
    found.add(say(options.families.find((family) => family.name === name)));
  }
  return found;
}

export const say = (family: Family | undefined): string =>
  family === undefined ? '' : `${family.name} ${family.type} ${family.help}`;
