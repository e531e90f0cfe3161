/**
 * Prometheus's own test scripts, where they lie beside this repository (`../shared/conformance`),
 * and this project's, which run everywhere. conformance-gaps.txt names the evals that fail: one
 * that
 * is not in it must pass, and one that is must fail.
 *
 * With CANOPY_WRITE_GAPS=1 the list is written anew; reasons are kept.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ALL_FEATURES, NO_FEATURES, testEngine } from './testing/options.js';
import { runScript } from './testing/script.js';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const FOREIGN = path('../../../../shared/conformance/promqltest/');
const OWN = path('../scripts/');
const GAPS = path('../conformance-gaps.txt');

const scriptsIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.test'))
    .sort();

/** Those of `experimental/` need every feature switched on. */
const scriptsWithin = (folder: string): string[] => [
  ...scriptsIn(folder),
  ...scriptsIn(`${folder}experimental/`).map((name) => `experimental/${name}`),
];

/** `file:line` → reason. */
function readGaps(): Map<string, string> {
  const gaps = new Map<string, string>();
  for (const line of readFileSync(GAPS, 'utf8').split('\n')) {
    const entry = /^(\S+:\d+)\s+(.*)$/.exec(line);
    if (entry !== null && !line.startsWith('#')) gaps.set(entry[1], entry[2]);
  }
  return gaps;
}

/** `file:line` → what is wrong, of the evals that fail. */
async function failuresOf(file: string, name: string): Promise<Map<string, string>> {
  const isExperimental = name.startsWith('experimental/');
  const outcomes = await runScript(readFileSync(file, 'utf8'), (queryable) =>
    testEngine(queryable, { features: isExperimental ? ALL_FEATURES : NO_FEATURES }),
  );
  const failures = new Map<string, string>();
  for (const { line, query, problem } of outcomes) {
    if (problem !== '') failures.set(`${name}:${line}`, `${query}: ${problem}`);
  }
  return failures;
}

describe('own scripts', () => {
  for (const name of scriptsWithin(OWN)) {
    it(name, async () => {
      expect(Object.fromEntries(await failuresOf(`${OWN}${name}`, name))).toEqual({});
    });
  }
});

if (!existsSync(FOREIGN)) {
  it.skip(`Prometheus's scripts are left out: ${FOREIGN} is not there`, () => {});
} else {
  const names = scriptsWithin(FOREIGN);
  const gaps = readGaps();
  const all = new Map<string, string>();
  describe("Prometheus's scripts", () => {
    for (const name of names) {
      it(name, async () => {
        const failures = await failuresOf(`${FOREIGN}${name}`, name);
        for (const [place, problem] of failures) all.set(place, problem);
        if (process.env.CANOPY_WRITE_GAPS === '1') return;
        const unlisted = [...failures].filter(([place]) => !gaps.has(place));
        const mended = [...gaps.keys()].filter(
          (place) => place.startsWith(`${name}:`) && !failures.has(place),
        );
        expect(Object.fromEntries(unlisted), 'fail and are not listed').toEqual({});
        expect(mended, 'are listed and pass').toEqual([]);
      });
    }
    it('lists no place that is not there', () => {
      if (process.env.CANOPY_WRITE_GAPS === '1') return writeGaps(gaps, all);
      expect([...gaps.keys()].filter((place) => !names.includes(place.split(':')[0]))).toEqual([]);
    });
  });
}

function writeGaps(gaps: ReadonlyMap<string, string>, failures: ReadonlyMap<string, string>): void {
  const header = readFileSync(GAPS, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('#'));
  const lines = [...failures].map(
    ([place, problem]) => `${place} ${gaps.get(place) ?? `TODO ${problem}`}`,
  );
  writeFileSync(GAPS, `${[...header, ...lines].join('\n')}\n`);
}
