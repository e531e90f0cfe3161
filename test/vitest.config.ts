import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));
// Tests run on the sources: no build is needed, and none can be out of date.
const resolve = { conditions: ['canopy-source'] };
const ssr = { resolve: { conditions: ['canopy-source'], externalConditions: ['canopy-source'] } };

const END_TO_END = ['e2e', 'differential', 'chaos', 'conformance'].map(
  (name) => `test/${name}/**/*.test.ts`,
);
/**
 * They judge whether a busy process is on time, or compare two servers scrape by scrape of 1 s: what runs beside them would
 * be judged, too. Last, one by one.
 */
const ALONE = ['hung', 'hostile', 'readers', 'bad-input', '../differential/differential'].map(
  (name) => join('test/e2e', `${name}.test.ts`),
);
/** Native databases and process-wide watchers outlive the modules that opened them: a process for each file. */
const ISOLATED = ['packages/store', 'packages/canopy'];

const tests = (folder: string): string[] => [
  `${folder}/src/**/*.test.ts`,
  `${folder}/src/**/*.fuzz.ts`,
];
// Bounds for what hangs; a busy machine takes several times as long as a quiet one.
const BOUNDS = { testTimeout: 180_000, hookTimeout: 120_000 };

/** Projects begin in the order of their names: first what mostly waits, so that what computes fills up what it leaves. */
export default defineConfig({
  root,
  test: {
    // One more than there are cores: end-to-end tests wait for clocks most of the time.
    maxWorkers: availableParallelism() + 1,
    projects: [
      {
        resolve,
        ssr,
        test: { name: 'end-to-end', root, include: END_TO_END, exclude: ALONE, ...BOUNDS },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'end-to-end, alone',
          root,
          include: ALONE,
          fileParallelism: false,
          ...BOUNDS,
        },
      },
      {
        resolve,
        ssr,
        test: { name: 'simulation', root, include: ['test/simulation/**/*.test.ts'], ...BOUNDS },
      },
      {
        resolve,
        ssr,
        test: { name: 'unit', root, include: ISOLATED.flatMap(tests), ...BOUNDS },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'unit, together',
          root,
          include: [
            ...tests('packages/*'),
            'test/*.test.ts',
            'test/architecture/**/*.test.ts',
            'test/deploy/**/*.test.ts',
          ],
          exclude: ISOLATED.flatMap(tests),
          // To load the modules anew for each file costs more than most files' tests.
          isolate: false,
          ...BOUNDS,
        },
      },
    ],
  },
});
