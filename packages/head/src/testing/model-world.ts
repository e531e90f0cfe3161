/**
 * A small world of leaves whose frames a head takes in, and beside it what plain arrays say. Tests take
 * random steps in it and compare. `ModelWorld` keeps tiles in a map; subclasses bring a real store.
 */
import {
  EntryKind,
  type Family,
  type GapCause,
  type GroupKind,
  type JournalEntry,
  type StoredTile,
  type TimeRange,
  asDuration,
  asTime,
  comparePositions,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../head.js';
import type { HeadOptions } from '../options.js';
import { JournalScript, type ScriptSample } from './journal-script.js';
import { PlainCollisions } from './plain-collisions.js';
import { type LooseSample, PlainGroup, type PlainTotals } from './plain-group.js';
import { TileStore } from './tile-store.js';

/** So long that windows, silences and days are some steps. */
export const INTERVAL = 600_000;
export const RUN_BREAK = 2 * INTERVAL;
/** Of samples with times of their own. */
export const LATE = 3 * INTERVAL;
const DAY = 24 * 3_600_000;
const HOUR = 3_600_000;
/** A head closes a group that was silent for so long, its journal being further on. */
const IDLE = 40 * 60_000;
/** After a longer silence a leaf begins with a key frame. */
const GROUP_IDLE = 30 * 60_000;
/** What a leaf says of a group that was silent for longer is another group's. */
const GROUP_OVER = DAY / 2;
export const NAMES = ['p', 'q', 'r', 's', 't'];
const URLS = ['http://one/metrics', 'http://two/metrics'];

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

export interface ModelLeaf {
  readonly script: JournalScript;
  /** A target that goes on for ever, a group with times of its own, and pods that come and go. */
  target: PlainGroup;
  loose: PlainGroup;
  pods: PlainGroup[];
  /** All it ever sent. */
  readonly sent: JournalEntry[];
  /** What its own journal still has. */
  readonly kept: JournalEntry[];
  newestTime: number;
}

/** What one delivery holds, and what a head says of it. */
export interface Delivery {
  readonly group: PlainGroup;
  readonly totals: PlainTotals;
}

export class ModelWorld {
  readonly random: (bound: number) => number;
  readonly clock = new VirtualClock();
  readonly store = new TileStore();
  readonly leaves: ModelLeaf[] = [];
  /** All that sent a frame. */
  readonly groups: PlainGroup[] = [];
  readonly collisions = new PlainCollisions(INTERVAL);
  head: Head;
  pending: Array<() => void> = [];
  /** 0 or 1: this leaf does nothing. */
  resting = 2;
  readonly windowMs: number;
  /** What the head told of frames that it cannot decode. */
  lost: string[] = [];
  /** Answers are known exactly from this time on: what is older may have been dropped. */
  exactFrom = 0;
  /** How often a head began, or began anew with one journal. */
  lives = 0;
  /** How often something was sealed, merged or dropped. */
  changes = 0;
  /** The head has all that was sent. */
  isLevel = true;
  /** What a head said that it had not to say; empty. */
  readonly wrong: string[] = [];
  /** Makes names that come once. */
  #named = 0;

  constructor(seed: number, windowMs: number) {
    this.windowMs = windowMs;
    this.random = randomOf(seed);
    this.head = this.newHead();
    for (const digit of ['a', 'b']) {
      const script = new JournalScript(digit);
      const leaf = { script, sent: [], kept: [], pods: [], newestTime: 0 };
      this.leaves.push(leaf as unknown as ModelLeaf);
      this.begin(this.leaves.at(-1)!);
    }
  }

  newHead(): Head {
    return new Head({
      clock: this.clock,
      windowMs: asDuration(this.windowMs),
      tileFrames: 8,
      outOfOrderWindow: asDuration(LATE),
      onTileClosed: (ref, tile) => this.tileClosed(ref, tile),
      onFramesLost: (_, { group, cause, frames }) =>
        void this.lost.push(`${group} ${cause} ${frames}`),
      tileSource: this.tileSource(),
      maxSeries: 10_000,
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

  tileClosed(ref: JournalScript['ref'], tile: StoredTile): void {
    this.store.put(ref, tile);
    // Stored a while later, or never if the process dies first.
    this.pending.push(() => this.head.tileStored(ref, tile.meta));
  }

  /** Groups of a new epoch, or of the first one. */
  begin(leaf: ModelLeaf): void {
    leaf.target = this.newGroup(leaf, 0, NAMES.slice(0, 1 + this.random(3)));
    leaf.loose = this.newGroup(leaf, 0, this.looseNames(), 'loose');
    leaf.pods = [];
  }

  /** Of their own, but for the last one, which a target has as well. */
  looseNames(): string[] {
    const number = ++this.#named;
    return [`u${number}`, `v${number}`, 'p'];
  }

  newGroup(
    { script }: ModelLeaf,
    continues: number,
    names: string[],
    kind: GroupKind = 'aligned',
  ): PlainGroup {
    const isTarget = kind === 'aligned' && NAMES.includes(names[0]);
    const scrapeUrl = isTarget ? URLS[this.random(2)] : '';
    const families = isTarget ? NAMES.map((name) => this.#family(name)) : [];
    const group = script.group({ kind, interval: INTERVAL, continues, scrapeUrl, families });
    group.add(...names.map((name) => ({ __name__: name })));
    const { ref, epoch } = script;
    return new PlainGroup({ ref, epoch, script: group, kind, scrapeUrl, families, names });
  }

  #family(name: string): Family {
    const type = this.random(8) === 0 ? 'counter' : 'gauge';
    return { name, type, help: `what ${name} is`, unit: '' };
  }

  /** One more frame of a group. */
  async frame(leaf: ModelLeaf, group: PlainGroup): Promise<void> {
    const isFirst = group.slotTimes.length === 0;
    const silence = this.clock.now() - group.touchedTime;
    // Where all series have ended, nothing is waited for.
    if (!isFirst && silence > (group.finished ? GROUP_IDLE : GROUP_OVER)) {
      const names = group === leaf.loose ? this.looseNames() : group.names;
      return this.succeed(leaf, group, names);
    }
    if (group.options.kind === 'loose') return this.looseFrame(leaf, group);
    const hasNewSlots = group.slotTimes.length < group.names.length;
    const isBack =
      !hasNewSlots && group.brokenBy === null && this.isRecent(group) && this.random(25) === 0;
    const time = isBack ? group.lastTime - this.random(INTERVAL) : this.clock.now();
    if (time <= group.lastTime && !isBack) return;
    const isEnding = leaf.pods.includes(group) && group.framesSinceKey > 0 && this.random(3) === 0;
    const samples = group.names.map((): ScriptSample => {
      if (isEnding) return 'stale';
      const kind = this.random(12);
      return kind === 0 ? undefined : kind === 1 ? 'stale' : this.random(4);
    });
    const isDue = group.framesSinceKey >= 7 || silence > GROUP_IDLE;
    const isKey = isFirst || hasNewSlots || isDue || this.random(15) === 0;
    group.options.script.frame(time, samples, isKey);
    if (isEnding) leaf.pods = leaf.pods.filter((pod) => pod !== group);
    await this.take(leaf, group, time, () => group.takeAligned(time, samples, isKey));
  }

  /** Whether the leaf has been on it: its clock may have been stepped back a little. */
  isRecent(group: PlainGroup): boolean {
    return this.clock.now() - group.lastTime < 2 * INTERVAL;
  }

  /** How long a head remembers series of a loose group. */
  memoryMs(): number {
    return Math.max(this.windowMs, LATE);
  }

  async looseFrame(leaf: ModelLeaf, group: PlainGroup): Promise<void> {
    const time = this.clock.now();
    const samples: LooseSample[] = [];
    for (let count = 1 + this.random(6); count > 0; count--) {
      const slot = this.random(group.names.length);
      // The last one is a target's series, too, and always on time.
      const isLate = group.names[slot] !== 'p' && this.random(2) === 0;
      // Now and then a time that comes again.
      const at = time - (isLate ? this.random(10) * (INTERVAL >> 1) : 0);
      const rounded = isLate ? Math.floor(at / 60_000) * 60_000 : at;
      const value = this.random(6);
      samples.push([slot, rounded, value === 0 ? 'stale' : value]);
    }
    group.options.script.loose(time, samples);
    await this.take(leaf, group, time, () => group.takeLoose(time, samples, LATE, this.memoryMs()));
  }

  /** Notes a frame that was written, and delivers it. */
  async take(
    leaf: ModelLeaf,
    group: PlainGroup,
    time: number,
    note: () => PlainTotals,
  ): Promise<void> {
    if (group.slotTimes.length === 0) this.groups.push(group);
    leaf.newestTime = Math.max(leaf.newestTime, time);
    const totals = note();
    group.touchedTime = Math.max(group.touchedTime, time);
    await this.deliver(leaf, { group, totals });
    if (this.random(12) === 0) await this.deliverAgain(leaf);
  }

  /** Entries that were written go to the head. */
  async deliver(leaf: ModelLeaf, delivery: Delivery): Promise<void> {
    const entries = this.takeSent(leaf);
    this.apply(leaf, entries, delivery);
  }

  takeSent(leaf: ModelLeaf): JournalEntry[] {
    const entries = leaf.script.take();
    leaf.sent.push(...entries);
    leaf.kept.push(...entries);
    return entries;
  }

  apply(leaf: ModelLeaf, entries: readonly JournalEntry[], { group, totals }: Delivery): void {
    this.lost = [];
    const { repeated, ...said } = this.head.apply(leaf.script.ref, entries);
    // After a restart nobody may know why frames cannot be decoded.
    if (!group.isRestored) {
      const { brokenBy, framesLost, options } = group;
      const lost = `${options.script.id} ${brokenBy} ${framesLost}`;
      this.check(this.lost, totals.undecodable > 0 ? [lost] : []);
    }
    // What a store has not any more, or a head did not look for, samples are not judged by.
    if (group.isForgotten) return;
    this.check(repeated, 0);
    this.check(said, totals);
  }

  /** The last entries once more: an answer was lost. */
  async deliverAgain({ script, kept }: ModelLeaf): Promise<void> {
    const again = kept.slice(-1 - this.random(4));
    const frames = again.filter(({ kind }) => kind === EntryKind.frame).length;
    const nothing = { frames: 0, samples: 0, undecodable: 0, refused: {} };
    this.check(this.head.apply(script.ref, again), { ...nothing, repeated: frames });
  }

  check(said: unknown, expected: unknown): void {
    const [a, b] = [textOf(said), textOf(expected)];
    if (a === b) return;
    let from = 0;
    while (a[from] === b[from]) from++;
    from = Math.max(0, from - 100);
    this.wrong.push(`${a.slice(from, from + 300)} instead of ${b.slice(from, from + 300)}`);
  }

  /** Something goes on as another group: after a rebase, a long silence, a restart of the leaf. */
  async succeed(leaf: ModelLeaf, old: PlainGroup, names: readonly string[]): Promise<void> {
    if (old.slotTimes.length === 0) return;
    const { kind, script } = old.options;
    const group = this.newGroup(leaf, script.id, [...names], kind);
    if (leaf.target === old) leaf.target = group;
    else if (leaf.loose === old) leaf.loose = group;
    else leaf.pods = leaf.pods.map((pod) => (pod === old ? group : pod));
    if (this.random(2) === 0) {
      leaf.script.gap(script.id, this.clock.now(), 'restart');
      old.brokenBy = 'restart';
    }
    this.clock.stepWallClock(1 + this.random(INTERVAL));
    await this.frame(leaf, group);
    old.ended = true;
    old.finished = true;
  }

  /** A target, or a part of it, goes to the other leaf, which sees it for a while together with this one. */
  async move(from: ModelLeaf, to: ModelLeaf): Promise<void> {
    const { names } = from.target;
    await this.succeed(to, to.target, names);
    for (let both = this.random(4); both > 0; both--) {
      this.clock.stepWallClock(1 + this.random(INTERVAL));
      await this.frame(both % 2 === 0 ? from : to, (both % 2 === 0 ? from : to).target);
    }
    this.clock.stepWallClock(1);
    if (this.random(2) === 0) await this.succeed(from, from.target, [NAMES[this.random(5)]]);
  }

  /** The leaf lost its place: everything begins anew. */
  async nextEpoch(leaf: ModelLeaf): Promise<void> {
    leaf.script.nextEpoch();
    this.begin(leaf);
    this.clock.stepWallClock(1 + this.random(INTERVAL));
    await this.frame(leaf, leaf.target);
    const { ref, epoch } = leaf.script;
    for (const group of this.groups) {
      if (group.options.ref !== ref || group.options.epoch === epoch) continue;
      group.ended = true;
      group.finished = true;
    }
  }

  /** A hole in the journal; what builds on what was before it cannot be decoded. */
  gap(leaf: ModelLeaf): void {
    const isAll = this.random(3) === 0;
    const cause: GapCause = (['restart', 'corrupt', 'refused'] as const)[this.random(3)];
    leaf.script.gap(isAll ? 0 : leaf.target.options.script.id, this.clock.now(), cause);
    // Which group lost a frame is not known; its next one does not follow, and says so.
    if (isAll && cause === 'corrupt') return;
    for (const group of this.groups) {
      const { ref, epoch, script, kind } = group.options;
      if (ref !== leaf.script.ref || epoch !== leaf.script.epoch || kind === 'loose') continue;
      if (isAll || script === leaf.target.options.script) group.brokenBy ??= cause;
    }
  }

  async pod(leaf: ModelLeaf): Promise<void> {
    const name = `pod${++this.#named}`;
    const names = [name, `${name}x`];
    // One series twice in an exposition.
    if (this.random(4) === 0) names.push(name);
    const group = this.newGroup(leaf, 0, names);
    leaf.pods.push(group);
    this.clock.stepWallClock(1 + this.random(INTERVAL >> 2));
    await this.frame(leaf, group);
    // Its end is not always told.
    if (leaf.pods.length > 3) leaf.pods.shift();
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
    const patience = Math.max(Math.min(this.windowMs, IDLE), 3 * INTERVAL);
    for (const leaf of this.leaves) {
      for (const group of this.groups) {
        if (group.options.ref !== leaf.script.ref) continue;
        const last = Math.max(group.lastTime, group.touchedTime);
        if (leaf.newestTime - last > patience) group.ended = true;
      }
    }
  }

  async restart(): Promise<void> {
    this.pending = [];
    this.head = this.newHead();
    for (const { script, sent, kept } of this.leaves) {
      const layouts = sent.filter(({ kind }) => kind === EntryKind.layout);
      layouts.sort((a, b) => a.epoch - b.epoch || a.group - b.group || a.sequence - b.sequence);
      this.head.restoreLayouts(script.ref, layouts);
      this.head.restoreTiles(script.ref, this.store.metas(script.ref));
      const recall = this.head.storedTiles.recall(script.ref);
      for (const tile of recall.tiles()) {
        const [bytes] = await this.store.readTiles(script.ref, [tile.meta]);
        if (recall.isWanted(tile)) recall.take(tile, bytes!);
      }
      this.head.apply(script.ref, kept);
      this.noteRestored(script.ref, kept);
    }
    this.collisions.forget();
    // What has ended by silence is found out again.
    this.expire();
  }

  /** A head begins with what a store has of a journal, which still has the entries `kept`. */
  noteRestored(ref: JournalScript['ref'], kept: readonly JournalEntry[]): void {
    this.lives++;
    for (const group of this.groups) {
      const { options, slotTimes, lastTime } = group;
      if (options.ref !== ref) continue;
      group.isRestored = true;
      const newest = Math.max(...this.groups.map((other) => other.lastTime));
      const memory = this.memoryMs();
      const isLongAgo = lastTime < Math.max(newest, this.exactFrom) - memory;
      group.isForgotten ||= options.kind === 'loose' && isLongAgo;
      const own = kept.filter(
        ({ epoch, group: id, kind }) =>
          epoch === options.epoch && id === options.script.id && kind !== EntryKind.gap,
      );
      group.touchedTime = Math.max(lastTime, ...slotTimes, ...own.map(({ time }) => time));
    }
  }

  /** Looks for targets that give the same series; both ways. */
  async look(): Promise<void> {
    const told = await this.head.provenance.collisions();
    const expected = this.collisions.look(this.groups);
    const said = told.map(
      ({ scrapeUrls, ref, count }) => `${scrapeUrls.join(' ')} ${ref} ${count}`,
    );
    // Of a tile that only the store has, it is not known which series its last row has.
    if (!this.groups.some(({ isRestored, ended }) => isRestored && !ended)) {
      this.check(said.sort(), expected);
    }
  }

  async step(): Promise<void> {
    // One leaf at a time has a rest now and then.
    if (this.random(15) === 0) this.resting = this.random(4);
    const leaf = this.leaves[this.resting < 2 ? 1 - this.resting : this.random(2)];
    const what = this.random(1000);
    if (what < 650) {
      this.clock.stepWallClock(1 + this.random(this.random(20) === 0 ? 5 * INTERVAL : INTERVAL));
      await this.frame(leaf, this.pick(leaf));
    } else if (what < 690) {
      const names = NAMES.filter(() => this.random(2) === 0);
      await this.succeed(leaf, leaf.target, names.length > 0 ? names : ['p']);
    } else if (what < 700) await this.succeed(leaf, leaf.loose, this.looseNames());
    else if (what < 715) await this.move(leaf, this.leaves[1 - this.leaves.indexOf(leaf)]);
    else if (what < 745) this.addSlot(leaf.target);
    else if (what < 775) await this.pod(leaf);
    else if (what < 780) await this.nextEpoch(leaf);
    else if (what < 790) this.gap(leaf);
    else if (what < 840) await this.reportStored();
    else if (what < 890) await this.trim(leaf);
    else if (what < 930) this.expire();
    else if (what < 945) await this.look();
    else if (what < 951) this.clock.stepWallClock(this.windowMs);
    else if (what < 955) this.clock.stepWallClock(DAY + this.random(4) * HOUR);
    else if (what < 975) await this.restart();
    else await this.more();
  }

  pick({ target, loose, pods }: ModelLeaf): PlainGroup {
    const what = this.random(10);
    if (what < 6) return target;
    return what < 8 || pods.length === 0 ? loose : pods[this.random(pods.length)];
  }

  addSlot(group: PlainGroup): void {
    if (group.slotTimes.length === 0) return;
    const more = NAMES.filter((name) => !group.names.includes(name)).slice(0, 1);
    group.names.push(...more);
    group.options.script.add(...more.map((name) => ({ __name__: name })));
  }

  /** What else may happen. */
  async more(): Promise<void> {}

  range(): TimeRange {
    if (this.random(3) === 0) return { minTime: asTime(0), maxTime: asTime(8.64e15) };
    const a = this.clock.now() - this.random(60 * INTERVAL);
    return { minTime: asTime(a), maxTime: asTime(a + this.random(30 * INTERVAL)) };
  }
}

/** One text for what is equal: keys in order, nothing left out. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
