/**
 * Every scrape whose whole answer reached a leaf is in that leaf's journal, or lies in a gap that the journal names.
 *
 * Does not check: leaves whose clock was set (what they refuse is counted, not named), targets that moved (a scrape
 * under way is given up), a leaf that never scraped the target again (nobody is there to name the gap).
 */
import { EPOCH_MS } from '../time.js';
import type { Truth } from '../truth.js';
import { type Checker, type Outcome, hasFault, instanceOf } from './outcome.js';

const FAULTS_MAX = 5;
/** What came just before the end may not be committed yet. */
const END_MS = 5000;

export const answered: Checker = (outcome) => {
  const { history, hierarchy } = outcome;
  const faults: string[] = [];
  for (const leaf of hierarchy.plan.leaves) {
    if (hasFault(outcome, 'clock', leaf)) continue;
    const truths = [...history.truths.values()].filter(({ writer }) => writer === `db${leaf}`);
    const numbers = journalled(truths);
    const end = hierarchy.site.time.now + EPOCH_MS - END_MS;
    for (const { leaf: by, target, number, wall } of history.scraped) {
      if (by !== leaf || wall > end || hasFault(outcome, 'target moves', target)) continue;
      if (numbers.get(target)?.has(number) || isNamed(truths, target, wall)) continue;
      if (!isScrapedAgain(outcome, leaf, target, wall)) continue;
      faults.push(`${leaf} took scrape ${number} of ${target} at ${wall}, and it is nowhere`);
    }
  }
  return faults.slice(0, FAULTS_MAX);
};

function journalled(truths: readonly Truth[]): Map<string, Set<number>> {
  const numbers = new Map<string, Set<number>>();
  for (const { series } of truths) {
    for (const { labels, samples } of series.values()) {
      if (labels.get('__name__') !== 'scrape_number') continue;
      numbers.set(instanceOf(labels), new Set(samples.map(({ value }) => value)));
    }
  }
  return numbers;
}

function isNamed(truths: readonly Truth[], target: string, wall: number): boolean {
  return truths.some(({ gaps, targets }) =>
    gaps.some(
      ({ group, from, to }) =>
        from < wall && wall < to && (group === 0 || targets.get(group)?.includes(`"${target}"`)),
    ),
  );
}

function isScrapedAgain({ history }: Outcome, leaf: string, target: string, wall: number): boolean {
  return history.scraped.some(
    (other) => other.leaf === leaf && other.target === target && other.wall > wall,
  );
}
