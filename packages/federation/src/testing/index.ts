/** For tests of other packages: a store in memory. */
export { MemoryStore } from './memory-store.js';
export type { AtRest, Spoil } from './memory-journal.js';
/** What a reader says it has, for those who watch it. */
export { parseCursors } from '../cursor.js';
