/**
 * `npm test [-- --without PEER[,PEER]] [FILTER …]`: sets up, builds, finds the real peers, runs
 * every test, and ends with the line `N passed, N failed, N skipped`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PEERS, ensurePeers } from './peers.mjs';
import { build, install, root, run } from './setup.mjs';

const without = [];
const filters = [];
for (let i = 2; i < process.argv.length; i++) {
  const [flag, inline] = process.argv[i].split('=', 2);
  if (flag === '--without') without.push(...(inline ?? process.argv[++i] ?? '').split(','));
  else filters.push(process.argv[i]);
}
for (const name of without) {
  if (name in PEERS) continue;
  console.error(`--without ${name}: not a peer; known are ${Object.keys(PEERS).join(', ')}`);
  process.exit(2);
}

await install();
await build();
ensurePeers(Object.keys(PEERS).filter((name) => !without.includes(name)));

/** Types of tests and sources together: a test that does not compile is a failed one. */
async function typeErrors() {
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  return run(process.execPath, [tsc, '-p', 'test/tsconfig.json', '--noEmit']);
}

const folder = mkdtempSync(join(tmpdir(), 'canopy-test-'));
const report = join(folder, 'report.json');
const vitest = [
  `${root}node_modules/vitest/vitest.mjs`,
  'run',
  '--config',
  'test/vitest.config.ts',
];
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
const env = { ...process.env, CANOPY_TEST_WITHOUT: without.join(',') };

const typesCode = filters.length === 0 ? await typeErrors() : 0;
const testsCode = await run(process.execPath, [...vitest, ...reporters, ...filters], { env });

let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
try {
  counts = JSON.parse(readFileSync(report, 'utf8'));
} catch {
  console.error('The test runner left no report.');
}
rmSync(folder, { recursive: true, force: true });

let failed = counts.numFailedTests;
if (typesCode !== 0) {
  console.error('The types of sources and tests do not check (above).');
  failed++;
}
// A suite that could not be loaded, or an error outside any test, fails the run without a failed test.
if (testsCode !== 0 && failed === 0) failed = 1;
const skipped = counts.numPendingTests + counts.numTodoTests;
if (without.length > 0) console.log(`Left out on request: tests that need ${without.join(', ')}.`);
console.log(`${counts.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed > 0 || counts.numPassedTests === 0 ? 1 : 0);
