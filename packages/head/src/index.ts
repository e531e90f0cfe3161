/** Takes in journal entries and answers selects. */
export {
  /** A group's name within a journal. */
  type GroupPlace,
  /** Appender and Queryable over recent samples. */
  Head,
} from './head.js';
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
