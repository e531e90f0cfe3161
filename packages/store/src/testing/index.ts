/** For tests: the suite that every Store passes, and a real Redis to run it on. */

/** The conformance suite of port Store. */
export { storeConformance } from './store-conformance.js';
export type { ConformancePlace, TestApi } from './store-conformance.js';
/** A redis-server of the system on a free port, with a folder of its own. */
export { redisIsLeftOut, startRedis } from './redis-server.js';
export type { RedisServer, ServerOptions, ServerTls } from './redis-server.js';
/** Several of them: a Cluster; a master and its replica under a Sentinel. */
export { startRedisCluster } from './redis-cluster.js';
export type { RedisClusterServers } from './redis-cluster.js';
export { startRedisSentinel } from './redis-sentinel.js';
export type { RedisSentinelServers } from './redis-sentinel.js';
/** Entries and clocks as tests need them. */
export { systemClock, testEntry, testJournal } from './fixtures.js';
/** Options of a Redis store as tests take them; a master killed before its replica has all of it; polling. */
export { cutOff, redisOptions, until } from './redis-options.js';
