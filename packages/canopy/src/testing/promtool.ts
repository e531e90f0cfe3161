/**
 * What a real `promtool check config` says, for tests that compare it with ours.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether there is a promtool to ask; says so where not. */
export function hasPromtool(): boolean {
  const isLeftOut = (process.env.CANOPY_TEST_WITHOUT ?? '').split(',').includes('prometheus');
  const isThere = !isLeftOut && spawnSync('promtool', ['--version']).status === 0;
  if (!isThere) console.log('Left out: comparisons with promtool (prometheus is not there).');
  return isThere;
}

/**
 * Asks about all texts at once, as files in `folder`.
 * @returns for each text why it is refused, without the folder's name; '' where it is accepted.
 */
export function promtoolSays(folder: string, texts: readonly string[]): string[] {
  const files = texts.map((text, index) => {
    const file = join(folder, `config-${index}.yml`);
    writeFileSync(file, text);
    return file;
  });
  const { stdout, stderr } = spawnSync('promtool', ['check', 'config', ...files], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  const accepted = new Set([...stdout.matchAll(/SUCCESS: (\S+) /g)].map(([, file]) => file));
  const refusals = stderr.split(/^ {2}FAILED: /m).slice(1);
  if (accepted.size + refusals.length !== files.length) {
    throw new Error(`promtool was asked about ${files.length} files: ${stdout}${stderr}`);
  }
  return files.map((file) => {
    if (accepted.has(file)) return '';
    const said = (refusals.shift() ?? '').trim().replaceAll(`${folder}/`, '');
    return said.replace(/^parsing YAML file config-\d+\.yml: /, '');
  });
}
