/** `npm run conformance [-- --against prometheus [--random COUNT] [--seed N]]`: PromQL as Prometheus evaluates it. */
import { ensurePeers } from './peers.mjs';
import { build, install, root, run } from './setup.mjs';

await install();
await build();
const flags = process.argv.slice(2);
if (flags.some((flag) => flag.startsWith('--against'))) ensurePeers(['prometheus']);
const args = [
  '--conditions=canopy-source',
  '--import',
  'tsx',
  'test/conformance/main.ts',
  ...flags,
];
process.exit(await run(process.execPath, args, { cwd: root }));
