/**
 * `npm start`: sets up what is missing, then runs a local hierarchy of real processes.
 * Everything after `--` goes to `canopy local`; `npm start -- --help` lists it.
 */
import { build, install, root } from './setup.mjs';

await install();
await build();
process.argv.splice(2, 0, 'local');
await import(`${root}packages/canopy/dist/main.js`);
