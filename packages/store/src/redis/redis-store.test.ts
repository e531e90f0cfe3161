import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asDuration } from '@canopy/model';
import { redisIsLeftOut, startRedis, storeConformance, systemClock } from '../testing/index.js';
import { type RedisStoreOptions, openRedisStore } from './redis-store.js';

const options = (url: string): RedisStoreOptions => ({
  url,
  keyPrefix: 'canopy:',
  clock: systemClock,
  commandTimeout: asDuration(2000),
  // Small, so that the suite crosses slices.
  sliceBytesMax: 2000,
  log: () => {},
  onCorrupt: () => {},
});

if (!redisIsLeftOut()) {
  storeConformance(
    'redis',
    async () => {
      const server = await startRedis();
      return {
        open: (onCorrupt) => openRedisStore({ ...options(server.url), onCorrupt }),
        remove: () => server.stop(),
      };
    },
    { describe, it, expect, beforeAll, afterAll },
  );
}
