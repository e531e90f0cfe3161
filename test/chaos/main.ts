/** What `npm run chaos` runs: `--rounds N --seed S --store redis|embedded|both --minutes M --result FILE`. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { resultText, runChaos } from './chaos.js';
import type { StoreKind } from './plan.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 100_000) },
    store: { type: 'string', default: 'both' },
    minutes: { type: 'string', default: '120' },
    result: { type: 'string', default: 'test/chaos/RESULT.md' },
  },
});
const [rounds, seed] = [Number(values.rounds), Number(values.seed)];
const isKnown = ['redis', 'embedded', 'both'].includes(values.store);
if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed) || !isKnown) {
  console.error('npm run chaos -- --rounds N --seed S --store redis|embedded|both');
  process.exit(2);
}
const stores: StoreKind[] =
  values.store === 'both' ? ['embedded', 'redis'] : [values.store as StoreKind];
const minutes = Number(values.minutes);
const options = { rounds, seed, stores, minutes, say: (line: string) => console.log(line) };
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
console.log(`${rounds} rounds, seed ${seed}, ${stores.join(' and ')}`);
const result = await runChaos(options);
const text = resultText(options, result);
console.log(`\n${text}`);
writeFileSync(values.result, `${text.trimEnd()}\n`);
process.exit(result.faults.length === 0 ? 0 : 1);
