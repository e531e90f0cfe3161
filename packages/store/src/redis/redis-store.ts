import type { Clock, DurationMs } from '@canopy/model';
import type { CorruptRecord, ReportingStore, StoreLog } from '../health.js';

export interface RedisStoreOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  readonly url: string;
  /** Before every key, for example `canopy:`. */
  readonly keyPrefix: string;
  readonly clock: Clock;
  /** No command takes longer; then it is `storage_unavailable`. */
  readonly commandTimeout: DurationMs;
  /** A journal's stream is cut into slices of about this size. */
  readonly sliceBytesMax: number;
  readonly log: StoreLog;
  readonly onCorrupt: (record: CorruptRecord) => void;
}

export interface RedisStore extends ReportingStore {
  readonly kind: 'redis';
}

/**
 * Resolves also where Redis does not answer yet: `health` says so and the store connects by itself.
 * @throws CanopyError `storage_unsuitable` where a Redis answers that cannot be used.
 */
export function openRedisStore(_options: RedisStoreOptions): Promise<RedisStore> {
  return Promise.reject(new Error('BUG: signatures only'));
}
