/** Prometheus's own scripts, where they lie beside the repository, and this project's. */
import {
  OWN_SCRIPTS,
  PROMETHEUS_SCRIPTS,
  readGaps,
  runScriptIn,
  scriptsIn,
} from '../../packages/promql/src/testing/suite.js';

/** Runs them all and says what fails, by reason. Returns 1 where something fails that is not listed. */
export async function runScripts(say: (line: string) => void): Promise<number> {
  const gaps = readGaps();
  const byReason = new Map<string, number>();
  let [passed, unlisted] = [0, 0];
  for (const folder of [OWN_SCRIPTS, PROMETHEUS_SCRIPTS]) {
    const names = scriptsIn(folder);
    if (names === undefined) say(`left out: Prometheus's scripts are not there (${folder})`);
    for (const name of names ?? []) {
      const { evals, failures } = await runScriptIn(folder, name);
      for (const [place, problem] of failures) {
        const reason = gaps.get(place);
        if (reason !== undefined) byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
        else {
          unlisted++;
          say(`${place} ${problem}`);
        }
      }
      passed += evals - failures.size;
      say(`  ${name}: ${evals - failures.size} of ${evals}`);
    }
  }
  for (const [reason, count] of byReason) say(`${count} fail: ${reason}`);
  say(`${passed} evals pass; ${unlisted} fail that are not in conformance-gaps.txt`);
  return unlisted > 0 ? 1 : 0;
}
