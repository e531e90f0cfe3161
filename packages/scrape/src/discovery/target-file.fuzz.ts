/** Any text is a list of groups or a CanopyError, in bounded time. */
import { CanopyError } from '@canopy/model';
import { expect, test } from 'vitest';
import { parseTargetFile } from './target-file.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);
const SEEDS = [
  '[{"targets":["a:1","b:1"],"labels":{"x":"y"}}]',
  '- targets: [a:1]\n- targets:\n    - b:1\n  labels:\n    port: 9100\n',
  '- &a {targets: [x]}\n- *a\n- <<: *a\n',
  '- targets: !!binary aGk=\n  labels: {? [a]: b}\n',
];
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  '- ',
  '\n',
  '"',
  '&a ',
  '*a',
  '!!',
  '|',
  '#',
  ' ',
  '\t',
  'targets',
  '\0',
];

test(`${ROUNDS} broken files`, () => {
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < ROUNDS; round++) {
    let text = SEEDS[random(SEEDS.length)];
    for (let edits = random(6); edits >= 0; edits--) {
      const at = random(text.length + 1);
      text = text.slice(0, at) + PIECES[random(PIECES.length)] + text.slice(at + random(3));
    }
    const name = random(2) === 0 ? 'f.json' : 'f.yml';
    try {
      for (const group of parseTargetFile(name, text)) {
        expect(group.targets.every((target) => typeof target === 'string')).toBe(true);
        expect(Object.values(group.labels).every((value) => typeof value === 'string')).toBe(true);
      }
    } catch (error) {
      if (!(error instanceof CanopyError)) {
        throw new Error(`round ${round}, ${name}: ${JSON.stringify(text)}`, { cause: error });
      }
    }
  }
});
