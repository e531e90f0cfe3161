/** What `npm run simulate` runs: `--seeds N --from S --keep | --seed S --verbose --canary NAME`. */
import { parseArgs } from 'node:util';
import { CANARIES, type CanaryName } from './canaries.js';
import { simulate } from './simulation.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    canary: { type: 'string' },
  },
});
const one = values.seed === undefined ? undefined : Number(values.seed);
const [count, from] = one === undefined ? [Number(values.seeds), Number(values.from)] : [1, one];
const canary = values.canary as CanaryName | undefined;
const isKnown = canary === undefined || canary in CANARIES;
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(from) || !isKnown) {
  console.error(
    `npm run simulate -- --seeds N [--from S] [--keep] | --seed S [--verbose] [--canary NAME]\n` +
      `--keep: on after a failure; canaries: ${Object.keys(CANARIES).join(' ')}`,
  );
  process.exit(2);
}
const TRACE_LINES = 60;
const PROGRESS_MS = 2000;
const say = values.verbose ? (line: string) => console.log(line) : undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const begun = performance.now();
const totals = { seeds: 0, events: 0, kills: 0, scrapes: 0, pages: 0, samples: 0 };
const failed: number[] = [];
let told = begun;
for (let seed = from; seed < from + count; seed++) {
  const result = await simulate({ seed, ...(canary && { canary }), ...(say && { say }) });
  totals.seeds++;
  for (const key of ['events', 'kills', 'scrapes', 'pages', 'samples'] as const) {
    totals[key] += result[key];
  }
  if (result.faults.length > 0) {
    failed.push(seed);
    if (!values.keep && !values.verbose) {
      console.log(`\n${JSON.stringify(result.plan, null, 1)}`);
      for (const line of result.lines.slice(-TRACE_LINES)) console.log(line);
    }
    console.log(`seed ${seed} fails (${result.digest.slice(0, 12)}):`);
    for (const fault of result.faults.slice(0, 10)) console.log(`  ${fault}`);
    if (!values.keep) break;
  }
  if (performance.now() - told > PROGRESS_MS) {
    told = performance.now();
    console.log(`${totals.seeds} of ${count} seeds, ${pace()}, ${failed.length} failed`);
  }
}
const seconds = (performance.now() - begun) / 1000;
function pace(): string {
  return `${((1000 * totals.seeds) / (performance.now() - begun)).toFixed(1)} seeds/s`;
}
console.log(`${JSON.stringify(totals)}, ${seconds.toFixed(1)} s, ${pace()}`);
if (failed.length > 0) {
  console.log(
    `failed: ${failed.join(' ')}\nAgain: npm run simulate -- --seed ${failed[0]} --verbose`,
  );
}
process.exit(failed.length === 0 ? 0 : 1);
