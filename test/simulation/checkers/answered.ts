/**
 * Every scrape whose whole answer reached a leaf is in that leaf's journal, or lies in a gap that the journal names.
 *
 * Does not check: what a leaf refuses whose clock stepped back while it ran (it is counted, not named), targets that
 * moved (a scrape under way is given up), a leaf that never scraped the target again, was killed for good before any
 * later process of it journalled anything, or lost its disk with what was not on it yet (nobody is there to name the gap).
 */
import type { Scraped } from '../history.js';
import type { Truth } from '../truth.js';
import { type Checker, type Outcome, hasFault, instanceOf } from './outcome.js';

const FAULTS_MAX = 5;
/** What came just before the end may not be committed yet. */
const END_MS = 5000;

export const answered: Checker = (outcome) => {
  const { history, hierarchy } = outcome;
  const faults: string[] = [];
  for (const leaf of hierarchy.plan.leaves) {
    const truths = [...history.truths.values()].filter(({ writer }) => writer === `db${leaf}`);
    const numbers = journalled(truths);
    const end = hierarchy.machine(leaf).now - END_MS;
    const { scrapeMs } = hierarchy.plan;
    const own = history.scraped.filter((scraped) => scraped.leaf === leaf);
    const newest = hierarchy.machine(leaf).isGone
      ? (history.journalledIn.get(`db${leaf}`) ?? 0)
      : Infinity;
    for (const scraped of own) {
      const { target, number, wall } = scraped;
      if (wall > end || isMoved(outcome, target)) continue;
      if (numbers.get(target)?.has(number) || isNamed(truths, target, wall, scrapeMs)) continue;
      if (isRefused(outcome, own, scraped) || isLostWithDisk(outcome, scraped)) continue;
      if (!isScrapedAgain(own, numbers.get(target), scraped, newest)) continue;
      faults.push(`${leaf} took scrape ${number} of ${target} at ${wall}, and it is nowhere`);
    }
  }
  return faults.slice(0, FAULTS_MAX);
};

const isMoved = (outcome: Outcome, target: string): boolean =>
  hasFault(outcome, 'target moves', target) || hasFault(outcome, 'leaf comes', target);

/** Its clock stepped back by an interval or less: what comes meanwhile is refused and counted. */
function isRefused(outcome: Outcome, own: readonly Scraped[], scraped: Scraped): boolean {
  if (!hasFault(outcome, 'clock', scraped.leaf)) return false;
  const { scrapeMs } = outcome.hierarchy.plan;
  return own.some(
    ({ life, target, number, wall }) =>
      life === scraped.life &&
      target === scraped.target &&
      number < scraped.number &&
      wall > scraped.wall - scrapeMs / 2 &&
      wall <= scraped.wall + 2 * scrapeMs,
  );
}

/** The disk was lost before what had come last was on it: nobody is there who knows. */
const isLostWithDisk = ({ hierarchy }: Outcome, { leaf, life }: Scraped): boolean =>
  hierarchy.machine(leaf).lostDisk.some((last) => life <= last);

function journalled(truths: readonly Truth[]): Map<string, Set<number>> {
  const numbers = new Map<string, Set<number>>();
  for (const { series } of truths) {
    for (const { labels, samples } of series.values()) {
      if (labels.get('__name__') !== 'scrape_number') continue;
      const known = numbers.get(instanceOf(labels)) ?? new Set();
      for (const { value } of samples) known.add(value);
      numbers.set(instanceOf(labels), known);
    }
  }
  return numbers;
}

function isNamed(truths: readonly Truth[], target: string, wall: number, late: number): boolean {
  return truths.some(({ gaps, targets }) =>
    gaps.some(
      // The frame has the time of the question.
      ({ group, from, to }) =>
        from < wall &&
        wall - late < to &&
        (group === 0 || targets.get(group)?.includes(`"${target}"`)),
    ),
  );
}

/** By a later process, or by the same one and journalled. `newest`: no later one will ever journal anything. */
function isScrapedAgain(
  own: readonly Scraped[],
  journalled: ReadonlySet<number> | undefined,
  { target, number, life }: Scraped,
  newest: number,
): boolean {
  return own.some(
    (other) =>
      other.target === target &&
      other.number > number &&
      ((other.life > life && newest > life) || journalled?.has(other.number) === true),
  );
}
