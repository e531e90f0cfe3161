/** For tests: the suite that every Store passes, and a real Redis to run it on. */

/** The conformance suite of port Store. */
export { storeConformance } from './store-conformance.js';
export type { ConformancePlace, TestApi } from './store-conformance.js';
/** A redis-server of the system on a free port, with a folder of its own. */
export { redisIsLeftOut, startRedis } from './redis-server.js';
export type { RedisServer } from './redis-server.js';
/** Entries and clocks as tests need them. */
export { systemClock, testEntry, testJournal } from './fixtures.js';
