/** Seeds that are run with every test; canaries are tried with them. */

/**
 * Found by hand: with a standby, a level above, a filter, stores that fall back, lose writes or hold damaged records, leaves
 * that come, leave or lose their disk, clocks set back with a kill, deaths at reads, in recovery, in housekeeping.
 */
export const SEEDS = [
  8, 38, 123, 96, 18, 6, 5, 53, 764, 797, 419, 811, 884, 1125, 1253, 1557, 1849, 2047, 3317,
];
