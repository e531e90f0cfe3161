/** For tests of other packages: a store in memory. */
export { MemoryStore } from './memory-store.js';
export type { AtRest, Spoil } from './memory-journal.js';
/** What a reader says it has, for those who watch it. */
export { parseCursors } from '../cursor.js';
/** Serves a store's journal on a real socket. */
export { ServerRig, id as journalId } from './rig.js';
