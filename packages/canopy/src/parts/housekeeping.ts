/**
 * What happens by the clock on the wall: retention, expiry, tiles. node-cron drives this and nothing else.
 */
import { errorText } from '@canopy/model';
import { schedule, setLogger } from 'node-cron';
import type { Log } from '../log.js';

export interface Chore {
  readonly name: string;
  /** Cron expression, six fields, the first being seconds. */
  readonly when: string;
  run(): Promise<void> | void;
}

/** Starts the chores; a chore that is still running is not started again. Returns what ends them. */
export function startHousekeeping(chores: readonly Chore[], log: Log): () => Promise<void> {
  const quiet = (): void => {};
  setLogger({ info: quiet, warn: quiet, error: quiet, debug: quiet });
  const tasks = chores.map((chore) =>
    schedule(
      chore.when,
      async () => {
        try {
          await chore.run();
        } catch (error) {
          log('warn', `${chore.name} failed; it is tried again`, { error: errorText(error) });
        }
      },
      { name: chore.name, noOverlap: true },
    ),
  );
  return async () => {
    for (const task of tasks) await task.destroy();
  };
}
