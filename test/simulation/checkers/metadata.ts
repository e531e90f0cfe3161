/**
 * Type and help of a series are at every level what its exporter said last, as it was journalled by a leaf that
 * scraped it; and a leaf journalled what the exporter says.
 *
 * Does not check: which of two leaves' descriptions wins, or of two runs' after a clock was set (the later one need not be
 * the one of later times); what was said in a layout that the level's ledger names as lost with its group's frames (a
 * damaged record); whether what was said after the moment up to which everything
 * must have arrived is there already.
 */
import { type Family, comparePositions } from '@canopy/model';
import { type Level, covers } from '../level.js';
import { helpAt, typeOf } from '../exporter.js';
import type { Description, Truth } from '../truth.js';
import { type Checker, type Outcome, isClockSet, owedUpTo, truthsBelow } from './outcome.js';

const FAULTS_MAX = 3;
const LATE = 1e9;

export const metadata: Checker = (outcome) =>
  outcome.levels.flatMap((level) => {
    const faults: string[] = [];
    const truths = truthsBelow(outcome, level);
    for (const [key, { labels, family }] of level.series) {
      const said = truths.flatMap((truth) => saidOf(outcome, level, truth, key));
      const isSaid = said.some(
        ({ name, type, help }) =>
          name === family?.name && type === family.type && help === family.help,
      );
      if (said.length > 0 && !isSaid) {
        faults.push(`${level.machine.name} ${key}: ${JSON.stringify(family)}`);
      }
      const name = labels.get('__name__')!;
      const isOurs =
        labels.get('job') === 'farm' && name !== 'up' && !/^scrape_(?!number)/.test(name);
      if (!isOurs) continue;
      const texts = [helpAt(name, 0), helpAt(name, LATE)];
      for (const { type, help } of said) {
        if (type === typeOf(name) && texts.includes(help)) continue;
        faults.push(`${key}: journalled as ${type}, ${help}`);
      }
    }
    return faults.slice(0, FAULTS_MAX);
  });

/** What stands at the moment up to which everything must have arrived, and what came after it. */
function saidOf(
  outcome: Outcome,
  level: Level,
  { series, ref, writer }: Truth,
  key: string,
): Family[] {
  const descriptions = series.get(key)?.descriptions ?? [];
  const end = owedUpTo(outcome, level, ref);
  if (isClockSet(outcome, writer)) return descriptions.flatMap(({ family }) => family ?? []);
  const gaps = (level.ledgers.get(ref)?.gaps ?? []).filter(({ cause }) => cause === 'corrupt');
  const isLost = ({ group, time }: Description): boolean =>
    gaps.some((gap) => (gap.group === 0 || gap.group === group) && covers(gap, time));
  const last = descriptions.findLastIndex(
    (said) => comparePositions(said.position, end) <= 0 && !isLost(said),
  );
  return descriptions.slice(Math.max(0, last)).flatMap(({ family }) => family ?? []);
}
