/** Seeds that are run with every test; canaries are tried with them. */
import { type Plan, planBeforeDamage, planBeforeRefusals } from './plan.js';

/**
 * Found by hand: with a standby, a level above, a filter, stores that fall back, lose writes or hold damaged records, leaves
 * that come, leave or lose their disk, clocks set back with a kill, deaths at reads, in recovery, in housekeeping.
 */
const OLDEST = [8, 38, 123, 96, 18, 6, 5, 53];
const OLDER = [764, 797, 419, 811, 884, 1125, 1253, 1557, 1849, 2047, 3317];
/** With damage at rest: of a layout at a leaf, of a block, of a tile just before a death; and a commit that comes through after a takeover. */
const WITH_DAMAGE = [33, 774, 925, 527];

/**
 * With stores that refuse a command now and then: of a head that is built up anew, at a level above; of a ledger that is lost
 * and a damaged record that stays; of tiles whose block a store forgets.
 */
const WITH_REFUSALS = [133, 554, 908];

export interface FixedRun {
  readonly seed: number;
  readonly change?: (plan: Plan) => Plan;
}

const beforeDamage = (seed: number): FixedRun => ({ seed, change: () => planBeforeDamage(seed) });

/**
 * What was found with a seed stays with it. In the order in which canaries try them: the oldest show all but what damage must
 * show.
 */
export const SEEDS: readonly FixedRun[] = [
  ...OLDEST.map(beforeDamage),
  ...WITH_DAMAGE.map((seed) => ({ seed, change: () => planBeforeRefusals(seed) })),
  ...OLDER.map(beforeDamage),
  ...WITH_REFUSALS.map((seed) => ({ seed })),
];
