/**
 * `npm run conformance`: Prometheus's own scripts straight on the engine. `-- --against prometheus`: a real
 * Prometheus beside a parent, the queries of prometheus/compliance and random ones (`--random COUNT`,
 * `--seed N`). Ends with 1 where something is different that nobody has explained.
 */
import { parseArgs } from 'node:util';
import { Site } from '../processes.js';
import { Against } from './against.js';
import { complianceQueries } from './query-list.js';
import { runScripts } from './scripts.js';

const { values } = parseArgs({
  options: {
    against: { type: 'string' },
    random: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
  },
});

const say = (line: string): void => console.log(line);

async function against(): Promise<number> {
  await using site = new Site();
  say('starting both and loading 90 minutes of samples …');
  const both = await Against.open(site, 90, Number(values.seed));
  const { totals } = both;
  const queries = complianceQueries();
  if (queries === null) say("the queries of prometheus/compliance are left out: they aren't there");
  for (const [i, query] of (queries ?? []).entries()) {
    await both.compare(query);
    if (i % 100 === 99) say(`  ${i + 1} of ${queries!.length} queries`);
  }
  const listed = totals.questions;
  const count = Number(values.random);
  await both.compareRandom(count, Number(values.seed), (done) => {
    if (done % 200 === 0) say(`  ${done} of ${count} random queries`);
  });
  for (const line of totals.differences) say(`different: ${line}`);
  say(
    `${listed} questions of the list, ${totals.questions - listed} random ones: ` +
      `${totals.differences.length} different, ${totals.explained} explained, ${totals.refused} refused by both`,
  );
  return totals.differences.length > 0 ? 1 : 0;
}

if (values.against !== undefined && values.against !== 'prometheus') {
  console.error(`--against ${values.against}: only prometheus is known`);
  process.exitCode = 2;
} else process.exitCode = values.against === undefined ? await runScripts(say) : await against();
