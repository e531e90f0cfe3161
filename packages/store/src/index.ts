/** Where journals, tiles and documents are kept, and the writer of a process's own journal. */

/** Health, log and the report of corrupt records. */
export type { CorruptRecord, LogLevel, ReportingStore, StoreHealth, StoreLog } from './health.js';
/** Store in a folder, by LMDB. */
export { openEmbeddedStore } from './embedded/open-embedded-store.js';
/** A look at such a store beside the process that uses it. */
export { openEmbeddedReader } from './embedded/embedded-reader.js';
export type { EmbeddedStore, EmbeddedStoreOptions } from './embedded/embedded-store.js';
/** Such a store that goes on in memory while its disk takes no writes. */
export { VolatileStore } from './volatile/volatile-store.js';
export type { VolatileStats, VolatileStoreOptions } from './volatile/volatile-store.js';
export { VolatileMark } from './volatile/volatile-mark.js';
/** Store in Redis. */
export { openRedisStore } from './redis/redis-store.js';
export type { RedisStore, RedisStoreOptions } from './redis/redis-store.js';
/** The address of a Redis as people write it. */
export { ADDRESS_FORMS, parseAddress } from './redis/address.js';
export type { RedisAddress } from './redis/address.js';
export type { RedisTls } from './redis/link.js';
/** Port Journal: writes a process's own journal into a Store. */
export { JournalWriter } from './journal/journal-writer.js';
/** Waits for a lease that a process before left behind. */
export { takeLease } from './journal/journal-place.js';
export type { JournalWriterOptions, JournalWriterStats, OnFound } from './journal/options.js';
/** Retention of a process's own journal. */
export { JournalTrimmer, replayFrom } from './retention.js';
export type { JournalTrimmerOptions, TrimOutcome } from './retention.js';
