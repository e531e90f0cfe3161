/**
 * The direction of imports, as data. A package imports packages of lower layers only; third-party
 * packages are imported where this table says and nowhere else. layers.test.ts reads the sources.
 */

/** Package folder → layer. */
export const LAYERS: Readonly<Record<string, number>> = {
  model: 0,
  encoding: 1,
  exposition: 1,
  promql: 1,
  scrape: 2,
  head: 2,
  store: 2,
  federation: 2,
  web: 3,
  canopy: 4,
};

/** Third-party package → the packages that may import it (each has its line in the decision page 0001). */
export const IMPORTERS: Readonly<Record<string, readonly string[]>> = {
  // Loaded by `scrape` where a kubeconfig file is used; optional.
  '@kubernetes/client-node': ['scrape'],
  '@lezer/common': ['promql'],
  '@lezer/lr': ['promql'],
  '@prometheus-io/lezer-promql': ['promql'],
  // In web/worker, a thread of its own.
  bcryptjs: ['web'],
  commander: ['canopy'],
  compression: ['web'],
  express: ['web'],
  helmet: ['web'],
  ioredis: ['store'],
  lmdb: ['store'],
  'node-cron': ['canopy'],
  'p-limit': ['canopy'],
  pino: ['canopy'],
  'prom-client': ['canopy'],
  // In tests only: it knows nothing of the decoder that it checks.
  protobufjs: ['exposition', 'federation'],
  re2js: ['model'],
  snappy: ['federation'],
  yaml: ['scrape', 'canopy'],
  zod: ['canopy'],
};

/** Globals that only `canopy` may touch outside of tests: elsewhere they come in through a constructor. */
export const WORLD: readonly RegExp[] = [
  /\bDate\.now\(/,
  /\bnew Date\(\)/,
  /\bMath\.random\(/,
  /(?<![.\w])setTimeout\(/,
  /(?<![.\w])setInterval\(/,
  /(?<![.\w])fetch\(/,
  /\bprocess\.env\b/,
];

/** Source files longer than 500 lines, with the reason. */
export const LONG_FILES: Readonly<Record<string, string>> = {};
