/**
 * Why a configuration is refused: in Prometheus's own words, place and value where a decoder of YAML speaks, and a
 * list of what is said otherwise. The words of `SAME` are what promtool 2.42 says, asked in the last test; those of
 * `NEWER` are Prometheus 3's (config/config.go, discovery/, model/relabel, prometheus/common config/http_config.go).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { hasPromtool, promtoolSays } from '../testing/promtool.js';
import { OTHER_WORDS, SAME } from '../testing/refused-configs.js';
import { NEWER, OLD_NAMES } from '../testing/refused-newer.js';
import { checkConfig } from './check-config.js';

const folder = mkdtempSync(join(tmpdir(), 'canopy-reasons-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
write('there', 'x\n');
write('targets.json', '[{"targets": ["h:1"]}]');
write('key.json', '[{"targets": ["h:1"], "labelz": {}}]');
write('type.json', '[{"targets": "h:1"}]');
write('broken.json', '[{"targets": ["h:1"]');
write('broken.yml', '- targets: [');
write('null.json', '[null]');
write('label.json', '[{"targets": ["h:1"], "labels": {"": "x"}}]');

/** What Canopy says where Prometheus says `reason`. */
function ourWords(reason: string): RegExp {
  const exactly = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const [, at, fault] = /^line (\d+): (.*)$/s.exec(reason) ?? [];
  if (fault === undefined) return new RegExp(exactly(reason));
  const place = `:${at}:\\d+: .*`;
  const [, key, how] = /^field (\S+) (not found|already set) in type/.exec(fault) ?? [];
  if (how === 'not found') return new RegExp(`${place}unknown key "${key}"`);
  if (how === 'already set') return new RegExp(`${place}key "${key}" already set`);
  const [, given, type] = /^cannot unmarshal !!\w+(?: `(.*)`)? into (.*)$/.exec(fault) ?? [];
  return new RegExp(`${place}${wrongType(type, given?.replace('...', ''))}`);
}

/** Go's types, as Canopy's reader calls them. */
function wrongType(type: string, given: string | undefined): string {
  if (/^\[\]|LabelNames$/.test(type)) return 'is not a list';
  const isScalar = /^(string|bool|u?int|uint64|units\.Base2Bytes|model\.LabelValue)$/.test(type);
  if (!isScalar && !(type === 'config.plain' && given === undefined)) {
    return 'is not a mapping of keys to values';
  }
  // A secret is `config.plain` to Go, too.
  if (given === undefined) return 'is not a (text|mapping of keys to values)';
  const what = type === 'bool' ? 'neither true nor false' : '(not a whole number|too large)';
  return `"${given}\\d*" is ${what}`;
}

function canopySays(text: string): string {
  write('prometheus.yml', text);
  const lines: string[] = [];
  const exitCode = checkConfig(join(folder, 'prometheus.yml'), {}, (line) => lines.push(line));
  return exitCode === 2 ? lines.join('\n').replaceAll(`${folder}/`, '') : '';
}

test('a refusal names the reason that Prometheus names', () => {
  const wanted = [...SAME, ...OLD_NAMES, ...NEWER].map(
    ([text, reason]) => [text, ourWords(reason)] as const,
  );
  wanted.push(...OTHER_WORDS.map(([text, , ours]) => [text, ours] as const));
  const other = wanted.flatMap(([text, words]) => {
    const said = canopySays(text);
    const isOurs = !/invalid input|expected nonoptional/i.test(said);
    return words.test(said) && isOurs ? [] : [{ text, words, said }];
  });
  expect(other).toEqual([]);
});

test.skipIf(!hasPromtool())('promtool names it so', () => {
  const cases = [...SAME, ...OLD_NAMES, ...OTHER_WORDS];
  const said = promtoolSays(
    folder,
    cases.map(([text]) => text),
  );
  const other = cases.flatMap(([text, reason], index) =>
    said[index].includes(reason) ? [] : [{ text, reason, said: said[index] }],
  );
  expect(other).toEqual([]);
  // What is new is new: 2.42 accepts it, or refuses it for another reason.
  const newer = promtoolSays(
    folder,
    NEWER.map(([text]) => text),
  );
  expect(NEWER.filter(([, reason], index) => newer[index].includes(reason))).toEqual([]);
});
