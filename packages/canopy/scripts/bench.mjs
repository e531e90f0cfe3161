/**
 * `npm run bench [-- --small]`: the hierarchy beside real Prometheus servers, in one run.
 * `npm run bench -- million`: another benchmark of test/bench.
 */
import { ensurePeers } from './peers.mjs';
import { build, install, root, run } from './setup.mjs';

await install();
await build();
const given = process.argv.slice(2);
// The name comes first, or not at all; the rest is the benchmark's own, in its order.
const name = given[0]?.startsWith('--') ? undefined : given.shift();
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
  wire: ['redis', 'prometheus', 'node-exporter', 'exporters'],
  million: given.includes('--hop') ? ['redis'] : [],
  'redis-cpu': ['redis'],
};
ensurePeers(file === undefined ? (PEERS[owner || 'hierarchy'] ?? []) : []);
const args = ['--conditions=canopy-source', '--import', 'tsx', script, ...given];
process.exit(await run(process.execPath, args, { cwd: root }));
