/** A parent with the flags of `canopy parent` whose housekeeping is all done each second. SIGTERM ends it. */
import { runProgram } from '../../packages/canopy/src/cli/program.js';
import { settingsOf } from '../../packages/canopy/src/cli/settings.js';
import { makeLog } from '../../packages/canopy/src/log.js';
import { startHousekeeping } from '../../packages/canopy/src/parts/housekeeping.js';
import { systemWorld } from '../../packages/canopy/src/parts/system-world.js';
import type { World } from '../../packages/canopy/src/parts/world.js';
import { startParent } from '../../packages/canopy/src/roles/parent.js';

const world: World = {
  ...systemWorld,
  startHousekeeping: (chores, log) =>
    startHousekeeping(
      chores.map((chore) => ({ ...chore, when: '* * * * * *' })),
      log,
    ),
};

async function run(values: ReadonlyMap<string, string>): Promise<number> {
  const settings = settingsOf('parent', values);
  const log = makeLog(settings.logLevel, 'parent', settings.name);
  const abort = new AbortController();
  const { process: own, up } = await startParent(settings, log, world);
  const ended = new Promise<void>((done) => process.on('SIGTERM', () => done()));
  await up(abort.signal);
  await ended;
  await own.life.stop();
  return 0;
}

const none = (): Promise<number> => Promise.resolve(2);
process.exit(
  await runProgram(process.argv.slice(2), {
    ...{ leaf: none, local: none, query: none, tree: none, ledger: none, verifyLedger: none },
    ...{ checkConfig: none, checkWebConfig: none, checkMetrics: none, parent: run },
  }),
);
