/** For tests and benches: journals written by hand. */
export {
  JournalScript,
  ScriptGroup,
  type ScriptGroupOptions,
  type ScriptSample,
} from './journal-script.js';
/** A TileSource in memory. */
export { TileStore } from './tile-store.js';
/** Random steps, and what plain arrays say of them. */
export {
  type Answer,
  INTERVAL,
  type ModelLeaf,
  ModelWorld,
  NAMES,
  RUN_BREAK,
  answerOf,
  lastOf,
  newestIn,
  plainAnswer,
  randomOf,
} from './model-world.js';
