/** For tests and benches: journals written by hand. */
export {
  JournalScript,
  ScriptGroup,
  type ScriptGroupOptions,
  type ScriptSample,
} from './journal-script.js';
/** A head for tests that ask little of it. */
export { smallHead } from './small-head.js';
/** A TileSource in memory. */
export { TileStore } from './tile-store.js';
/** Random steps, and what plain arrays say of them. */
export {
  type Delivery,
  INTERVAL,
  type ModelLeaf,
  ModelWorld,
  RUN_BREAK,
  randomOf,
} from './model-world.js';
export { PlainGroup } from './plain-group.js';
export { Witness } from './witness.js';
