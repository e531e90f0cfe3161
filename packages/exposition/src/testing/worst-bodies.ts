/**
 * Bodies that were, or are made to be, the hardest to read: each case is the bodies of one target, scrape after
 * scrape. Fuzz tests read them first, in every way there is.
 */
import { generator } from './random.js';

export interface WorstCase {
  readonly name: string;
  readonly bodies: ReadonlyArray<string | Buffer>;
}

const lines = (count: number, line: (i: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => line(i));
const series = (i: number, value: number | string = i): string => `m{i="${i}"} ${value}\n`;
/** Many enough for the walk to lose its place and find it again. */
const ROWS = 800;
const rows = lines(ROWS, (i) => series(i));
const odd = rows.filter((_, i) => i % 2 === 1);
const shuffled = [...rows].sort((a, b) => (hashOf(a) < hashOf(b) ? -1 : 1));
const long = 'v'.repeat(200_000);

function hashOf(text: string): number {
  return generator(Number.parseInt(text.slice(5), 10))(2 ** 31);
}

const of = (name: string, ...bodies: ReadonlyArray<string | Buffer>): WorstCase => ({
  name,
  bodies,
});

/** The walk, and how it finds its place again. */
const MOVED: readonly WorstCase[] = [
  of('backwards', rows.join(''), [...rows].reverse().join(''), rows.join('')),
  of('in another order', rows.join(''), shuffled.join(''), rows.join('')),
  of('every second line gone, and back', rows.join(''), odd.join(''), rows.join('')),
  of('the last line first', rows.join(''), [rows[ROWS - 1], ...rows.slice(0, -1)].join('')),
  of(
    'two interleaved halves',
    rows.join(''),
    rows.flatMap((row, i) => (i < ROWS / 2 ? [row, rows[i + ROWS / 2]] : [])).join(''),
  ),
  of('the same line all over', series(1).repeat(ROWS), series(1).repeat(ROWS + 1), series(1)),
  of(
    'alike up to the last digit',
    lines(ROWS, (i) => series(1e9 + i, 1)).join(''),
    lines(ROWS, (i) => series(1e9 + i + 1, 1)).join(''),
  ),
  of('one is the beginning of the other', 'a 1\na1 2\na12 3\n', 'a12 3\na1 2\na 1\n', 'a1 2\n'),
  of(
    'a name turns into another, byte by byte',
    ...lines(12, (i) => `${'abcdefghijkl'.slice(0, i + 1)} 1\n`),
  ),
  of('nothing between two scrapes', rows.join(''), '', rows.join('')),
];

/** Ends of lines and of bodies. */
const ENDS: readonly WorstCase[] = [
  of('no line end at the end', 'a 1\nb 2', 'a 1\nb 22', 'a 1\nb 2\n', 'a 1\nb'),
  of('carriage returns', 'a 1\r\nb 2\r\n', 'a 1\nb 2\n', '# HELP a x\r\na 1\r\n'),
  of('empty lines', '\n'.repeat(3000), `${'\n'.repeat(3000)}a 1\n`, 'a 1\n'),
  of('spaces only', ' \t'.repeat(5000), `a 1\n${' '.repeat(5000)}\n`),
  of('cut in the middle', ...lines(14, (i) => 'a{b="c\\n"} 1e5'.slice(0, i + 1))),
  of('a line longer than a window', `a{b="${long}"} 1\n`, `a{b="${long}"} 2\n`, `a{b="${long}`),
  of('a comment longer than a window', `# ${long}\na 1\n`, `# ${long}x\na 1\n`, `#${long}`),
  of('two long lines that differ at their ends', `a{b="${long}x"} 1\n`, `a{b="${long}y"} 1\n`),
];

/** Quotes, escapes, bytes. */
const TEXTS: readonly WorstCase[] = [
  of('escapes all the way', `a{b="${'\\\\'.repeat(20_000)}"} 1\n`, `a{b="${'\\\\'.repeat(20_000)}`),
  of('quotes in quotes', `a{b="${'\\"'.repeat(20_000)}"} 1\n`, `a{b="${'\\"}'.repeat(9000)}"} 1\n`),
  of('line ends as escapes', `a{b="${'\\n'.repeat(20_000)}"} 1\n`),
  of('a line end within a quote', 'a{b="\n"} 1\n', 'a{b="\n', 'a{b="x"} 1\n'),
  of('braces never closed', '{'.repeat(5000), `a${'{'.repeat(5000)}\n`, '}'.repeat(5000)),
  of('many labels', `a{${lines(3000, (i) => `l${i}="${i}"`).join(',')}} 1\n`),
  of('one label many times', `a{${'l="1",'.repeat(3000)}} 1\n`),
  of('quoted names', '{"a b"} 1\n{"a b","c d"="e"} 2\n', '{"a b","c d"="e"} 3\n{"a b"} 1\n'),
  of('bytes that are no text', Buffer.from('a{b="\xff\xfe"} 1\n', 'latin1'), 'a{b="x"} 1\n'),
  of('half a character', Buffer.from('a{b="\xc3"} 1\nb 2\n', 'latin1'), 'a{b="\u00e9"} 1\nb 2\n'),
  of('zero bytes', '\0a 1\n', 'a\0 1\n', 'a{b="\0"} 1\n', 'a 1\0\n'),
  of('high characters', 'a{b="\u{10ffff}\u{1f600}"} 1\n', 'a{b="\u{10ffff}\u{1f601}"} 1\n'),
];

const NUMBERS: readonly string[] = [
  '9'.repeat(5000),
  `0.${'0'.repeat(5000)}1`,
  `1e${'0'.repeat(5000)}5`,
  '1e99999',
  '-1e-99999',
  '9007199254740993',
  '0.1e-6176',
  '2.2250738585072011e-308',
  '179769313486231580793728971405301e276',
  '0x1.fffffffffffff8p1023',
  '0b1',
  '1__0',
  'nAn',
  '+infinity',
  '1 9223372036854775807',
  '1 9223372036854775808',
  '1 -9223372036854775809',
  '1 1.5',
];

const VALUES: readonly WorstCase[] = [
  of('numbers one by one', ...NUMBERS.map((text) => `a 1\nb ${text}\n`)),
  of('numbers one by one, seen before', ...NUMBERS.flatMap((text) => ['b 1\n', `b ${text}\n`])),
  of('a value and a time change places', 'a 1 2\n', 'a 2 1\n', 'a 1\n', 'a 1 2\n'),
  of('times that go back', 'a 1 200\na 2 100\na 3 200\n', 'a 1 100\n', 'a 1 300\na 2 300\n'),
];

/** Of OpenMetrics only: to the text format they are comments and faults. */
const EXEMPLARS: readonly WorstCase[] = [
  of(
    'an exemplar cut anywhere',
    ...lines(30, (i) => `${'a_total 1 # {id="x\\n"} 0.5 1.25'.slice(0, 10 + i)}\n# EOF\n`),
  ),
  of('an exemplar over its length', `a_total 1 # {id="${'x'.repeat(200)}"} 1\n# EOF\n`),
  of('no end, two ends, more after it', 'a 1\n', 'a 1\n# EOF\n# EOF\n', '# EOF\na 1\n', '# EOF'),
  of('an end with a carriage return', 'a 1\n# EOF\r\n', 'a 1\r\n# EOF\n'),
  of(
    'a unit that is no suffix',
    '# TYPE a counter\n# UNIT a s\na_total 1\n# EOF\n',
    '# TYPE a_s counter\n# UNIT a_s s\na_s_total 1\na_s_created 1\n# EOF\n',
  ),
];

export const WORST_BODIES: readonly WorstCase[] = [
  ...MOVED,
  ...ENDS,
  ...TEXTS,
  ...VALUES,
  ...EXEMPLARS,
];
