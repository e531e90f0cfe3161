/** Seeds that are run with every test; canaries are tried with them. */

/** Found by hand: with a standby, a level above, a filter, a store that falls back, kills (before a first commit, too), clocks. */
export const SEEDS = [8, 4, 6, 3, 5, 12, 16, 53];
