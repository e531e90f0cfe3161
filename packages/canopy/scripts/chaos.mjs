/** `npm run chaos [-- --all | --scenario NAME … | --rounds N] [--store redis|embedded|both]`: a real hierarchy to which everything happens. */
import { ensurePeers } from './peers.mjs';
import { build, install, root, run } from './setup.mjs';

await install();
await build();
const flags = process.argv.slice(2);
const isEmbeddedOnly = flags.some((flag, i) =>
  `${flag} ${flags[i + 1]}`.includes('--store embedded'),
);
if (!isEmbeddedOnly) ensurePeers(['redis']);
const args = ['--conditions=canopy-source', '--import', 'tsx', 'test/chaos/main.ts', ...flags];
process.exit(await run(process.execPath, args, { cwd: root }));
