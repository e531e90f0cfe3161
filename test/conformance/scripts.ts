/** Prometheus's own scripts, where they lie beside the repository, and this project's. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  ALL_FEATURES,
  NO_FEATURES,
  testEngine,
} from '../../packages/promql/src/testing/options.js';
import { runScript } from '../../packages/promql/src/testing/script.js';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const FOREIGN = path('../../../shared/conformance/promqltest/');
const OWN = path('../../packages/promql/scripts/');
const GAPS = path('../../packages/promql/conformance-gaps.txt');

/** Runs them all and says what fails, by reason. Returns 1 where something fails that is not listed. */
export async function runScripts(say: (line: string) => void): Promise<number> {
  const gaps = readGaps();
  const byReason = new Map<string, number>();
  let [passed, unlisted] = [0, 0];
  for (const folder of [OWN, `${OWN}experimental/`, FOREIGN, `${FOREIGN}experimental/`]) {
    if (!existsSync(folder)) {
      say(`left out: Prometheus's scripts are not there (${folder})`);
      continue;
    }
    const isExperimental = folder.endsWith('experimental/');
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.test'))) {
      const outcomes = await runScript(readFileSync(`${folder}${name}`, 'utf8'), (queryable) =>
        testEngine(queryable, { features: isExperimental ? ALL_FEATURES : NO_FEATURES }),
      );
      const shown = isExperimental ? `experimental/${name}` : name;
      let failed = 0;
      for (const { line, query, problem } of outcomes) {
        if (problem === '') continue;
        failed++;
        const reason = gaps.get(`${shown}:${line}`);
        if (reason !== undefined) byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
        else {
          unlisted++;
          say(`${shown}:${line} ${query}: ${problem}`);
        }
      }
      passed += outcomes.length - failed;
      say(`  ${shown}: ${outcomes.length - failed} of ${outcomes.length}`);
    }
  }
  for (const [reason, count] of byReason) say(`${count} fail: ${reason}`);
  say(`${passed} evals pass; ${unlisted} fail that are not in conformance-gaps.txt`);
  return unlisted > 0 ? 1 : 0;
}

/** `file:line` → reason. */
function readGaps(): Map<string, string> {
  const lines = readFileSync(GAPS, 'utf8').split('\n');
  return new Map(
    lines.flatMap((line) => {
      const entry = /^([^#\s]\S*:\d+)\s+(.*)$/.exec(line);
      return entry === null ? [] : [[entry[1], entry[2]] as const];
    }),
  );
}
