import { CanopyError, type Labels } from '@canopy/model';
import { expect, test } from 'vitest';
import { ScrapeParser } from './index.js';
import { terminated } from './line-reader.js';
import { WALKERS, ensureWalkers } from './testing/walkers.js';
import type { Walker } from './walk-state.js';
import { type Random, generator } from './testing/random.js';
import { WORST_BODIES } from './testing/worst-bodies.js';

await ensureWalkers();

const rounds = Number(process.env['CANOPY_FUZZ_ROUNDS'] ?? 400);
const seed = Number(process.env['CANOPY_FUZZ_SEED'] ?? 1);

/** A parser that numbers series texts in the order it meets them, told by name. */
function makeParser(walker: Walker, maxSeries: number, keepBody = true) {
  const names: string[] = [];
  const slots = new Map<string, number>();
  const resolve = (labels: Labels): number => {
    const name = labels.join('\0');
    if (name.includes('dropped')) return -1;
    const slot = slots.get(name) ?? names.push(name) - 1;
    slots.set(name, slot);
    return slot;
  };
  const options = { resolver: { resolve }, honorTimestamps: true, maxSeries, keepBody, walker };
  return { parser: new ScrapeParser(options), names };
}

/** All that a parser says of a body; NaN and -0 as themselves. */
function outcome(parser: ScrapeParser, names: readonly string[], body: Uint8Array): unknown {
  try {
    const c = parser.parse(body);
    if (parser.lastBody.length > 0) {
      expect(Buffer.compare(parser.lastBody, terminated(body))).toBe(0);
    }
    const samples: unknown[] = [];
    for (let slot = 0; slot < c.slotCount; slot++) {
      if (c.states[slot] !== 0) samples.push([names[slot], c.values[slot]]);
    }
    for (let i = 0; i < c.looseCount; i++) {
      samples.push([names[c.looseSlots[i]], c.looseValues[i], c.looseTimes[i]]);
    }
    return [samples, c.samplesScraped, c.samplesKept, c.seriesAdded, c.duplicates];
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

const NUMBERS = [
  '0',
  '-0',
  '+1',
  '.5',
  '5.',
  '00000000000000000000000000001',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '9007199254740995',
  '4503599627370497.5',
  '18014398509481986',
  '1.0000000000000001110',
  '0.30000000000000004',
  '1e-40',
  '8.5e-41',
  '18446744073709551615',
  '18446744073709551616',
  '99999999999999999999',
  '0.1',
  '1e22',
  '1e23',
  '1e-22',
  '1E-23',
  '1.7976931348623157e308',
  '1.7976931348623159e308',
  '5e-324',
  '2.2250738585072011e-308',
  '7.424100000000001e-05',
  '123456789012345.67e-10',
  '1e00022',
  'NaN',
  '+Inf',
  '-inf',
  'nan',
  '0x1p3',
  '1_0',
  '1e',
  '-',
  '.',
  '1.2.3',
  '1e5x',
  '1{',
];
const TIMES = [
  '',
  '',
  '',
  '',
  ' ',
  ' 1',
  '\t1700000000123 ',
  ' 999999999999999',
  ' 9999999999999999',
];
const BAD_TIMES = [' x', ' -1', ' 1 2', ' 9223372036854775808', ' 1.5'];

function makeNumber(random: Random): string {
  if (random(4) === 0)
    return NUMBERS[random(random(4) === 0 ? NUMBERS.length : NUMBERS.length - 8)];
  // Half way between two doubles, or one off.
  if (random(8) === 0) return `${2n ** 53n + BigInt(random(1e9)) * 2n + BigInt(random(3))}`;
  const digits = String(random(1e9)) + (random(2) === 0 ? String(random(1e9)) : '');
  const at = random(digits.length + 1);
  const text = random(2) === 0 ? digits : `${digits.slice(0, at)}.${digits.slice(at)}`;
  return random(4) === 0 ? `${text}e${random(60) - 30}` : text;
}

function makeLine(random: Random): string {
  const kind = random(20);
  if (kind === 0) return `# HELP m${random(5)} ${'x'.repeat(random(80))}\n`;
  if (kind === 1) return ['#\n', '\n', ' # x\n', '# TYPE m1 counter\n'][random(4)];
  const name = kind === 2 ? 'dropped' : `m${random(40)}`;
  const label = random(2) === 0 ? '' : `{a="${'é\\n"}'.slice(0, random(3))}${random(9)}"}`;
  return `${name}${label}${random(30) === 0 ? '\t ' : ' '}${makeNumber(random)}${TIMES[random(TIMES.length)]}\n`;
}

/** Most lines as they were; some with another value; few inserted, gone, moved or broken. */
function nextLines(lines: readonly string[], random: Random): string[] {
  const next = lines.map((line) => {
    if (line.startsWith('#') || random(4) > 0) return line;
    return line.replace(/[ \t][^ \t{}"]*\n$/, () => ` ${makeNumber(random)}\n`);
  });
  const at = random(next.length + 1);
  const kind = random(12);
  if (kind === 0) next.splice(at, 0, makeLine(random));
  else if (kind === 1) next.splice(at, 1 + random(5));
  else if (kind === 2) next.push(...next.splice(at, 1 + random(20)));
  else if (kind === 3) next.splice(at, 0, `x 1${BAD_TIMES[random(BAD_TIMES.length)]}\n`);
  else if (kind === 4 && at < next.length) next[at] = next[at].slice(0, random(next[at].length));
  return next;
}

test.each(WORST_BODIES)('every walker gives the same: $name', ({ bodies }) => {
  for (const maxSeries of [5_000, 30]) {
    const parsers = WALKERS.map(({ walker }) => makeParser(walker, maxSeries));
    parsers.push(makeParser(WALKERS[0].walker, maxSeries, false));
    // Twice: what the last body left behind meets the first one.
    for (const body of [...bodies, ...bodies]) {
      const bytes = Buffer.from(body);
      const [expected, ...others] = parsers.map((p) => outcome(p.parser, p.names, bytes));
      for (const other of others) expect(other).toEqual(expected);
    }
  }
});

test('every walker gives the same, limits and errors included', () => {
  const random = generator(seed);
  for (let round = 0; round < rounds / 4; round++) {
    const maxSeries = random(3) === 0 ? 30 : 5_000;
    const parsers = WALKERS.map(({ walker }) => makeParser(walker, maxSeries));
    parsers.push(makeParser(WALKERS[0].walker, maxSeries, false));
    let lines = Array.from({ length: random(60) }, () => makeLine(random));
    for (let body = 0; body < 12; body++) {
      const bytes = Buffer.from(lines.join(''));
      const forgets = random(6) === 0;
      const [expected, ...others] = parsers.map(({ parser, names }) => {
        const found = outcome(parser, names, bytes);
        if (forgets) parser.forget(1);
        return found;
      });
      for (const other of others) expect(other, `seed ${seed} round ${round}`).toEqual(expected);
      lines = nextLines(lines, random);
    }
  }
});

test('a value has the bits of Number() wherever it is read', () => {
  const random = generator(seed + 1);
  for (const { walker } of WALKERS) {
    for (let round = 0; round < rounds; round++) {
      const { parser } = makeParser(walker, 10);
      parser.parse(Buffer.from('a 1\nb 2\n'));
      const text = makeNumber(random);
      const value = Number(text);
      if (!/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(text) || !Number.isFinite(value)) continue;
      expect(parser.parse(Buffer.from(`a ${text}\nb 2\n`)).values[0], text).toBe(value);
    }
  }
});

test('bodies larger than a window', () => {
  const random = generator(seed + 2);
  const line = (i: number, value: number): string =>
    `m${i % 7}{i="${i}",pad="${'p'.repeat(i % 97)}"} ${value}\n`;
  const size = 12_000;
  const values = Array.from({ length: size }, () => random(1e6));
  const parsers = WALKERS.map(({ walker }) => makeParser(walker, 2 * size));
  for (let body = 0; body < 4; body++) {
    const lines = values.map((value, i) => line(i, value));
    // A line, and a run of comments, that fit no window.
    if (body > 0) lines.splice(5_000, 0, `long{v="${'v'.repeat(100_000)}"} ${body}\n`);
    lines.splice(7_000, 0, `# ${'c'.repeat(70_000)}\n`);
    if (body === 3) lines.splice(9_000, 500);
    const bytes = Buffer.from(lines.join(''));
    const [expected, ...others] = parsers.map((p) => outcome(p.parser, p.names, bytes));
    for (const other of others) expect(other).toEqual(expected);
    for (let i = 0; i < size; i++) if (random(5) === 0) values[i] = random(1e9);
  }
});
