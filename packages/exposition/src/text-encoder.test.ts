import { type Labels, labelsFromObject } from '@canopy/model';
import { describe, expect, test } from 'vitest';
import { writeSeconds, writeValue, writeWhole } from './float-bytes.js';
import { formatValue } from './float-text.js';
import type { EscapingScheme } from './name-escaping.js';
import { generator } from './testing/random.js';
import { ListedLabels } from './testing/index.js';
import { type FamilyEncoder, OpenMetricsEncoder, TextEncoder004 } from './text-encoder.js';

type Add = (labels: Labels, value: number, time?: number) => void;

/** Chunks, as somebody takes them who looks after every line. */
function encode(
  write: (encoder: FamilyEncoder, add: Add) => void,
  Encoder: typeof TextEncoder004 | typeof OpenMetricsEncoder = TextEncoder004,
  always = '',
  escaping: EscapingScheme = 'allow-utf-8',
): Buffer[] {
  const chunks: Buffer[] = [];
  const labels = new ListedLabels();
  const encoder = new Encoder(labels, always, escaping);
  const take = () => chunks.push(Buffer.from(encoder.take()));
  write(encoder, (set, value, time) => {
    encoder.sample(labels.add(set), value, time);
    if (encoder.full) take();
  });
  encoder.end();
  take();
  return chunks;
}

const textOf = (...given: Parameters<typeof encode>): string =>
  Buffer.concat(encode(...given)).toString();

function check(labels: Record<string, string>, always: string, expected: string): void {
  const write = (_: FamilyEncoder, add: Add): void => add(labelsFromObject(labels), 1);
  expect(textOf(write, TextEncoder004, always)).toBe(`${expected} 1\n`);
}

describe('series', () => {
  test.each<[Record<string, string>, string, string]>([
    [{ __name__: 'a' }, '', 'a'],
    [{ __name__: 'a', b: 'c', d: 'e' }, '', 'a{b="c",d="e"}'],
    [{ __name__: 'a', b: 'x"\\\ny' }, '', String.raw`a{b="x\"\\\ny"}`],
    [{ __name__: 'my.metric' }, '', '{"my.metric"}'],
    [{ __name__: 'my.metric', a: 'b' }, '', '{"my.metric",a="b"}'],
    [{ __name__: 'a', 'b.c': 'd' }, '', 'a{"b.c"="d"}'],
    [{ __name__: 'a"\n' }, '', String.raw`{"a\"\n"}`],
    [{ A: 'before', __name__: 'a' }, '', 'a{A="before"}'],
    [{ b: 'c' }, '', '{"",b="c"}'],
    // A label that every line has, in its place.
    [{ __name__: 'a' }, 'i', 'a{i=""}'],
    [{ __name__: 'a.b' }, 'i', '{"a.b",i=""}'],
    [{ __name__: 'a', i: 'x', z: 'y' }, 'i', 'a{i="x",z="y"}'],
    [{ __name__: 'a', h: 'x' }, 'i', 'a{h="x",i=""}'],
    [{ __name__: 'a', j: 'x' }, 'i', 'a{i="",j="x"}'],
    [{ A: '1', __name__: 'a', h: '2', j: '3' }, 'i', 'a{A="1",h="2",i="",j="3"}'],
  ])('%j, always %j', check);
});

test('names outside the old alphabet under each scheme', () => {
  const named = (labels: Record<string, string>, ...expected: [string, string, string]): void => {
    const schemes = ['underscores', 'dots', 'values'] as const;
    const write = (_: FamilyEncoder, add: Add): void => add(labelsFromObject(labels), 1);
    const shown = schemes.map((scheme) =>
      textOf(write, TextEncoder004, '', scheme).replace(/ 1\n$/, ''),
    );
    expect(shown).toEqual(expected);
  };
  named({ __name__: 'a_b', c: 'd' }, 'a_b{c="d"}', 'a_b{c="d"}', 'a_b{c="d"}');
  named({ __name__: 'a.b' }, 'a_b', 'a_dot_b', 'U__a_2e_b');
  named(
    { __name__: 'a.b', 'c.d': 'x.y', e: 'f' },
    'a_b{c_d="x.y",e="f"}',
    'a_dot_b{c_dot_d="x.y",e="f"}',
    'U__a_2e_b{U__c_2e_d="x.y",e="f"}',
  );
  named(
    { __name__: 'a', 'c.d': '1', c_d: '2' }, // both would be c_d
    'a{U__c_2e_d="1",c_d="2"}',
    'a{c_dot_d="1",c_d="2"}',
    'a{U__c_2e_d="1",c_d="2"}',
  );
  named({ __name__: 'a', 'b:c': '1' }, 'a{b_c="1"}', 'a{b_c="1"}', 'a{b_c="1"}');
  const write = (_: FamilyEncoder, add: Add): void => {
    add(labelsFromObject({ __name__: 'a.b', 'c.d': '1', j: '2' }), 1);
    add(labelsFromObject({ __name__: 'a.b', 'j.d': '1' }), 1);
    add(labelsFromObject({ __name__: 'a.b', i: '1', 'z.d': '2' }), 1);
  };
  expect(textOf(write, TextEncoder004, 'i', 'underscores')).toBe(
    'a_b{c_d="1",i="",j="2"} 1\na_b{i="",j_d="1"} 1\na_b{i="1",z_d="2"} 1\n',
  );
});

test('families, types and times', () => {
  const name = (text: string): Labels => ['__name__', text];
  const unit = '';
  const text = textOf((encoder, add) => {
    encoder.beginFamily({ name: 'a_total', type: 'counter', help: 'Line\nand \\ "quotes".', unit });
    add(name('a_total'), 1e6, 1700000000000);
    encoder.beginFamily({ name: 'b', type: 'unknown', help: '', unit });
    add(name('b'), NaN);
    encoder.beginFamily({ name: 'c.d', type: 'stateset', help: 'x', unit });
    add(name('c.d'), -Infinity);
  });
  expect(text).toBe(
    [
      String.raw`# HELP a_total Line\nand \\ "quotes".`,
      '# TYPE a_total counter',
      'a_total 1e+06 1700000000000',
      '# TYPE b untyped',
      'b NaN',
      '# HELP "c.d" x',
      '# TYPE "c.d" untyped',
      '{"c.d"} -Inf',
      '',
    ].join('\n'),
  );
});

test('chunks are about 60 KiB, and nothing is lost between them', () => {
  const long = '€'.repeat(50_000);
  const chunks = encode((_, add) => {
    for (let i = 0; i < 5_000; i++) add(['__name__', 'a', 'i', `${i}`], i);
    add(['__name__', 'a', 'long', long], 1);
  });
  const lengths = chunks.map((chunk) => chunk.length);
  expect(lengths.filter((length) => length > 65_536)).toEqual([expect.any(Number)]);
  const text = Buffer.concat(chunks).toString();
  expect(text.split('\n')).toHaveLength(5_002);
  expect(text.endsWith(`a{long="${long}"} 1\n`)).toBe(true);
  expect(textOf(() => {})).toBe('');
});

test('more texts than are remembered, and texts that got other numbers', () => {
  const labels = new ListedLabels();
  const encoder = new TextEncoder004(labels);
  const sets = Array.from({ length: 40_000 }, (_, i) =>
    labelsFromObject({ __name__: `m${i % 7}`, [`l${i % 11}`]: `${i}`.padEnd(30, '.'), z: 'z' }),
  );
  const numbers = sets.map((set) => labels.add(set));
  let read = '';
  for (const round of [0, 1]) {
    numbers.forEach((number, i) => {
      if (i % 10_000 === 0) labels.renumber();
      encoder.sample(number, round, undefined);
      if (encoder.full) read += encoder.take().toString();
    });
  }
  read += encoder.take().toString();
  const line = ([, name, label, value]: Labels, round: number): string =>
    `${name}{${label}="${value}",z="z"} ${round}\n`;
  const expected = [0, 1].flatMap((round) => sets.map((set) => line(set, round)));
  expect(read === expected.join('')).toBe(true);
});

test('numbers are written as Go writes them', () => {
  const out = new Uint8Array(100);
  const written = (write: typeof writeValue, value: number): string =>
    Buffer.from(out.buffer, 0, write(out, 0, value)).toString();
  const random = generator(7);
  const bits = new Float64Array(1);
  const words = new Uint32Array(bits.buffer);
  const edges = [0, -0, NaN, Infinity, -Infinity, 1e6, 999999.9999995, 1e-4, 0.1 + 0.2, 2 ** 53];
  const values = [...edges, 1e21, 1.5e6, 1234567, 1e15, 2 ** 53 - 1, 5e-324, 0.000123, 100.5];
  for (let i = 0; i < 20_000; i++) {
    words.set([random(2 ** 32), random(2 ** 32)]);
    const digits = 10 ** random(16);
    values.push(bits[0], random(2 ** 32) % digits, (random(2 ** 32) % digits) / 10 ** random(8));
  }
  for (const value of values.flatMap((one) => [one, -one])) {
    expect(written(writeValue, value)).toBe(formatValue(value));
  }
  for (const value of values.map((one) => Math.floor(Math.abs(one)))) {
    if (!(value < 2 ** 53)) continue;
    expect(written(writeWhole, value)).toBe(`${value}`);
    expect(written(writeSeconds, value)).toBe(`${value / 1000}`);
  }
});

test('OpenMetrics: every millisecond comes back', () => {
  const times = Array.from({ length: 5_000 }, (_, i) => 1_764_000_000_000 + i * 104_729);
  const text = textOf((encoder, add) => {
    encoder.beginFamily({ name: 'a_seconds', type: 'gauge', help: 'x "y"', unit: 'seconds' });
    for (const [i, time] of times.entries()) add(['__name__', 'a_seconds', 'i', `${i}`], i, time);
  }, OpenMetricsEncoder);
  expect(text.startsWith('# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n')).toBe(true);
  expect(text.endsWith('\n# EOF\n')).toBe(true);
  // As Prometheus reads them: a double, times 1000, cut.
  const read = [...text.matchAll(/ ([\d.]+)\n/g)].map(([, seconds]) => Math.trunc(+seconds * 1000));
  expect(read).toEqual(times);
});
