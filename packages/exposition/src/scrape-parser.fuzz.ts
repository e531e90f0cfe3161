import { FormatError, type Labels, labelsKey, labelsOf, labelsToObject } from '@canopy/model';
import { expect, test } from 'vitest';
import { ScrapeParser, TextEncoder004, parseText, readSeries } from './index.js';

import type { Walker } from './walk-state.js';
import { ListedLabels } from './testing/index.js';
import { WALKERS, ensureWalkers } from './testing/walkers.js';
import { generator } from './testing/random.js';
import { WORST_BODIES } from './testing/worst-bodies.js';

await ensureWalkers();

const rounds = Number(process.env['CANOPY_FUZZ_ROUNDS'] ?? 400);
const seed = Number(process.env['CANOPY_FUZZ_SEED'] ?? 1);

const keyOf = (labels: Labels): string => {
  const pairs: Array<[string, string]> = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i], labels[i + 1]]);
  return labelsKey(labelsOf(pairs));
};

function makeParser(keys: string[], walker: Walker, maxSeries = 5_000): ScrapeParser {
  const slots = new Map<string, number>();
  const resolve = (labels: Labels): number => {
    const key = keyOf(labels);
    let slot = slots.get(key);
    if (slot === undefined) {
      slot = keys.length;
      slots.set(key, slot);
      keys.push(key);
    }
    return slot;
  };
  return new ScrapeParser({ resolver: { resolve }, honorTimestamps: true, maxSeries, walker });
}

type Outcome = { samples: string[] } | { error: string };
const line = (key: string, value: number, time: number): string => `${key} ${value} ${time}`;

/** What the parser with a memory says. */
function remembered(parser: ScrapeParser, keys: string[], body: Uint8Array): Outcome {
  try {
    const c = parser.parse(body);
    const samples: string[] = [];
    for (let slot = 0; slot < c.slotCount; slot++) {
      if (c.states[slot] !== 0) samples.push(line(keys[slot], c.values[slot], NaN));
    }
    for (let i = 0; i < c.looseCount; i++) {
      samples.push(line(keys[c.looseSlots[i]], c.looseValues[i], c.looseTimes[i]));
    }
    expect(c.samplesKept).toBe(samples.length + c.duplicates);
    return { samples: samples.sort() };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { error: error.message };
  }
}

/** What a plain reading without memory says. */
function plain(body: Uint8Array): Outcome {
  const first = new Map<string, string>();
  const lastTime = new Map<string, number>();
  try {
    parseText(body, {
      help: () => {},
      type: () => {},
      sample: (bytes, start, end, value, time) => {
        const key = keyOf(readSeries(bytes, start, end));
        if (!Number.isNaN(time)) {
          if (lastTime.get(key) === time) return;
          lastTime.set(key, time);
          first.set(`${key} ${time} ${first.size}`, line(key, value, time));
        } else if (!first.has(key)) first.set(key, line(key, value, time));
      },
    });
    return { samples: [...first.values()].sort() };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { error: error.message };
  }
}

const PIECES = [
  '# HELP a x\n',
  '# TYPE a gauge\n',
  '# TYPE b counter\n',
  '#\n',
  '\n',
  ' \n',
  '# HELP "a b" c\\n\n',
  'a 1\n',
  'a{b="c"} 2\n',
  'a{b="c",d="e"} 3\n',
  'a{d="e",b="c"} 3\n',
  '{"a.b",c="d"} 1\n',
  'b 1 100\n',
  'b 1 200\n',
  'a+1\n',
  'a1 5\n',
  'a {b="\n"} 1\n',
  'c NaN\n',
  'c{x="\\"}"} 1e3\n',
  'd{x="é"}5\n',
  'e 7.424100000000001e-05\n',
  ' f\t1\t\n',
  'f 2',
];
const NOISE = [
  '{',
  '}',
  '"',
  '\\',
  '\n',
  ' ',
  '\t',
  '#',
  ',',
  '=',
  '\0',
  '\u00ff',
  'a',
  '1',
  '.',
  'e',
  '-',
  '+',
  '_',
  ':',
];

test.each(WALKERS)('with or without memory, one reading, walked by $name', ({ walker }) => {
  const random = generator(seed);
  for (let round = 0; round < rounds; round++) {
    const keys: string[] = [];
    const parser = makeParser(keys, walker);
    let lines = Array.from({ length: random(30) }, () => PIECES[random(PIECES.length)]);
    for (let body = 0; body < 12; body++) {
      lines = mutate(lines, random);
      const bytes = Buffer.from(lines.join(''), random(10) === 0 ? 'latin1' : 'utf8');
      const expected = plain(bytes);
      expect(remembered(parser, keys, bytes), `seed ${seed} round ${round}`).toEqual(expected);
      if (random(8) === 0) parser.forget(random(3));
    }
  }
});

test.each(WORST_BODIES)('with or without memory, one reading: $name', ({ bodies }) => {
  for (const { walker } of WALKERS) {
    const keys: string[] = [];
    const parser = makeParser(keys, walker);
    for (const body of [...bodies, ...bodies]) {
      const bytes = Buffer.from(body);
      expect(remembered(parser, keys, bytes)).toEqual(plain(bytes));
    }
  }
});

function mutate(lines: string[], random: (below: number) => number): string[] {
  const next = [...lines];
  for (let changes = random(4); changes > 0; changes--) {
    const at = random(next.length + 1);
    const kind = random(12);
    if (kind < 3) next.splice(at, 0, PIECES[random(PIECES.length)]);
    else if (kind < 6) next.splice(at, 1);
    else if (kind < 8) next.push(...next.splice(at, 1 + random(5)));
    else if (kind < 11)
      next.splice(at, 1, (next[at] ?? 'g 1\n').replace(/\d+/, String(random(1e6))));
    else {
      const text = next[at] ?? '';
      const cut = random(text.length + 1);
      const noise = NOISE[random(NOISE.length)];
      next.splice(at, 1, text.slice(0, cut) + noise + text.slice(cut + random(2)));
    }
  }
  return next;
}

test('any bytes give samples or a FormatError', () => {
  const random = generator(seed + 1);
  for (let round = 0; round < rounds * 5; round++) {
    const bytes = Buffer.alloc(random(80));
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = random(4) === 0 ? random(256) : NOISE[random(NOISE.length)].charCodeAt(0);
    }
    plain(bytes);
  }
});

test('what the encoder writes reads back the same', () => {
  const random = generator(seed + 2);
  const CHARS = [
    'a',
    'B',
    '_',
    '0',
    '.',
    ' ',
    '"',
    '\\',
    '\n',
    'é',
    '€',
    '😀',
    '{',
    '}',
    ',',
    '=',
    '#',
    '\0',
  ];
  const text = (min: number): string => {
    let made = '';
    for (let i = min + random(6); i > 0; i--) made += CHARS[random(CHARS.length)];
    return made;
  };
  const double = new Float64Array(1);
  const words = new Uint32Array(double.buffer);
  for (let round = 0; round < rounds * 2; round++) {
    words[0] = random(2 ** 32);
    words[1] = random(2 ** 32);
    const value = random(3) === 0 ? random(1e6) - 5e5 : double[0];
    const labels: Record<string, string> = { __name__: text(1) };
    for (let i = random(4); i > 0; i--) labels[text(1)] = text(1);
    const time = random(2) === 0 ? undefined : random(1e9);
    const flat = labelsOf(Object.entries(labels));
    const listed = new ListedLabels();
    const encoder = new TextEncoder004(listed);
    encoder.beginFamily({ name: labels['__name__'], type: 'gauge', help: text(0) });
    encoder.sample(listed.add(flat), value, time);
    encoder.end();
    let count = 0;
    parseText(encoder.take(), {
      help: () => {},
      type: () => {},
      sample: (bytes, start, end, readValue, readTime) => {
        count++;
        expect(labelsToObject(readSeries(bytes, start, end))).toEqual(labelsToObject(flat));
        expect(Object.is(readValue, value)).toBe(true);
        expect(readTime).toBe(time ?? NaN);
      },
    });
    expect(count).toBe(1);
  }
});
