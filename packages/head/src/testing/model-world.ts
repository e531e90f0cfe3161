/**
 * A small world of leaves whose frames a head takes in, and beside it what plain arrays say. Tests take
 * random steps in it and compare. `ModelWorld` keeps tiles in a map; subclasses bring a real store.
 */
import {
  type JournalEntry,
  type JournalRef,
  type LastSnapshot,
  type Snapshot,
  type StoredTile,
  type TimeRange,
  asDuration,
  asTime,
  comparePositions,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../head.js';
import type { HeadOptions } from '../options.js';
import { JournalScript, type ScriptGroup, type ScriptSample } from './journal-script.js';
import { TileStore } from './tile-store.js';

export const INTERVAL = 1000;
export const RUN_BREAK = 2 * INTERVAL;
export const NAMES = ['p', 'q', 'r', 's', 't'];

/** mulberry32. */
export function randomOf(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * bound);
  };
}

export interface ModelSample {
  readonly time: number;
  /** Null: a stale mark. */
  readonly value: number | null;
}

export interface ModelGroup {
  readonly ref: JournalRef;
  readonly script: ScriptGroup;
  readonly names: string[];
  /** When each name's slot was journalled. */
  readonly slotTimes: number[];
  readonly samples: Map<string, ModelSample[]>;
  lastTime: number;
  ended: boolean;
  framesSinceKey: number;
}

export interface ModelLeaf {
  readonly script: JournalScript;
  group: ModelGroup;
  readonly kept: JournalEntry[];
  readonly layouts: JournalEntry[];
  newestTime: number;
}

export type Answer = Record<string, Array<[time: number, value: number | null]>>;

/** The answer by the rules written out, sample by sample, in quadratic time. */
export function plainAnswer(groups: readonly ModelGroup[], range: TimeRange): Answer {
  const answer: Answer = {};
  for (const name of NAMES) {
    const origins = groups
      .filter((group) => group.samples.get(name)?.length)
      .map((group) => ({ group, slotTime: group.slotTimes[group.names.indexOf(name)] }))
      .sort((a, b) => a.slotTime - b.slotTime || (a.group.ref < b.group.ref ? -1 : 1));
    const known = groups.filter((g) => g.names.indexOf(name) in g.slotTimes);
    const newest = Math.max(...known.map((group) => group.lastTime));
    const covers = (group: ModelGroup, time: number): boolean => {
      const samples = group.samples.get(name)!;
      const before = samples.findLast((sample) => sample.time <= time);
      if (before === undefined || before.value === null) return false;
      if (before.time === time) return true;
      const next = samples.find((sample) => sample.time > time);
      if (next === undefined) return !group.ended && newest <= before.time + RUN_BREAK;
      return next.value !== null && next.time - before.time <= RUN_BREAK;
    };
    const times = new Set(
      origins.flatMap(({ group }) => group.samples.get(name)!.map((sample) => sample.time)),
    );
    const shown: Array<[number, number | null]> = [];
    for (const time of [...times].sort((a, b) => a - b)) {
      if (time < range.minTime || time > range.maxTime) continue;
      const owner = origins.find(({ group }) => covers(group, time));
      const here = (group: ModelGroup) =>
        group.samples.get(name)!.find((sample) => sample.time === time);
      if (owner === undefined) shown.push([time, null]);
      else if (here(owner.group) !== undefined) shown.push([time, here(owner.group)!.value]);
    }
    if (shown.length > 0) answer[name] = shown;
  }
  return answer;
}

export class ModelWorld {
  readonly random: (bound: number) => number;
  readonly clock = new VirtualClock();
  readonly store = new TileStore();
  readonly leaves: ModelLeaf[] = [];
  readonly groups: ModelGroup[] = [];
  head: Head;
  pending: Array<() => void> = [];
  /** 0 or 1: this leaf does nothing. */
  resting = 2;

  readonly windowMs: number;

  constructor(seed: number, windowMs: number) {
    this.windowMs = windowMs;
    this.random = randomOf(seed);
    this.head = this.newHead();
    for (const digit of ['a', 'b']) {
      const script = new JournalScript(digit);
      const leaf = { script, kept: [], layouts: [], newestTime: 0 } as unknown as ModelLeaf;
      leaf.group = this.newGroup(leaf, 0, NAMES.slice(0, 1 + this.random(3)));
      this.leaves.push(leaf);
    }
  }

  newHead(): Head {
    return new Head({
      clock: this.clock,
      windowMs: asDuration(this.windowMs),
      tileFrames: 8,
      outOfOrderWindow: asDuration(0),
      onTileClosed: (ref, tile) => this.tileClosed(ref, tile),
      tileSource: this.tileSource(),
      maxSeries: 100,
      // With little room what was mounted leaves as soon as nobody uses it.
      archiveBytesMax: [1, 2000, 1 << 20][this.random(3)],
      tileCacheBytesMax: [1, 200, 1 << 20][this.random(3)],
      columnCacheBytesMax: [1, 20_000, 1 << 24][this.random(3)],
      // Sealed until the next one closes: the clock fires no timers here.
      tileCellsAtOnce: [1, 12, 1000][this.random(3)],
    });
  }

  tileSource(): HeadOptions['tileSource'] {
    return this.store;
  }

  tileClosed(ref: JournalRef, tile: StoredTile): void {
    this.store.put(ref, tile);
    // Stored a while later, or never if the process dies first.
    this.pending.push(() => this.head.tileStored(ref, tile.meta));
  }

  newGroup(leaf: ModelLeaf, continues: number, names: string[]): ModelGroup {
    const script = leaf.script.group({ interval: INTERVAL, continues });
    script.add(...names.map((name) => ({ __name__: name })));
    const group: ModelGroup = {
      ref: leaf.script.ref,
      script,
      names,
      slotTimes: [],
      samples: new Map(),
      lastTime: Number.NEGATIVE_INFINITY,
      ended: false,
      framesSinceKey: 0,
    };
    return group;
  }

  async frame(leaf: ModelLeaf): Promise<void> {
    const { group } = leaf;
    const time = this.clock.now();
    if (time <= group.lastTime) return;
    const first = group.lastTime === Number.NEGATIVE_INFINITY;
    while (group.slotTimes.length < group.names.length) group.slotTimes.push(time);
    const samples = group.names.map((): ScriptSample => {
      const kind = this.random(12);
      return kind === 0 ? undefined : kind === 1 ? 'stale' : this.random(4);
    });
    const key = group.framesSinceKey >= 7 || this.random(15) === 0;
    group.script.frame(time, samples, key);
    group.framesSinceKey = key || first ? 1 : group.framesSinceKey + 1;
    group.lastTime = time;
    group.ended = false;
    leaf.newestTime = time;
    if (first) this.groups.push(group);
    group.names.forEach((name, slot) => {
      const sample = samples[slot];
      if (sample === undefined) return;
      let list = group.samples.get(name);
      if (list === undefined) group.samples.set(name, (list = []));
      list.push({ time, value: sample === 'stale' ? null : sample });
    });
    await this.deliver(leaf);
  }

  async deliver(leaf: ModelLeaf): Promise<void> {
    const entries = leaf.script.take();
    leaf.kept.push(...entries);
    leaf.layouts.push(...entries.filter((entry) => entry.kind === 1));
    this.head.apply(leaf.script.ref, entries);
  }

  /** The target goes on as another group: after a rebase or a restart of the leaf. */
  async succeed(leaf: ModelLeaf, restart: boolean): Promise<void> {
    const old = leaf.group;
    if (old.lastTime === Number.NEGATIVE_INFINITY) return;
    const names = NAMES.filter(() => this.random(2) === 0);
    leaf.group = this.newGroup(leaf, old.script.id, names.length > 0 ? names : ['p']);
    if (restart) leaf.script.gap(old.script.id, this.clock.now(), 'restart');
    this.clock.stepWallClock(1 + this.random(900));
    await this.frame(leaf);
    old.ended = true;
  }

  async reportStored(): Promise<void> {
    for (const report of this.pending) report();
    this.pending = [];
  }

  async trim(leaf: ModelLeaf): Promise<void> {
    const upTo = this.head.trimmable(leaf.script.ref);
    while (leaf.kept.length > 0 && comparePositions(leaf.kept[0], upTo) <= 0) leaf.kept.shift();
  }

  expire(): void {
    this.head.expire(this.clock.now());
    for (const leaf of this.leaves) {
      for (const group of this.groups) {
        if (group.ref !== leaf.script.ref) continue;
        if (leaf.newestTime - group.lastTime > this.windowMs) group.ended = true;
      }
    }
  }

  async restart(): Promise<void> {
    this.pending = [];
    this.head = this.newHead();
    for (const { script, layouts, kept } of this.leaves) {
      this.head.restoreLayouts(script.ref, layouts);
      this.head.restoreTiles(script.ref, this.store.metas(script.ref));
      this.head.apply(script.ref, kept);
    }
    // What has ended by silence is found out again.
    this.expire();
  }

  async step(): Promise<void> {
    // One leaf at a time has a rest now and then.
    if (this.random(15) === 0) this.resting = this.random(4);
    const leaf = this.leaves[this.resting < 2 ? 1 - this.resting : this.random(2)];
    const what = this.random(100);
    if (what < 70) {
      this.clock.stepWallClock(1 + this.random(this.random(20) === 0 ? 5000 : 800));
      await this.frame(leaf);
    } else if (what < 75) await this.succeed(leaf, this.random(2) === 0);
    else if (what < 78) {
      const more = NAMES.filter((name) => !leaf.group.names.includes(name)).slice(0, 1);
      leaf.group.names.push(...more);
      leaf.group.script.add(...more.map((name) => ({ __name__: name })));
    } else if (what < 84) await this.reportStored();
    else if (what < 90) await this.trim(leaf);
    else if (what < 95) this.expire();
    else if (what < 96) this.clock.stepWallClock(this.windowMs);
    else if (what < 98) await this.restart();
    else await this.more();
  }

  /** What else may happen, two steps of a hundred. */
  async more(): Promise<void> {}

  range(): TimeRange {
    if (this.random(3) === 0) return { minTime: asTime(0), maxTime: asTime(8.64e15) };
    const a = this.clock.now() - this.random(60_000);
    return { minTime: asTime(a), maxTime: asTime(a + this.random(30_000)) };
  }
}

export async function answerOf(snapshot: Snapshot, range: TimeRange): Promise<Answer> {
  const answer: Answer = {};
  for (const series of await snapshot.select([], range)) {
    const { labels, times, values, states, from, to } = series;
    const samples: Answer[string] = [];
    for (let i = from; i < to; i++) {
      const state = states === null ? 1 : states[i];
      if (state !== 0) samples.push([times[i], state === 2 ? null : values[i]]);
    }
    if (answer[labels[1]] !== undefined) throw new Error(`series ${labels[1]} came twice`);
    if (samples.length > 0) answer[labels[1]] = samples;
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
