/** `npm run simulate [-- --seeds N --from S | --seed S --verbose]`: whole hierarchies in one process, on virtual time. */
import { build, install, root, run } from './setup.mjs';

await install();
await build();
const flags = process.argv.slice(2);
const args = ['--conditions=canopy-source', '--import', 'tsx', 'test/simulation/main.ts', ...flags];
process.exit(await run(process.execPath, args, { cwd: root }));
