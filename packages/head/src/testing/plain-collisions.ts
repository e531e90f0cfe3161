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

  constructor(interval: number) {
    this.#interval = interval;
  }

  /** What is told now, once: URLs of who is shown and who is hidden, and of how many series; as text, sorted. */
  look(groups: readonly PlainGroup[]): string[] {
    const overlaps = new Map<string, Overlap>();
    const told: string[] = [];
    const scraped = groups.filter(({ ended, options }) => !ended && options.scrapeUrl !== '');
    for (const [i, a] of scraped.entries()) {
      for (const b of scraped.slice(i + 1)) {
        if (a.options.scrapeUrl === b.options.scrapeUrl) continue;
        for (const [shown, hidden, count] of this.#pairs(a, b)) {
          const key = `${nameOf(shown)} ${nameOf(hidden)}`;
          const both = Math.min(a.lastTime, b.lastTime);
          const before = this.#overlaps.get(key);
          const { since, isTold } = before ?? { since: both, isTold: false };
          const isRipe = both - since > 2 * this.#interval;
          overlaps.set(key, { since, count, isTold: isTold || isRipe });
          const urls = `${shown.options.scrapeUrl} ${hidden.options.scrapeUrl}`;
          if (isRipe && !isTold) told.push(`${urls} ${hidden.options.ref} ${count}`);
        }
      }
    }
    this.#overlaps = overlaps;
    return told.sort();
  }

  /** A head that begins anew has seen nothing. */
  forget(): void {
    this.#overlaps.clear();
  }

  /** Who is shown, who is hidden, and how many series the newest rows of both have that way round. */
  #pairs(a: PlainGroup, b: PlainGroup): Array<[PlainGroup, PlainGroup, number]> {
    const apart = Math.abs(a.lastTime - b.lastTime);
    if (apart > STILL_MS + 2 * this.#interval) return [];
    const shared = [...new Set(a.names)].filter((name) => isThere(a, name) && isThere(b, name));
    const first = shared.filter((name) => slotTime(a, name) < slotTime(b, name)).length;
    const pairs: Array<[PlainGroup, PlainGroup, number]> = [
      [a, b, first],
      [b, a, shared.length - first],
    ];
    return pairs.filter(([, , count]) => count > 0);
  }
}

/** Whether the newest row has the series, be it as a stale mark. */
const isThere = (group: PlainGroup, name: string): boolean =>
  group.samples.get(name)?.at(-1)?.time === group.lastTime;

const slotTime = (group: PlainGroup, name: string): number =>
  group.slotTimes[group.names.indexOf(name)];

const nameOf = ({ options: { ref, epoch, script } }: PlainGroup): string =>
  `${ref}/${epoch}/${script.id}`;
