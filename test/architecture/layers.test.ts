import { readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { IMPORTERS, LAYERS, LONG_FILES, WORLD } from './layers.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const packages = join(root, 'packages');

interface Source {
  readonly owner: string;
  readonly file: string;
  readonly text: string;
  readonly isTest: boolean;
}

function sourcesOf(owner: string): Source[] {
  const folder = join(packages, owner, 'src');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({
      owner,
      file: relative(root, join(folder, name)),
      text: readFileSync(join(folder, name), 'utf8'),
      isTest: /\.(test|fuzz)\.ts$/.test(name) || /(^|\/)testing\//.test(name),
    }));
}

const owners = readdirSync(packages, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const sources = owners.flatMap(sourcesOf);

/** `import … from 'x'`, `export … from 'x'`, `import 'x'` at the start of a line; `import('x')` anywhere. */
const IMPORTS =
  /^(?:(?:import|export)\s[^'"`;]*?\bfrom\s+|import\s+)['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

/** Package names a source imports. */
function importsOf(source: Source): string[] {
  const found: string[] = [];
  for (const match of source.text.matchAll(IMPORTS)) {
    const name = match[1] ?? match[2];
    if (name.startsWith('.') || name.startsWith('node:') || builtinModules.includes(name)) continue;
    const depth = name.startsWith('@') ? 2 : 1;
    found.push(name.split('/').slice(0, depth).join('/'));
  }
  return found;
}

const FOR_TESTS = new Set(['vitest', 'fast-check']);

describe('architecture', () => {
  it('every package has a layer', () => {
    expect(owners.sort()).toEqual(Object.keys(LAYERS).sort());
  });

  it('imports go down', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      for (const name of importsOf(source)) {
        const target = name === 'canopy' ? 'canopy' : /^@canopy\/(.+)$/.exec(name)?.[1];
        if (target === undefined || target === source.owner) continue;
        const isDown = LAYERS[target] < LAYERS[source.owner];
        if (!isDown && !source.isTest) wrong.push(`${source.file} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('each third-party package has its importers', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      for (const name of importsOf(source)) {
        if (name.startsWith('@canopy/') || name === 'canopy') continue;
        if (source.isTest && FOR_TESTS.has(name)) continue;
        if (!(IMPORTERS[name] ?? []).includes(source.owner))
          wrong.push(`${source.file} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('time, chance, network and environment come in through constructors', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      if (source.owner === 'canopy' || source.isTest) continue;
      source.text.split('\n').forEach((line, index) => {
        if (/^\s*(\*|\/\/|\/\*)/.test(line)) return;
        if (WORLD.some((pattern) => pattern.test(line))) wrong.push(`${source.file}:${index + 1}`);
      });
    }
    expect(wrong).toEqual([]);
  });

  it('files stay short', () => {
    const long = sources
      .filter((source) => !source.isTest && source.text.split('\n').length > 501)
      .map((source) => source.file)
      .filter((file) => !(file in LONG_FILES));
    expect(long).toEqual([]);
  });
});
