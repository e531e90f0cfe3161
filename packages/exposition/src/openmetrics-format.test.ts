import { type Family, FormatError, type Labels, formatLabels, labelsOf } from '@canopy/model';
import { expect, test } from 'vitest';
import { FullReader } from './body-reader.js';
import { OpenMetricsFormat } from './openmetrics-format.js';

const pairsOf = (labels: Labels): Array<[string, string]> =>
  Array.from({ length: labels.length / 2 }, (_, i) => [labels[2 * i], labels[2 * i + 1]]);

/** Samples as `series value[@time]`, in the order of slots. */
function read(text: string | Buffer): { samples: string[]; families: Family[]; exemplars: number } {
  const series: string[] = [];
  const families = new Map<string, Family>();
  const resolve = (labels: Labels, family: Family | undefined): number => {
    if (family !== undefined) families.set(family.name, family);
    return series.push(formatLabels(labelsOf(pairsOf(labels)))) - 1;
  };
  const describe = (family: Family): unknown => families.set(family.name, family);
  const options = { resolver: { resolve, describe }, honorTimestamps: true, maxSeries: 100 };
  const reader = new FullReader(options, new OpenMetricsFormat());
  const columns = reader.parse(Buffer.from(text as string));
  const samples: string[] = [];
  for (let i = 0; i < columns.slotCount; i++) {
    if (columns.states[i] !== 0) samples.push(`${series[i]} ${columns.values[i]}`);
  }
  for (let i = 0; i < columns.looseCount; i++) {
    const slot = columns.looseSlots[i];
    samples.push(`${series[slot]} ${columns.looseValues[i]}@${columns.looseTimes[i]}`);
  }
  return { samples, families: [...families.values()], exemplars: reader.exemplars };
}

const check = (text: string, ...expected: string[]): void =>
  expect(read(`${text}# EOF\n`).samples, text).toEqual(expected);

const refuses = (text: string | Buffer, message: string): void =>
  expect(() => read(text), String(text)).toThrow(new RegExp(message));

test('samples', () => {
  check('a 1\n', 'a 1');
  check('a{} 1\n', 'a 1');
  check('a{b="c"} 1\n', 'a{b="c"} 1');
  check('a{b="c",} 1\n', 'a{b="c"} 1'); // a free comma at the end
  check('a{b="\\"\\\\\\n"} 1\n', 'a{b="\\"\\\\\\n"} 1');
  check('a{b="é }# "} 1e3\n', 'a{b="é }# "} 1000');
  check('{"a.b",c="d"} 1\n', '{"a.b", c="d"} 1');
  check('{"a.b"} 1\n', '{"a.b"} 1');
  check('{c="d","a.b"} 1\n', '{"a.b", c="d"} 1');
  check('a{"b.c"="d"} 1\n', 'a{"b.c"="d"} 1');
  check('a NaN\nb +Inf\nc -inf\n', 'a NaN', 'b Infinity', 'c -Infinity');
  check('a:b 1\n', 'a:b 1');
  check('', ...[]);
  check('a{b="\0"} 1\n', 'a{b="\\u0000"} 1');
});

test('times are seconds, cut to milliseconds', () => {
  check('a 1 1.5\n', 'a 1@1500');
  check('a 1 1520872607.123\n', 'a 1@1520872607123');
  check('a 1 0.0019\n', 'a 1@1');
  check('a 1 -1\n', 'a 1@-1000');
  check('a 1 1e3\n', 'a 1@1000000');
  check('a 1 1\na 2 2\n', 'a 1@1000', 'a 2@2000');
  refuses('a 1 NaN\n# EOF\n', '^line 1: invalid timestamp');
  refuses('a 1 Inf\n# EOF\n', '^line 1: invalid timestamp');
  refuses('a 1 1e300\n# EOF\n', '^line 1: invalid timestamp');
  refuses('a 1 x\n# EOF\n', '^line 1: invalid syntax, got "x"');
});

test('exemplars are read and counted', () => {
  const exemplars = (text: string): number => read(`${text}# EOF\n`).exemplars;
  expect(exemplars('a 1 # {b="c"} 0.5\n')).toBe(1);
  expect(exemplars('a 1 # {} 0.5\n')).toBe(1);
  expect(exemplars('a 1 7 # {"b.c"="d",e="f"} 0.5 123.45\nb 1\nc 1 # {} 1\n')).toBe(2);
  refuses('a 1 # {b="c"}\n# EOF\n', 'expected value after exemplar labels');
  refuses('a 1 # {b="c"} x\n# EOF\n', 'invalid syntax, got "x"');
  refuses('a 1 # {"b"} 1\n# EOF\n', 'expected equal'); // an exemplar has no name
  refuses('a 1 # {b} 1\n# EOF\n', 'expected equal');
  refuses('a 1 # {b="c"} 1 NaN\n# EOF\n', 'invalid timestamp');
  refuses('a 1 # {b="c"} 1 2 3\n# EOF\n', 'expected next entry');
  refuses('a 1 #{b="c"} 1\n# EOF\n', 'invalid syntax');
  refuses('a 1 # {b="c"} 1', 'data does not end with # EOF');
});

test('TYPE, HELP and UNIT are kept for each family', () => {
  const text =
    '# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds x \\"y\\"\\n\na_seconds_total 1\na_seconds_created 5\n' +
    '# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\n# TYPE g gaugehistogram\ng_gcount 1\n' +
    '# TYPE i info\ni_info{v="1"} 1\n# TYPE s stateset\ns{s="a"} 1\n# TYPE u unknown\nu 1\n# EOF';
  expect(read(text).families).toEqual([
    { name: 'a_seconds', type: 'counter', help: 'x "y"\n', unit: 'seconds' },
    { name: 'h', type: 'histogram', help: '', unit: '' },
    { name: 'g', type: 'gaugehistogram', help: '', unit: '' },
    { name: 'i', type: 'info', help: '', unit: '' },
    { name: 's', type: 'stateset', help: '', unit: '' },
    { name: 'u', type: 'unknown', help: '', unit: '' },
  ]);
  expect(read('a 1\n# HELP "a" \n# TYPE "b.c" gauge\n{"b.c"} 1\n# EOF').families).toEqual([
    { name: 'b.c', type: 'gauge', help: '', unit: '' },
    { name: 'a', type: 'unknown', help: '', unit: '' },
  ]);
});

test('bounds are spelt one way, under a TYPE that has them', () => {
  check('# TYPE h histogram\nh_bucket{le="1"} 1\n', 'h_bucket{le="1.0"} 1');
  check('# TYPE h histogram\nh_bucket{le="+Inf"} 1\n', 'h_bucket{le="+Inf"} 1');
  check('# TYPE h histogram\nh_bucket{le="1e-5"} 1\n', 'h_bucket{le="1e-05"} 1');
  check('# TYPE h histogram\nh_bucket{le="x"} 1\n', 'h_bucket{le="x"} 1');
  check('# TYPE s summary\ns{quantile="0"} 1\n', 's{quantile="0.0"} 1');
  check('# TYPE s summary\ns{le="1"} 1\n', 's{le="1"} 1');
  check('# TYPE g gaugehistogram\ng_bucket{le="1"} 1\n', 'g_bucket{le="1"} 1');
  check('h_bucket{le="1"} 1\n', 'h_bucket{le="1"} 1');
});

test('the end must be said, once', () => {
  expect(read('# EOF').samples).toEqual([]);
  refuses('', '^line 1: data does not end with # EOF$');
  refuses('a 1\n', '^line 2: data does not end with # EOF$');
  refuses('a 1', 'data does not end with # EOF');
  refuses('a 1\n# EOF\n\n', '^line 2: unexpected data after # EOF');
  refuses('# EOFa', 'unexpected data after # EOF');
  refuses('# EOF\na 1\n# EOF\n', 'unexpected data after # EOF');
});

test('what Prometheus refuses', () => {
  refuses('\n# EOF\n', 'expected a valid start token');
  refuses('\n\n# EOF\n', '^line 1: expected a valid start token');
  refuses(' a 1\n# EOF\n', 'expected a valid start token');
  refuses('# a comment\n# EOF\n', 'expected a valid start token');
  refuses('#\n# EOF\n', 'expected a valid start token');
  refuses('# TYPE\n# EOF\n', 'expected a valid start token');
  refuses('# TYPE a\n# EOF\n', 'expected text in TYPE');
  refuses('# TYPE a untyped\n# EOF\n', 'invalid metric type, got "untyped"');
  refuses('# TYPE a counter \n# EOF\n', 'invalid metric type');
  refuses('# TYPE \n# EOF\n', 'expected metric name after TYPE');
  refuses('# HELP a', 'expected text in HELP');
  refuses('# UNIT a seconds\n# EOF\n', 'unit not a suffix of metric "a"');
  refuses('# UNIT seconds seconds\n# EOF\n', 'unit not a suffix');
  refuses('a\n# EOF\n', 'expected value after metric');
  refuses('a  1\n# EOF\n', 'expected value after metric');
  refuses('a\t1\n# EOF\n', 'expected value after metric');
  refuses('a 1 \n# EOF\n', 'expected timestamp');
  refuses('a 1\t\n# EOF\n', 'invalid syntax');
  refuses('a 1\r\n# EOF\n', 'invalid syntax');
  refuses('a {b="c"} 1\n# EOF\n', 'invalid syntax');
  refuses('a{b = "c"} 1\n# EOF\n', 'expected equal');
  refuses('a{ b="c"} 1\n# EOF\n', 'expected label name');
  refuses('a{b="c" } 1\n# EOF\n', 'expected comma or brace close');
  refuses('a{,} 1\n# EOF\n', 'expected label name');
  refuses('a{b="c",,} 1\n# EOF\n', 'expected label name');
  refuses('a{b=c} 1\n# EOF\n', 'expected label value');
  refuses('a{b="c\n"} 1\n# EOF\n', 'string is not closed');
  refuses('a{b="c', 'string is not closed');
  refuses('a{"b"} 1\n# EOF\n', 'metric name already set');
  refuses('{"a","b"} 1\n# EOF\n', 'metric name already set');
  refuses('{a="b"} 1\n# EOF\n', 'metric name not set');
  refuses('{} 1\n# EOF\n', 'metric name not set');
  refuses('{a} 1\n# EOF\n', 'expected equal'); // Prometheus reads the name without its ends
  refuses('{""} 1\n# EOF\n', 'empty name');
  refuses('a{b="1",b="2"} 1\n# EOF\n', 'label "b" is given twice');
  refuses('a 0x1p3\n# EOF\n', 'unsupported character in float');
  refuses('a 1_0\n# EOF\n', 'unsupported character in float');
  refuses('a 1e999\n# EOF\n', 'value out of range');
  refuses('a 1 2 3\n# EOF\n', 'expected next entry after timestamp');
  refuses(Buffer.from('a{b="\xff"} 1\n# EOF\n', 'latin1'), 'invalid UTF-8');
  refuses(Buffer.from('# HELP a \xff\n# EOF\n', 'latin1'), 'not a valid utf8 string');
});

test('a refused body leaves nothing behind, and series are asked for once', () => {
  const asked: string[] = [];
  const resolve = (labels: Labels): number =>
    asked.push(formatLabels(labelsOf(pairsOf(labels)))) - 1;
  const options = { resolver: { resolve }, honorTimestamps: true, maxSeries: 3 };
  const reader = new FullReader(options, new OpenMetricsFormat());
  const parse = (text: string): number[] => {
    const { values, states, slotCount } = reader.parse(Buffer.from(text));
    return Array.from({ length: slotCount }, (_, i) => (states[i] === 0 ? NaN : values[i]));
  };
  expect(parse('a 1\nb 2\n# EOF')).toEqual([1, 2]);
  expect(parse('b 3\na 4\n# EOF')).toEqual([4, 3]);
  expect(() => parse('b 9\nc 9\n')).toThrow(FormatError);
  expect(parse('b 5\n# EOF')).toEqual([NaN, 5, NaN]);
  expect(asked).toEqual(['a', 'b', 'c']);
  expect(() => parse('a 1\nb 1\nc 1\nd 1\n# EOF')).toThrow('more than 3 samples in one scrape');
  reader.forget(1);
  expect(parse('a 1\n# EOF').at(-1)).toBe(1);
  expect(asked.at(-1)).toBe('a');
  reader.renumber(Int32Array.from(asked, (_, i) => (i === asked.length - 1 ? 0 : -1)));
  expect(parse('a 8\n# EOF')).toEqual([8]);
});
