/** Takes in journal entries and answers selects. */
export {
  /** Appender and Queryable over recent samples. */
  Head,
} from './head.js';
/** Hides what was deleted. */
export { ErasedView, type Tombstone } from './select/erased.js';
/** A pinned view, which knows where series come from, too. */
export type { HeadSnapshot } from './select/snapshot.js';
/** Who has what. */
export type { HeadCollision, Provenance } from './provenance.js';
/** A group's name within a journal. */
export type { GroupPlace } from './journal-groups.js';
export type {
  /** What `expire` gave back. */
  Expired,
  /** One group as status pages show it. */
  GroupStatus,
  /** What a head is told. */
  HeadOptions,
  /** What a head counts. */
  HeadStats,
  /** Where tiles are read back from. */
  TileSource,
} from './options.js';
/** In recovery: what groups have to know of tiles. */
export type { LooseRecall } from './group/loose-recall.js';
/** What a head has of a journal in memory, for a store that lost it. */
export type { HeldJournal } from './group/stored-tiles.js';
/** What housekeeping says and asks of blocks. */
export type { HeadBlocks, PlacedTile } from './archive/head-blocks.js';
