import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, asDuration, asTime } from '@canopy/model';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TargetGroup } from '../config.js';
import type { DiscoveryRun } from './discovery.js';
import { FileDiscovery } from './file.js';
import { parseTargetFile, parseTargetFileInSteps } from './target-file.js';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};

function check(name: string, text: string, expected: unknown): void {
  if (expected instanceof RegExp) expect(() => parseTargetFile(name, text)).toThrow(expected);
  else expect(parseTargetFile(name, text)).toEqual(expected);
}

test('one file', () => {
  const group = (path: string, index: number, targets: string[], labels = {}): TargetGroup => ({
    targets,
    labels: { ...labels, __meta_filepath: path },
    source: `${path}:${index}`,
  });
  check('a.json', '[{"targets":["a:1","b:1"],"labels":{"x":"y"}}]', [
    group('a.json', 0, ['a:1', 'b:1'], { x: 'y' }),
  ]);
  check(
    'a.yml',
    '- targets: [a:1]\n- targets:\n    - b:1\n  labels:\n    port: 9100\n    on: yes\n',
    [group('a.yml', 0, ['a:1']), group('a.yml', 1, ['b:1'], { port: '9100', on: 'yes' })],
  );
  check('a.yml', '', []);
  check('a.yml', '# nothing yet\n', []);
  check('a.json', '[]', []);
  check('a.json', '[{"targets":["a:1",]}', /^a\.json/);
  check('a.json', '[\n {"targets":[1]}]', /^a\.json:2:14: a target must be a string/);
  check('a.json', '{"targets":[]}', /^a\.json:1:1: expected a list of target groups/);
  check('a.yml', '- targets: [a:1]\n  label: {}\n', /^a\.yml:2:10: unknown key "label"/);
  check('a.yml', '- targets: a:1\n', /^a\.yml:1:12: "targets" must be a list/);
  check('a.yml', '- targets: [a\n- b', /^a\.yml:\d+:\d+: /);
  check('a.yml', '- labels: {a: [b]}\n', /^a\.yml:1:15: the value of label "a" must be a string/);
  check('a.yml', '- *x\n', /^a\.yml/);
});

test('a long file in steps is the same file', async () => {
  const entry = (i: number): string =>
    `- targets: [h${i}:1, 'h${i}:2']\n  labels:\n    n: "${i}"\n`;
  const entries = Array.from({ length: 600 }, (_, i) => entry(i)).join('');
  const steps = async (text: string, pausesMin: number): Promise<void> => {
    let pauses = 0;
    const pause = async (): Promise<void> => void pauses++;
    const whole = ((): unknown => {
      try {
        return parseTargetFile('a.yml', text);
      } catch (error) {
        return (error as Error).message;
      }
    })();
    const inSteps = await parseTargetFileInSteps('a.yml', text, pause).catch(
      (error: Error) => error.message,
    );
    expect(inSteps).toEqual(whole);
    expect(pauses).toBeGreaterThanOrEqual(pausesMin);
  };
  await steps(entries, 3);
  await steps(`---\n# all of them\n${entries}# the end\n`, 3);
  await steps(`- &first\n  targets: [x:1]\n${entries}- *first\n`, 1); // an alias into another part
  await steps(`${entries}- targets: x\n`, 1); // the place of a fault
  await steps(`${entries}---\n${entries}`, 1);
  await steps(`${entries}- targets: [\n`, 1);
  await steps(`targets:\n${entries}`, 0);
  await steps(entries.replaceAll('\n', '\r\n'), 3);
  await steps(`- targets: [x:1]\n  labels:\n    text: |\n${'      - no entry\n'.repeat(2000)}`, 0);
});

let folder = '';
let run: DiscoveryRun | undefined;
let reports: string[] = [];
let groups: readonly TargetGroup[] | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'canopy-files-'));
  reports = [];
  groups = undefined;
});
afterEach(async () => {
  run?.stop();
  await rm(folder, { recursive: true });
});

function start(pattern: string, refreshInterval = 60_000): void {
  const config = { files: [join(folder, pattern)], refreshInterval: asDuration(refreshInterval) };
  const discovery = new FileDiscovery(config, clock, (message, fields) =>
    reports.push(`${message}: ${fields.error}`),
  );
  run = discovery.start((found) => {
    groups = found;
  });
}

const targets = (): string[] | undefined => groups?.flatMap((group) => [...group.targets]);
const list = (...addresses: string[]): string => JSON.stringify([{ targets: addresses }]);
const until = (expected: string[]): Promise<void> =>
  expect.poll(targets, { timeout: 5000, interval: 10 }).toEqual(expected);

test('files that a pattern finds; changes are seen without waiting for the interval', async () => {
  await writeFile(join(folder, 'b.json'), list('b:1'));
  await writeFile(join(folder, 'a.json'), list('a:1'));
  await writeFile(join(folder, 'a.txt'), list('no:1'));
  start('*.json');
  await until(['a:1', 'b:1']);
  await writeFile(join(folder, 'c.tmp'), list('c:1', 'd:1'));
  await rename(join(folder, 'c.tmp'), join(folder, 'c.json'));
  await until(['a:1', 'b:1', 'c:1', 'd:1']);
  await rm(join(folder, 'a.json'));
  await until(['b:1', 'c:1', 'd:1']);
});

test('a broken file keeps its last good list and is reported once', async () => {
  await writeFile(join(folder, 't.yml'), '- targets: [a:1]\n');
  start('t.yml', 20);
  await until(['a:1']);
  await writeFile(join(folder, 't.yml'), '- targets: [\n');
  await expect.poll(() => reports.length, { timeout: 5000 }).toBe(1);
  await new Promise((done) => setTimeout(done, 100));
  expect(reports.length).toBe(1);
  expect(reports[0]).toMatch(/t\.yml:\d+:\d+: /);
  expect(targets()).toEqual(['a:1']);
  await writeFile(join(folder, 't.yml'), '- targets: [b:1]\n');
  await until(['b:1']);
});

test('a folder that is not there yet is found by the interval', async () => {
  start('later/*.json', 20);
  await until([]);
  const { mkdir } = await import('node:fs/promises');
  await mkdir(join(folder, 'later'));
  await writeFile(join(folder, 'later', 't.json'), list('a:1'));
  await until(['a:1']);
});
