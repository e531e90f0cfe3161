/** Many seeds, shared out among child processes one at a time. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type SimulationResult, simulate } from './simulation.js';

/** What is told of a run; its lines only where it failed. */
export type Report = Omit<SimulationResult, 'plan' | 'lines'> & {
  readonly plan?: unknown;
  readonly lines?: readonly string[];
};

const LINES_TOLD = 60;
/** A process keeps some 0.3 MB of each run (caches of the modules): it ends after so many. */
const RUNS_OF_A_CHILD = 500;

async function report(seed: number): Promise<Report> {
  const { plan, lines, ...result } = await simulate({ seed });
  if (result.faults.length === 0) return result;
  return { ...result, plan, lines: lines.slice(-LINES_TOLD) };
}

/** Runs all of them; `take` returns false to end it there. Reports come in no order. */
export async function runSeeds(
  seeds: Iterable<number>,
  jobs: number,
  take: (report: Report) => boolean,
): Promise<void> {
  const next = seeds[Symbol.iterator]();
  let isOver = false;
  /** One process after the other, until there is nothing more to do. */
  const work = async (): Promise<void> => {
    for (let ended = false; !ended; ) {
      ended = await inChild(
        () => (isOver ? undefined : next.next().value),
        (told) => {
          if (!take(told)) isOver = true;
        },
      );
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

/** Resolves when the process has ended; true where there was nothing more to do. */
function inChild(next: () => number | undefined, take: (told: Report) => void): Promise<boolean> {
  const child = fork(fileURLToPath(import.meta.url), { execArgv: process.execArgv });
  let [runs, isDone] = [0, false];
  const give = (): void => {
    const seed = runs++ < RUNS_OF_A_CHILD ? next() : undefined;
    isDone = seed === undefined && runs <= RUNS_OF_A_CHILD;
    if (seed === undefined) child.disconnect();
    else child.send(seed);
  };
  child.on('message', (told: Report) => {
    take(told);
    give();
  });
  give();
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => {
      if (code === 0) resolve(isDone);
      else reject(new Error(`a process of the simulation ended with ${code}`));
    });
  });
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', (seed: number) => void report(seed).then((told) => process.send?.(told)));
}
