/** What `npm run simulate` runs: many seeds, with `--result` a page about them; or one, line by line. */
import { writeFileSync } from 'node:fs';
import { flagsOf } from '../flags.js';
import { CANARIES, type CanaryName } from './canaries.js';
import { type CanaryResult, resultText } from './result.js';
import { type Report, runSeeds } from './runs.js';
import { SEEDS } from './seeds.js';
import { simulate } from './simulation.js';

const USAGE = `npm run simulate -- --seeds N [--from S] [--jobs J] [--keep] [--result FILE]
npm run simulate -- --seed S [--verbose] [--canary NAME]
--keep: goes on after a failure; --result: then canaries, too; canaries: ${Object.keys(CANARIES).join(' ')}`;
const PROGRESS_MS = 2000;
const FAULTS_SHOWN = 10;

const values = flagsOf(
  {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    seed: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    canary: { type: 'string' },
    result: { type: 'string' },
  },
  USAGE,
);
/** The first signal: what has been done until then is told, canaries and page included. */
let isStopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (isStopped || values.seed !== undefined) process.exit(130);
    isStopped = true;
  });
}
const [count, from, jobs] = [Number(values.seeds), Number(values.from), Number(values.jobs)];
const isKnown = values.canary === undefined || values.canary in CANARIES;
if (![count, from, jobs].every(Number.isInteger) || count < 1 || jobs < 1 || !isKnown) {
  console.error(USAGE);
  process.exit(2);
}
process.exit((await (values.seed === undefined ? many() : one(Number(values.seed)))) ? 0 : 1);

async function one(seed: number): Promise<boolean> {
  const say = values.verbose ? (line: string) => console.log(line) : undefined;
  const canary = values.canary as CanaryName | undefined;
  const { faults, digest, counts } = await simulate({
    seed,
    ...(canary && { canary }),
    ...(say && { say }),
  });
  for (const fault of faults) console.log(`  ${fault}`);
  console.log(`seed ${seed} ${faults.length > 0 ? 'fails' : 'passes'} (${digest.slice(0, 12)})`);
  console.log(JSON.stringify(counts));
  return faults.length === 0;
}

async function many(): Promise<boolean> {
  const begun = performance.now();
  const counts = new Map<string, number>();
  const failed: number[] = [];
  let [done, told] = [0, begun];
  const pace = (): string => `${((1000 * done) / (performance.now() - begun)).toFixed(1)} seeds/s`;
  const take = ({ seed, faults, digest, counts: own, plan, lines = [] }: Report): boolean => {
    done++;
    for (const [what, times] of Object.entries(own)) {
      counts.set(what, (counts.get(what) ?? 0) + times);
    }
    if (faults.length > 0) {
      failed.push(seed);
      if (!values.keep) console.log(`\n${JSON.stringify(plan, null, 1)}\n${lines.join('\n')}`);
      console.log(`seed ${seed} fails (${digest.slice(0, 12)}):`);
      for (const fault of faults.slice(0, FAULTS_SHOWN)) console.log(`  ${fault}`);
    }
    if (performance.now() - told > PROGRESS_MS) {
      told = performance.now();
      console.log(`${done} of ${count} seeds, ${pace()}, ${failed.length} failed`);
    }
    return !isStopped && (failed.length === 0 || values.keep);
  };
  const seeds = Array.from({ length: count }, (_, i) => from + i);
  await runSeeds(seeds, jobs, take);
  const seconds = (performance.now() - begun) / 1000;
  failed.sort((a, b) => a - b);
  console.log(`${JSON.stringify(Object.fromEntries(counts))}, ${seconds.toFixed(1)} s, ${pace()}`);
  if (failed.length > 0) {
    const again = `npm run simulate -- --seed ${failed[0]} --verbose`;
    console.log(`failed: ${failed.join(' ')}\nAgain: ${again}`);
  }
  if (values.result === undefined) return failed.length === 0;
  const canaries = await tryCanaries();
  const date = new Date().toISOString().slice(0, 10);
  const totals = { from, seeds: done, failed, date, seconds, jobs, counts };
  writeFileSync(values.result, resultText(totals, canaries));
  return failed.length === 0 && canaries.every(({ fault }) => fault !== '');
}

/** Each with the seeds of the tests, which pass without it, until its checker speaks. */
async function tryCanaries(): Promise<CanaryResult[]> {
  const results: CanaryResult[] = [];
  for (const [name, checker] of Object.entries(CANARIES) as Array<[CanaryName, string]>) {
    const tried: number[] = [];
    let fault = '';
    for (const run of SEEDS) {
      tried.push(run.seed);
      const { faults } = await simulate({ ...run, canary: name });
      fault = faults.find((text) => text.startsWith(`${checker}: `)) ?? '';
      if (fault !== '') break;
    }
    console.log(`canary ${name}: ${fault === '' ? 'NOT SEEN' : fault}`);
    results.push({ name, checker, seeds: tried, fault });
  }
  return results;
}
