import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));
// Tests run on the sources: no build is needed, and none can be out of date.
const resolve = { conditions: ['canopy-source'] };
const ssr = { resolve: { conditions: ['canopy-source'], externalConditions: ['canopy-source'] } };

// Most of their time they wait for clocks: they run beside the unit tests.
const WAITING = ['tiles', 'standby', 'full-store', 'late-leaf', 'wiped-store'].map(
  (name) => `test/e2e/${name}.test.ts`,
);
const PATIENT = { testTimeout: 180_000, hookTimeout: 120_000 };

export default defineConfig({
  root,
  test: {
    // By default one fewer than there are cores: of two, one would stand idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          root,
          include: [
            'packages/*/src/**/*.test.ts',
            'packages/*/src/**/*.fuzz.ts',
            'test/*.test.ts',
            'test/architecture/**/*.test.ts',
            'test/deploy/**/*.test.ts',
            'test/simulation/**/*.test.ts',
          ],
          // A bound for what hangs; a busy machine takes several times as long as a quiet one.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'end-to-end',
          root,
          include: [
            'test/e2e/**/*.test.ts',
            'test/differential/**/*.test.ts',
            'test/chaos/**/*.test.ts',
            'test/conformance/**/*.test.ts',
          ],
          exclude: WAITING,
          fileParallelism: false,
          ...PATIENT,
        },
      },
      {
        resolve,
        ssr,
        test: { name: 'end-to-end, waiting', root, include: WAITING, ...PATIENT },
      },
    ],
  },
});
