/**
 * `npm run bench [-- --small]`: the hierarchy beside real Prometheus servers, in one run.
 * `npm run bench -- million`: another benchmark of test/bench.
 */
import { ensurePeers } from './peers.mjs';
import { build, install, root, run } from './setup.mjs';

await install();
await build();
const [name, ...rest] = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'));
// A name picks a package's own benchmark: `npm run bench -- encoding/frame`.
const [owner, file] = (name ?? '').split('/');
const script =
  file === undefined
    ? `test/bench/${owner || 'hierarchy'}.bench.ts`
    : `packages/${owner}/bench/${file}.bench.ts`;
const BOTH = ['prometheus', 'victoria-metrics'];
const PEERS = {
  hierarchy: ['redis', 'prometheus'],
  leaf: BOTH,
  query: BOTH,
  federate: ['prometheus'],
  'catch-up': ['redis'],
  million: flags.includes('--hop') ? ['redis'] : [],
  'redis-cpu': ['redis'],
};
ensurePeers(file === undefined ? (PEERS[owner || 'hierarchy'] ?? []) : []);
const args = ['--conditions=canopy-source', '--import', 'tsx', script, ...rest, ...flags];
process.exit(await run(process.execPath, args, { cwd: root }));
