/**
 * Test scripts in Prometheus's language: an eval that is not in conformance-gaps.txt must pass, and
 * one that is must fail. With CANOPY_WRITE_GAPS=1 the list is written anew; reasons are kept.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  GAPS_FILE,
  OWN_SCRIPTS,
  PROMETHEUS_SCRIPTS,
  readGaps,
  runScriptIn,
  scriptsIn,
} from './testing/suite.js';

const writesGaps = process.env.CANOPY_WRITE_GAPS === '1';

describe('own scripts', () => {
  for (const name of scriptsIn(OWN_SCRIPTS)!) {
    it(name, async () => {
      const { failures } = await runScriptIn(OWN_SCRIPTS, name);
      expect(Object.fromEntries(failures)).toEqual({});
    });
  }
});

const names = scriptsIn(PROMETHEUS_SCRIPTS);
if (names === undefined) {
  it.skip(`Prometheus's scripts are left out: ${PROMETHEUS_SCRIPTS} is not there`, () => {});
} else {
  const gaps = readGaps();
  const all = new Map<string, string>();
  describe("Prometheus's scripts", () => {
    for (const name of names) {
      it(name, async () => {
        const { failures } = await runScriptIn(PROMETHEUS_SCRIPTS, name);
        for (const [place, problem] of failures) all.set(place, problem);
        if (writesGaps) return;
        const unlisted = [...failures].filter(([place]) => !gaps.has(place));
        const mended = [...gaps.keys()].filter(
          (place) => place.startsWith(`${name}:`) && !failures.has(place),
        );
        expect(Object.fromEntries(unlisted), 'fail and are not listed').toEqual({});
        expect(mended, 'are listed and pass').toEqual([]);
      });
    }
    it('lists no place that is not there', () => {
      if (writesGaps) return writeGaps(gaps, all);
      expect([...gaps.keys()].filter((place) => !names.includes(place.split(':')[0]))).toEqual([]);
    });
  });
}

function writeGaps(gaps: ReadonlyMap<string, string>, failures: ReadonlyMap<string, string>): void {
  const header = readFileSync(GAPS_FILE, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('#'));
  const lines = [...failures].map(
    ([place, problem]) => `${place} ${gaps.get(place) ?? `TODO ${problem}`}`,
  );
  writeFileSync(GAPS_FILE, `${[...header, ...lines].join('\n')}\n`);
}
