import { type Labels, FormatError, labelsToObject } from '@canopy/model';
import { describe, expect, test } from 'vitest';
import { parseText, readSeries, unescapeHelp, unescapeQuoted } from './index.js';

type Found = [kind: string, ...rest: unknown[]];

/** Everything a body says, in order. */
function read(body: string | Uint8Array): Found[] {
  const found: Found[] = [];
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const text = (b: Uint8Array, s: number, e: number) => Buffer.from(b.subarray(s, e)).toString();
  parseText(bytes, {
    help: (b, ns, ne, ts, te) =>
      found.push(['help', unescapeQuoted(text(b, ns, ne)), unescapeHelp(text(b, ts, te))]),
    type: (b, ns, ne, type) => found.push(['type', unescapeQuoted(text(b, ns, ne)), type]),
    sample: (b, s, e, value, time) => {
      const labels = labelsToObject(readSeries(b, s, e));
      found.push(Number.isNaN(time) ? ['sample', labels, value] : ['sample', labels, value, time]);
    },
  });
  return found;
}

function check(body: string | Uint8Array, ...expected: Found[]): void {
  expect(read(body)).toEqual(expected);
}

function checkError(body: string | Uint8Array, message: string): void {
  expect(() => read(body)).toThrow(FormatError);
  expect(() => read(body)).toThrow(message);
}

const sample = (value: number, name: string, labels: Record<string, string> = {}): Found => [
  'sample',
  { __name__: name, ...labels },
  value,
];
const bytes = (...parts: Array<string | number>): Uint8Array =>
  Buffer.concat(parts.map((p) => (typeof p === 'string' ? Buffer.from(p) : Buffer.from([p]))));

describe('samples', () => {
  test.each<[string, number]>([
    ['0', 0],
    ['-0', -0],
    ['+5', 5],
    ['5.', 5],
    ['.5', 0.5],
    ['4.9351e-05', 4.9351e-5],
    ['7.424100000000001e-05', 7.424100000000001e-5],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['5e-324', 5e-324],
    ['1e-400', 0], // underflow is no error in Go either
    ['9007199254740993', 9007199254740992], // first integer a double cannot hold
    ['900719925474099.3', 900719925474099.3],
    ['1E+06', 1e6],
    ['+Inf', Infinity],
    ['-inf', -Infinity],
    ['INF', Infinity],
    ['Infinity', Infinity],
    ['nan', NaN],
    ['NaN', NaN],
  ])('value %s', (text, value) => check(`a ${text}\n`, sample(value, 'a')));

  test.each<[string, Found]>([
    ['a{b="c"} 1', sample(1, 'a', { b: 'c' })],
    ['a{b="c",} 1', sample(1, 'a', { b: 'c' })],
    ['a { b = "c" , d= "e" } 1', sample(1, 'a', { b: 'c', d: 'e' })],
    ['a{b="c" d="e"} 1', sample(1, 'a', { b: 'c', d: 'e' })], // Prometheus lets the comma be missing
    ['a{} 1', sample(1, 'a')],
    ['a{b="c"}1', sample(1, 'a', { b: 'c' })],
    ['a+1', sample(1, 'a')],
    ['  a\t1 ', sample(1, 'a')],
    ['a{b=""} 1', sample(1, 'a', { b: '' })], // kept: it says that there is none
    [String.raw`a{b="\\x\n\"\t"} 1`, sample(1, 'a', { b: '\\x\n"\\t' })], // \t is no escape
    ['a{b="x\ny"} 1', sample(1, 'a', { b: 'x\ny' })],
    ['a{b="}{#,"} 1', sample(1, 'a', { b: '}{#,' })],
    ['a{b="abc\0"} 1', sample(1, 'a', { b: 'abc\0' })],
    ['some:rule:rate5m 1', sample(1, 'some:rule:rate5m')],
    ['{"my.metric",a="b"} 1', sample(1, 'my.metric', { a: 'b' })],
    ['{a="b","my.metric"} 1', sample(1, 'my.metric', { a: 'b' })],
    ['{ "my metric" , } 1', sample(1, 'my metric')],
    [
      String.raw`{"Öl \"10€\" {x\ny}","ß\n"="6"} 10.0`,
      sample(10, 'Öl "10€" {x\ny}', { 'ß\n': '6' }),
    ],
    ['a 33  \t123123', ['sample', { __name__: 'a' }, 33, 123123]],
    ['a 33 0', ['sample', { __name__: 'a' }, 33, 0]],
  ])('%s', (body, expected) => check(body, expected));

  test('the newline at the end may be missing, blank lines and comments say nothing', () => {
    check('\n\n# x\n#y\n#\n \t\na 1\nb 2', sample(1, 'a'), sample(2, 'b'));
    check('');
    check('# HELPx y\n# TYPEx\n# UNIT a b\n# EOF\n');
  });
});

describe('metadata', () => {
  test.each<[string, Found]>([
    ['# HELP a Some text.', ['help', 'a', 'Some text.']],
    ['# \tHELP\ta   two blanks are text', ['help', 'a', '  two blanks are text']],
    ['# HELP a', ['help', 'a', '']],
    ['# HELP a   ', ['help', 'a', '']],
    [String.raw`# HELP a x\\y\nz\"`, ['help', 'a', 'x\\y\nz\\"']], // quotes are not escaped in HELP
    ['# HELP a x\0y', ['help', 'a', 'x\0y']],
    ['# HELP "my.metric" text', ['help', 'my.metric', 'text']],
    ['# TYPE a counter', ['type', 'a', 'counter']],
    ['# TYPE "my.metric" histogram', ['type', 'my.metric', 'histogram']],
    ['#  TYPE a untyped', ['type', 'a', 'unknown']],
  ])('%s', (body, expected) => check(body, expected));
});

describe('errors', () => {
  test.each<[string | Uint8Array, string]>([
    ['a', 'line 1: expected value after metric, got "\\n"'],
    ['a 1\nb', 'line 2: expected value after metric'],
    ['<html>', 'line 1: expected a valid start token, got "<"'],
    ['1a 1', 'expected a valid start token'],
    ['\0', 'expected a valid start token'],
    ["a{b='c'} 1", 'expected label value, got "\'"'],
    ['a{b=\n', 'expected label value'],
    ['a{=""} 0', 'expected label name'],
    ['a{,} 0', 'expected label name'],
    ['a{b="c",,} 0', 'expected label name'],
    ['a{b 1', 'expected equal'],
    ['a{b="c"', 'expected label name, got "\\n"'],
    ['a{b="', 'expected label value: string is not closed'],
    ['a{b="\\', 'string is not closed'],
    ['a{b="x\\\n"} 1', 'string is not closed'], // a backslash does not escape a newline
    [bytes('a{', 0xff, '="x"} 1'), 'expected label name'],
    [bytes('a{b="', 0xff, '"} 1'), 'invalid UTF-8'],
    [bytes('{"', 0xff, '"} 1'), 'invalid UTF-8'],
    [bytes('# HELP a ', 0xff), 'help text is not valid UTF-8'],
    ['{a="b"} 1', 'metric name not set'],
    ['{} 1', 'metric name not set'],
    ['{""} 1', 'empty name'],
    ['a{"b",c="d"} 1', 'metric name already set'],
    ['{"a","b"} 1', 'metric name already set'],
    ['a{b="c",b="d"} 1', 'label "b" is given twice'],
    ['a{__name__="b"} 1', 'label "__name__" is given twice'],
    ['a true', 'invalid syntax, got "true"'],
    ['a 1\r\n', 'invalid syntax'],
    ['a 1_2', 'unsupported character in float'],
    ['a 0x1p-3', 'unsupported character in float'],
    ['a 0x10', 'invalid syntax'],
    ['a 1e', 'invalid syntax'],
    ['a -', 'invalid syntax'],
    ['a -nan', 'invalid syntax'],
    ['a 1e309', 'value out of range'],
    [`a ${'1'.repeat(5000)}`, 'number is too long'],
    ['a 0 1_2', 'expected next entry after timestamp, got "_"'],
    ['a 0 -1', 'expected timestamp or new record'],
    ['a 0 9223372036854775808', 'timestamp out of range'],
    ['a 0 1 2', 'expected next entry after timestamp'],
    ['a{b="c"}{d="e"} 1', 'expected value after metric'],
    ['# TYPE #\n', 'expected metric name after TYPE'],
    ['# HELP \n', 'expected metric name after HELP'],
    ['# TYPE a gauges', 'invalid metric type, got "gauges"'],
    ['# TYPE a', 'invalid metric type'],
    ['# TYPE a  gauge', 'invalid metric type'],
    ['# TYPE a toString', 'invalid metric type'],
  ])('%s', (body, message) => checkError(body, message));

  test('show at most sixty bytes of what was wrong', () => {
    const error = (() => {
      try {
        read(`a ${'x'.repeat(1000)}`);
      } catch (e) {
        return e as Error;
      }
      return undefined;
    })();
    expect(error?.message.length).toBeLessThan(120);
  });
});

test('series text gives pairs in the order written', () => {
  const body = Buffer.from('a{z="1",b="2"} 1\n');
  const labels: Labels[] = [];
  parseText(body, {
    help: () => {},
    type: () => {},
    sample: (b, s, e) => labels.push(readSeries(b, s, e)),
  });
  expect(labels).toEqual([['__name__', 'a', 'z', '1', 'b', '2']]);
});
