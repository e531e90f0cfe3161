/** Takes in journal entries and answers selects: the head. */
export { type GroupPlace, Head } from './head.js';
/** What a head is told (`HeadOptions`, `TileSource`) and tells (`HeadStats`, `GroupStatus`, `Expired`). */
export type { Expired, GroupStatus, HeadOptions, HeadStats, TileSource } from './options.js';
