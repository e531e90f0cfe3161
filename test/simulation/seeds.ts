/** Seeds that are run with every test; canaries are tried with them. */
import { type Plan, asFound } from './plan.js';

/**
 * Found by hand: with a standby, a level above, a filter, stores that fall back, lose writes or hold damaged records, leaves
 * that come, leave or lose their disk, clocks set back with a kill, deaths at reads, in recovery, in housekeeping.
 */
const OLDER = [
  8, 38, 123, 96, 18, 6, 5, 53, 764, 797, 419, 811, 884, 1125, 1253, 1557, 1849, 2047, 3317,
];
/** With damage at rest: of a layout at a leaf, of a block, of a tile just before a death; and a commit that comes through after a takeover. */
const WITH_DAMAGE = [33, 774, 925, 527];

export interface FixedRun {
  readonly seed: number;
  readonly change?: (plan: Plan) => Plan;
}

/** What was found with a seed stays with it. */
export const SEEDS: readonly FixedRun[] = [
  ...OLDER.map((seed) => ({ seed, change: asFound })),
  ...WITH_DAMAGE.map((seed) => ({ seed })),
];
