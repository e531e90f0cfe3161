import { type Labels, labelsFromObject } from '@canopy/model';
import { describe, expect, test } from 'vitest';
import { OpenMetricsEncoder, TextEncoder004, formatSeries } from './text-encoder.js';

function encode(write: (encoder: TextEncoder004) => void): Buffer[] {
  const chunks: Buffer[] = [];
  const encoder = new TextEncoder004((chunk) => chunks.push(chunk));
  write(encoder);
  encoder.end();
  return chunks;
}

function check(labels: Record<string, string>, expected: string): void {
  expect(formatSeries(labelsFromObject(labels))).toBe(expected);
}

describe('formatSeries', () => {
  test.each<[Record<string, string>, string]>([
    [{ __name__: 'a' }, 'a'],
    [{ __name__: 'a', b: 'c', d: 'e' }, 'a{b="c",d="e"}'],
    [{ __name__: 'a', b: 'x"\\\ny' }, String.raw`a{b="x\"\\\ny"}`],
    [{ __name__: 'my.metric' }, '{"my.metric"}'],
    [{ __name__: 'my.metric', a: 'b' }, '{"my.metric",a="b"}'],
    [{ __name__: 'a', 'b.c': 'd' }, 'a{"b.c"="d"}'],
    [{ __name__: 'a"\n' }, String.raw`{"a\"\n"}`],
  ])('%j', check);
});

test('names outside the old alphabet under each scheme', () => {
  const named = (labels: Record<string, string>, ...expected: [string, string, string]): void => {
    const schemes = ['underscores', 'dots', 'values'] as const;
    const shown = schemes.map((scheme) => formatSeries(labelsFromObject(labels), scheme));
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
});

test('families, types and times', () => {
  const name = (text: string): Labels => ['__name__', text];
  const text = Buffer.concat(
    encode((encoder) => {
      encoder.beginFamily({ name: 'a_total', type: 'counter', help: 'Line\nand \\ "quotes".' });
      encoder.sample(name('a_total'), 1e6, 1700000000000);
      encoder.beginFamily({ name: 'b', type: 'unknown', help: '' });
      encoder.sample(name('b'), NaN, undefined);
      encoder.beginFamily({ name: 'c.d', type: 'stateset', help: 'x' });
      encoder.sample(name('c.d'), -Infinity, undefined);
    }),
  ).toString();
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

test('chunks are at most 64 KiB, and nothing is lost between them', () => {
  const long = '€'.repeat(50_000);
  const chunks = encode((encoder) => {
    for (let i = 0; i < 5_000; i++) encoder.sample(['__name__', 'a', 'i', `${i}`], i, undefined);
    encoder.sample(['__name__', 'a', 'long', long], 1, undefined);
  });
  expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(65_536);
  const text = Buffer.concat(chunks).toString();
  expect(text.split('\n')).toHaveLength(5_002);
  expect(text.endsWith(`a{long="${long}"} 1\n`)).toBe(true);
  expect(encode(() => {})).toEqual([]);
});

test('OpenMetrics: every millisecond comes back', () => {
  const times = Array.from({ length: 5_000 }, (_, i) => 1_764_000_000_000 + i * 104_729);
  const chunks: Buffer[] = [];
  const encoder = new OpenMetricsEncoder((chunk) => chunks.push(chunk));
  encoder.beginFamily({ name: 'a_seconds', type: 'gauge', help: 'x "y"', unit: 'seconds' });
  for (const [i, time] of times.entries())
    encoder.sample(['__name__', 'a_seconds', 'i', `${i}`], i, time);
  encoder.end();
  const text = Buffer.concat(chunks).toString();
  expect(text.startsWith('# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n')).toBe(true);
  expect(text.endsWith('\n# EOF\n')).toBe(true);
  // As Prometheus reads them: a double, times 1000, cut.
  const read = [...text.matchAll(/ ([\d.]+)\n/g)].map(([, seconds]) => Math.trunc(+seconds * 1000));
  expect(read).toEqual(times);
});
