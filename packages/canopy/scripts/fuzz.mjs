/** `npm run fuzz [-- PACKAGE]`: the fuzz tests, round after round until stopped or one fails. */
import { readdirSync } from 'node:fs';
import { install, root, run } from './setup.mjs';

await install();
// By name: of two filters vitest takes what fits either.
const wanted = process.argv[2] ?? '';
const files = readdirSync(`${root}packages`, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && (wanted === '' || entry.name === wanted))
  .flatMap(({ name }) =>
    readdirSync(`${root}packages/${name}/src`, { recursive: true })
      .filter((file) => file.endsWith('.fuzz.ts'))
      .map((file) => `packages/${name}/src/${file}`),
  );
if (files.length === 0) {
  console.error(`no fuzz tests in packages/${wanted}`);
  process.exit(2);
}
const vitest = [
  `${root}node_modules/vitest/vitest.mjs`,
  'run',
  '--config',
  'test/vitest.config.ts',
];
for (let round = 1; ; round++) {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`Fuzzing, pass ${round}, seed ${seed} (stop with Ctrl-C)`);
  const env = { ...process.env, CANOPY_FUZZ_ROUNDS: '20000', CANOPY_FUZZ_SEED: String(seed) };
  const args = [...vitest, '--testTimeout=0', ...files];
  const code = await run(process.execPath, args, { env });
  if (code !== 0) process.exit(code);
}
