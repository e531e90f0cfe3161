/** Where what a head holds comes from: journals, groups, and series that two targets give at once. */
import {
  type Clock,
  type Epoch,
  type GroupId,
  type GroupMeta,
  type JournalRef,
  type Matcher,
  formatLabels,
} from '@canopy/model';
import type { Group } from './group/group.js';
import type { JournalGroups } from './journal-groups.js';
import { Breath } from './select/breath.js';
import type { Origins } from './series/origins.js';
import type { SeriesIndex } from './series/series-index.js';

/** Two targets of different URLs give the same series, and have done so for more than two intervals. */
export interface HeadCollision {
  /** The journal of the target that came later, whose samples are not shown. */
  readonly ref: JournalRef;
  /** One of the series, as text. */
  readonly series: string;
  readonly count: number;
  readonly scrapeUrls: readonly [shown: string, hidden: string];
  /** When both had it. Milliseconds. */
  readonly from: number;
}

/** Two groups that have a series now. */
interface Overlap {
  readonly shown: Group;
  readonly hidden: Group;
  from: number;
  /** Newest time that both had when this was noticed, or from which on both had the first of the series. */
  since: number;
  readonly series: number;
  count: number;
  isTold: boolean;
}

/** Pairs of groups looked at in one round; more are left for when these have gone. */
const OVERLAPS_MAX = 1000;
/** Intervals that an overlap may last: a target that moves has one. */
const OVERLAP_INTERVALS = 2;
/** Pulled journals may be as far apart, however short the interval, though one of them does not get on. */
const STILL_MS = 30_000;
/** Where a group has no interval. Milliseconds. */
const INTERVAL_UNKNOWN = 60_000;

export interface ProvenanceParts {
  readonly clock: Clock;
  readonly journals: ReadonlyMap<JournalRef, JournalGroups>;
  /** By handle. */
  readonly groups: ReadonlyArray<Group | undefined>;
  readonly series: SeriesIndex;
  readonly origins: Origins;
}

export class Provenance {
  readonly #parts: ProvenanceParts;
  #overlaps = new Map<string, Overlap>();
  /** The newest time of groups that share a series with others, when that was looked at last. */
  #lastTimes = new Map<Group, number>();

  constructor(parts: ProvenanceParts) {
    this.#parts = parts;
  }

  /** What a group's layout says of it; undefined where the head has none. */
  groupOf(ref: JournalRef, epoch: Epoch, group: GroupId): GroupMeta | undefined {
    return this.#parts.journals.get(ref)?.find(epoch, group)?.meta;
  }

  /**
   * Journals that a select may be waiting for: that have a series which matches any of the sets, and either may go on
   * or have a sample at or after `minTime`. Of what is in memory.
   */
  async journalsOf(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    minTime: number,
  ): Promise<Set<JournalRef>> {
    const { clock, series, origins, groups } = this.#parts;
    const breath = new Breath(clock);
    const found = new Set<JournalRef>();
    const seen = new Set<number>();
    for (const matchers of matcherSets) {
      const refs = series.match(matchers);
      for (let i = 0; i < refs.length; i++) {
        if ((i & 1023) === 1023) await breath.take();
        for (let at = origins.first(refs[i]); at >= 0; at = origins.next(at)) {
          const handle = origins.group(at);
          if (seen.has(handle)) continue;
          seen.add(handle);
          const group = groups[handle];
          if (group === undefined || group.released) continue;
          if (!group.ended || group.lastTime >= minTime) found.add(group.ref);
        }
      }
    }
    return found;
  }

  /**
   * Looks for series that two targets give; what has lasted too long since earlier calls is returned, once.
   * To be called now and then, not concurrently.
   */
  async collisions(): Promise<HeadCollision[]> {
    const { clock, origins } = this.#parts;
    const breath = new Breath(clock);
    const overlaps = new Map<string, Overlap>();
    const lastTimes = new Map<Group, number>();
    for (let ref = 0; ref < origins.bound; ref++) {
      if ((ref & 4095) === 4095) await breath.take();
      const first = origins.first(ref);
      // Fast path: nearly all series have one origin.
      if (first < 0 || origins.next(first) < 0) continue;
      this.#look(ref, overlaps, lastTimes);
    }
    this.#overlaps = overlaps;
    this.#lastTimes = lastTimes;
    return [...overlaps.values()].flatMap((overlap) => this.#ripe(overlap) ?? []);
  }

  #look(ref: number, overlaps: Map<string, Overlap>, lastTimes: Map<Group, number>): void {
    const { origins, groups } = this.#parts;
    const alive: Array<[group: Group, slot: number]> = [];
    for (let at = origins.first(ref); at >= 0; at = origins.next(at)) {
      const group = groups[origins.group(at)];
      const slot = origins.slot(at);
      if (group !== undefined && isAlive(group, slot)) alive.push([group, slot]);
    }
    if (alive.length < 2) return;
    for (const [group] of alive) lastTimes.set(group, group.lastTime);
    for (let i = 0; i < alive.length; i++) {
      for (let j = 0; j < i; j++) this.#note(ref, alive[j], alive[i], overlaps);
    }
  }

  #note(
    ref: number,
    a: readonly [Group, number],
    b: readonly [Group, number],
    overlaps: Map<string, Overlap>,
  ): void {
    if (a[0].meta.scrapeUrl === b[0].meta.scrapeUrl) return;
    const timeOf = ([group, slot]: readonly [Group, number]) => group.layout.slotTime(slot);
    const [shown, hidden] = timeOf(a) <= timeOf(b) ? [a, b] : [b, a];
    const [late, early] = a[0].lastTime < b[0].lastTime ? [a[0], b[0]] : [b[0], a[0]];
    const apart = early.lastTime - late.lastTime;
    const isFar = apart > STILL_MS + OVERLAP_INTERVALS * intervalOf(a[0], b[0]);
    // What is pulled late may be from before the other one had it.
    const since = Math.max(late.lastTime, timeOf(hidden));
    const key = `${shown[0].handle} ${shown[0].meta.scrapeUrl} ${hidden[0].handle} ${hidden[0].meta.scrapeUrl}`;
    const known = overlaps.get(key);
    // A number of a group that is gone is given again.
    const told = this.#overlaps.get(key);
    const before = told?.shown === shown[0] && told.hidden === hidden[0] ? told : undefined;
    if (known !== undefined) {
      known.count++;
      known.from = Math.min(known.from, timeOf(hidden));
      if (before === undefined) known.since = Math.min(known.since, since);
      return;
    }
    if (overlaps.size >= OVERLAPS_MAX) return;
    // One of them stands still: the other has taken its place. One that gets on is only pulled late.
    if (isFar && late.lastTime <= (this.#lastTimes.get(late) ?? late.lastTime)) {
      if (before?.isTold === true) overlaps.set(key, { ...before, count: 1 });
      return;
    }
    overlaps.set(key, {
      ...{ shown: shown[0], hidden: hidden[0], series: ref, count: 1 },
      from: timeOf(hidden),
      since: before?.since ?? since,
      isTold: before?.isTold ?? false,
    });
  }

  #ripe(overlap: Overlap): HeadCollision | undefined {
    const { shown, hidden, since, from, series, count } = overlap;
    const lasted = Math.min(shown.lastTime, hidden.lastTime) - since;
    if (overlap.isTold || lasted <= OVERLAP_INTERVALS * intervalOf(shown, hidden)) return undefined;
    overlap.isTold = true;
    return {
      ...{ ref: hidden.ref, count, from },
      series: formatLabels(this.#parts.series.labels(series)),
      scrapeUrls: [shown.meta.scrapeUrl, hidden.meta.scrapeUrl],
    };
  }
}

function intervalOf(a: Group, b: Group): number {
  return Math.max(a.meta.interval, b.meta.interval) || INTERVAL_UNKNOWN;
}

/** Whether the newest row of a group has the series. */
function isAlive(group: Group, slot: number): boolean {
  if (group.released || group.ended || group.meta.scrapeUrl === '') return false;
  const { aligned, lastTime } = group;
  if (group.lastTimeOf(slot) >= lastTime) return true;
  return aligned !== null && aligned.hasSince(slot, lastTime, group.rowCount - aligned.start.row);
}
