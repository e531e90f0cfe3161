import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeConformance, systemClock } from '../testing/index.js';
import { openEmbeddedStore } from './open-embedded-store.js';

storeConformance(
  'embedded',
  async () => {
    const path = await mkdtemp(join(tmpdir(), 'canopy-store-'));
    return {
      open: (onCorrupt) =>
        openEmbeddedStore({
          path,
          maxBytes: 256 * 1024 * 1024,
          clock: systemClock,
          log: () => {},
          onCorrupt,
        }),
      remove: () => rm(path, { recursive: true, force: true }),
    };
  },
  { describe, it, expect, beforeAll, afterAll },
);
