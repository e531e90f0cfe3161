/** Which pairs of targets a head has to report, by looking at plain groups as often as it looks. */
import type { PlainGroup } from './plain-group.js';

interface Overlap {
  readonly since: number;
  readonly count: number;
  isTold: boolean;
}

/** Pulled journals may be so far apart besides. */
const STILL_MS = 30_000;

export class PlainCollisions {
  readonly #interval: number;
  #overlaps = new Map<string, Overlap>();
  /** Newest times at the look before, of groups that had a series in common with others. */
  #lastTimes = new Map<PlainGroup, number>();

  constructor(interval: number) {
    this.#interval = interval;
  }

  /** What is told now, once: URLs of who is shown and who is hidden, and of how many series; as text, sorted. */
  look(groups: readonly PlainGroup[]): string[] {
    const overlaps = new Map<string, Overlap>();
    const told: string[] = [];
    const lastTimes = new Map<PlainGroup, number>();
    const scraped = groups.filter(({ ended, options }) => !ended && options.scrapeUrl !== '');
    for (const [i, a] of scraped.entries()) {
      for (const b of scraped.slice(i + 1)) {
        const pairs = pairsOf(a, b);
        if (pairs.length > 0) for (const group of [a, b]) lastTimes.set(group, group.lastTime);
        if (a.options.scrapeUrl === b.options.scrapeUrl) continue;
        const isGone = this.#isGone(a, b);
        const both = Math.min(a.lastTime, b.lastTime);
        for (const { shown, hidden, hiddenSince, count } of pairs) {
          const key = `${nameOf(shown)} ${nameOf(hidden)}`;
          const before = this.#overlaps.get(key);
          if (isGone && before?.isTold !== true) continue;
          const { since, isTold } = before ?? {
            since: Math.max(both, hiddenSince),
            isTold: false,
          };
          const isRipe = both - since > 2 * this.#interval;
          overlaps.set(key, { since, count, isTold: isTold || isRipe });
          const urls = `${shown.options.scrapeUrl} ${hidden.options.scrapeUrl}`;
          if (isRipe && !isTold) told.push(`${urls} ${hidden.options.ref} ${count}`);
        }
      }
    }
    this.#overlaps = overlaps;
    this.#lastTimes = lastTimes;
    return told.sort();
  }

  /** A head that begins anew has seen nothing. */
  forget(): void {
    this.#overlaps.clear();
    this.#lastTimes.clear();
  }

  /** One is far behind the other, and stands still: it has gone. One that gets on is only pulled late. */
  #isGone(a: PlainGroup, b: PlainGroup): boolean {
    const late = a.lastTime < b.lastTime ? a : b;
    const apart = Math.abs(a.lastTime - b.lastTime);
    const isFar = apart > STILL_MS + 2 * this.#interval;
    return isFar && late.lastTime <= (this.#lastTimes.get(late) ?? late.lastTime);
  }
}

interface Pair {
  readonly shown: PlainGroup;
  readonly hidden: PlainGroup;
  /** From when on the hidden one had the first of the series. */
  readonly hiddenSince: number;
  readonly count: number;
}

/** Who is shown, who is hidden, and how many series the newest rows of both have that way round. */
function pairsOf(a: PlainGroup, b: PlainGroup): Pair[] {
  const shared = [...new Set(a.names)].filter((name) => isThere(a, name) && isThere(b, name));
  const isFirst = (name: string): boolean => slotTime(a, name) < slotTime(b, name);
  const pair = (shown: PlainGroup, hidden: PlainGroup, names: string[]): Pair => ({
    ...{ shown, hidden, count: names.length },
    hiddenSince: Math.min(...names.map((name) => slotTime(hidden, name))),
  });
  return [
    pair(a, b, shared.filter(isFirst)),
    pair(
      b,
      a,
      shared.filter((name) => !isFirst(name)),
    ),
  ].filter(({ count }) => count > 0);
}

/** Whether the newest row has the series, be it as a stale mark. */
const isThere = (group: PlainGroup, name: string): boolean =>
  group.samples.get(name)?.at(-1)?.time === group.lastTime;

const slotTime = (group: PlainGroup, name: string): number =>
  group.slotTimes[group.names.indexOf(name)];

const nameOf = ({ options: { ref, epoch, script } }: PlainGroup): string =>
  `${ref}/${epoch}/${script.id}`;
