/** `npm run fuzz [-- PACKAGE]`: the fuzz tests, round after round until stopped or one fails. */
import { install, root, run } from './setup.mjs';

await install();
const filter = process.argv[2] === undefined ? [] : [`packages/${process.argv[2]}/`];
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
  const args = [...vitest, '--testTimeout=0', ...filter, '.fuzz.ts'];
  const code = await run(process.execPath, args, { env });
  if (code !== 0) process.exit(code);
}
