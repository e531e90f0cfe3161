/** For tests and benches: journals written by hand. */
export {
  JournalScript,
  ScriptGroup,
  type ScriptGroupOptions,
  type ScriptSample,
} from './journal-script.js';
/** A TileSource in memory. */
export { TileStore } from './tile-store.js';
