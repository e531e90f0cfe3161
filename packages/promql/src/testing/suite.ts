/**
 * The scripts that the engine is held to: this project's, which run everywhere, and Prometheus's
 * own where they lie beside the repository. conformance-gaps.txt names the evals of the latter that
 * fail.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EngineFeatures } from '../engine.js';
import { ALL_FEATURES, NO_FEATURES, testEngine } from './options.js';
import { runScript } from './script.js';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
export const OWN_SCRIPTS = path('../../scripts/');
export const PROMETHEUS_SCRIPTS = path('../../../../../shared/conformance/promqltest/');
export const GAPS_FILE = path('../../conformance-gaps.txt');

/** Names of the scripts in a folder, those of `experimental/` last; undefined where it is not there. */
export function scriptsIn(folder: string): string[] | undefined {
  if (!existsSync(folder)) return undefined;
  const within = (part: string): string[] =>
    readdirSync(`${folder}${part}`)
      .filter((name) => name.endsWith('.test'))
      .sort()
      .map((name) => `${part}${name}`);
  return [...within(''), ...within('experimental/')];
}

/** Experimental scripts need every feature, but labels of types only where they are the subject. */
function featuresFor(name: string): EngineFeatures {
  if (!name.startsWith('experimental/')) return NO_FEATURES;
  return { ...ALL_FEATURES, typeAndUnitLabels: name.includes('type') };
}

export interface ScriptOutcome {
  readonly evals: number;
  /** `name:line` → query and what is wrong, of the evals that fail. */
  readonly failures: ReadonlyMap<string, string>;
}

export async function runScriptIn(folder: string, name: string): Promise<ScriptOutcome> {
  const text = readFileSync(`${folder}${name}`, 'utf8');
  const outcomes = await runScript(text, (queryable) =>
    testEngine(queryable, { features: featuresFor(name) }),
  );
  const failures = new Map<string, string>();
  for (const { line, query, problem } of outcomes) {
    if (problem !== '') failures.set(`${name}:${line}`, `${query}: ${problem}`);
  }
  return { evals: outcomes.length, failures };
}

/** `name:line` → reason. */
export function readGaps(): Map<string, string> {
  const lines = readFileSync(GAPS_FILE, 'utf8').split('\n');
  return new Map(
    lines.flatMap((line) => {
      const entry = /^([^#\s]\S*:\d+)\s+(.*)$/.exec(line);
      return entry === null ? [] : [[entry[1], entry[2]] as const];
    }),
  );
}
