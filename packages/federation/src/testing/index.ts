/** For tests of other packages: a store in memory. */
export { MemoryStore } from './memory-store.js';
