/** What `npm run chaos` runs; see USAGE. */
import { writeFileSync } from 'node:fs';
import { flagsOf } from '../flags.js';
import { runChaos } from './chaos.js';
import type { StoreKind } from './plan.js';
import { resultText } from './result.js';
import { RANDOM, SCENARIOS } from './scenarios.js';

const NAMES = [RANDOM, ...SCENARIOS.map(({ name }) => name)];
const USAGE = `npm run chaos -- [--all | --scenario NAME …] [--rounds N] [--short] [--seed S] [--store redis|embedded|both] [--result FILE]
scenarios: ${NAMES.join(', ')}
--rounds N: random kills, N rounds of them and as long as they take; without it they go on for 10 minutes`;
/** Of random kills. */
const LONG_S = 600;
const SHORT_S = 20;
const ROUNDS_MAX = 100_000;

const values = flagsOf(
  {
    all: { type: 'boolean', default: false },
    scenario: { type: 'string', multiple: true, default: [] },
    short: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 100_000) },
    store: { type: 'string', default: 'both' },
    result: { type: 'string', default: '' },
  },
  USAGE,
);
const seed = Number(values.seed);
const roundsMax = Number(values.rounds ?? ROUNDS_MAX);
const stores: StoreKind[] =
  values.store === 'both' ? ['embedded', 'redis'] : [values.store as StoreKind];
let scenarios = values.all ? NAMES : values.scenario;
if (scenarios.length === 0) scenarios = values.rounds === undefined ? NAMES : [RANDOM];
const isKnown =
  scenarios.every((name) => NAMES.includes(name)) &&
  ['redis', 'embedded', 'both'].includes(values.store);
if (!Number.isInteger(roundsMax) || roundsMax < 1 || !Number.isInteger(seed) || !isKnown) {
  console.error(USAGE);
  process.exit(2);
}
let secondsMax = values.short ? SHORT_S : LONG_S;
if (values.rounds !== undefined) secondsMax = Number.POSITIVE_INFINITY;
const form = values.short ? 'short' : 'long';
const say = (line: string): void => console.log(line);
const options = { scenarios, form, seed, stores, roundsMax, secondsMax, say } as const;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
console.log(`${scenarios.join(', ')}; seed ${seed}; ${stores.join(' and ')}`);
const result = await runChaos(options);
const text = resultText(options, result);
console.log(`\n${text}`);
if (values.result !== '') writeFileSync(values.result, text);
process.exit(result.faults.length === 0 ? 0 : 1);
