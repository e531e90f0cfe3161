import { CanopyError } from '@canopy/model';
import { describe, expect, it } from 'vitest';
import type { Expr } from './ast.js';
import { formatQuery, printExpr } from './format.js';
import { parseQuery, parseSelector } from './parse.js';

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CanopyError && error.code === 'bad_data') return error.message;
    throw error;
  }
  return 'no error';
}

it('refuses what is no query, in the words of Prometheus', () => {
  const check = (query: string, message: string): void => {
    expect(
      messageOf(() => parseQuery(query)),
      query,
    ).toBe(message);
  };
  check('', 'unknown position: parse error: no expression found in input');
  check('# just a comment\n\n', '1:1: parse error: no expression found in input');
  check('1+', '1:3: parse error: unexpected end of input');
  check('.', "1:1: parse error: unexpected character: '.'");
  check('100..4', '1:5: parse error: unexpected number ".4"');
  check('0deadbeef', '1:1: parse error: bad number or duration syntax: "0de"');
  check('1 /', '1:4: parse error: unexpected end of input');
  check('*1', '1:1: parse error: unexpected <op:*>');
  check('(1))', "1:4: parse error: unexpected right parenthesis ')'");
  check('((1)', '1:5: parse error: unclosed left parenthesis');
  check('(', '1:2: parse error: unclosed left parenthesis');
  check('1 and 1', '1:1: parse error: set operator "and" not allowed in binary scalar expression');
  check('1 == 1', '1:3: parse error: comparisons between scalars must use BOOL modifier');
  check('1 + bool 2', '1:3: parse error: bool modifier can only be used on comparison operators');
  check('1 !~ 1', "1:3: parse error: unexpected character after '!': '~'");
  check('1 =~ 1', "1:4: parse error: unexpected character after '=': '~'");
  check('"unterminated', '1:1: parse error: unterminated quoted string');
  check('"\\q"', "1:1: parse error: unknown escape sequence U+0071 'q'");
  check("'\\\"'", `1:1: parse error: unknown escape sequence U+0022 '"'`);
  check('"\\\u00a0"', '1:1: parse error: unknown escape sequence U+00A0');
  check('"\\xg1"', "1:1: parse error: illegal character U+0067 'g' in escape sequence");
  check('"\\08"', "1:1: parse error: illegal character U+0038 '8' in escape sequence");
  check('"\\400"', '1:1: parse error: escape sequence is an invalid Unicode code point');
  check('"\\ud800"', '1:1: parse error: escape sequence is an invalid Unicode code point');
  check('"\\U00110000"', '1:1: parse error: escape sequence is an invalid Unicode code point');
  check('"\\', '1:1: parse error: escape sequence not terminated');
  check('"\\u12', '1:1: parse error: escape sequence not terminated');
  check('x{a="\ufffd"}', '1:5: parse error: invalid UTF-8 rune'); // as Prometheus, the character itself too
  check('`\ufffd`', '1:1: parse error: invalid UTF-8 rune');
  check('\\', "1:1: parse error: unexpected character: '\\\\'");
  check('\0', "1:1: parse error: unexpected character: '\\x00'");
  check('\ufeffx', "1:1: parse error: unexpected character: '\\ufeff'");
  check(
    '-"text"',
    '1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string"',
  );
  check(
    '-test[5m]',
    '1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "range vector"',
  );
  check('a b', '1:3: parse error: unexpected identifier "b"');
  check('a\n  + +\n %', '3:2: parse error: unexpected <op:%>');
  check('"ö" + )', "1:8: parse error: unexpected right parenthesis ')'"); // columns are bytes
});

it('refuses selectors that are none', () => {
  const check = (query: string, message: string): void => {
    expect(
      messageOf(() => parseQuery(query)),
      query,
    ).toBe(`1:${message}`);
  };
  check('{}', '1: parse error: vector selector must contain at least one non-empty matcher');
  check('{x=~".*"}', '1: parse error: vector selector must contain at least one non-empty matcher');
  check('foo{', '5: parse error: unexpected end of input inside braces');
  check('foo}', "4: parse error: unexpected character: '}'");
  check('foo{1}', "5: parse error: unexpected character inside braces: '1'");
  check('foo{a>5}', "6: parse error: unexpected character inside braces: '>'");
  check(
    'foo{a}',
    '6: parse error: unexpected "}" in label matching, expected label matching operator',
  );
  check('foo{a=b}', '7: parse error: unexpected identifier "b" in label matching, expected string');
  check(
    'foo{a="b" c="d"}',
    '11: parse error: unexpected identifier "c" in label matching, expected "," or "}"',
  );
  check('foo{__name__="bar"}', '1: parse error: metric name must not be set twice: "foo" or "bar"');
  check('{"a", "b"}', '7: parse error: metric name must not be set twice: "a" or "b"');
  check(
    'foo{a=~"b**"}',
    '5: parse error: error parsing regexp: invalid nested repetition operator: `**`',
  );
  check('foo[0m]', '5: parse error: duration must be greater than 0');
  check('foo[-5m]', '5: parse error: duration must be greater than 0');
  check('foo[5m / 0]', '5: parse error: division by zero');
  check('foo[9e99y]', '5: parse error: bad number or duration syntax: "9e99y"');
  check('foo[1e30]', '5: parse error: duration out of range');
  check('foo[5m', '7: parse error: unclosed left bracket');
  check(
    'foo["5m"]',
    '5: parse error: unexpected string "\\"5m\\"" in subquery or range selector, expected duration',
  );
  check('foo[5m][5m]', '8: parse error: ranges only allowed for vector selectors');
  check('(foo + bar)[5m]', '12: parse error: ranges only allowed for vector selectors');
  check('foo offset 1m[5m]', '14: parse error: no offset modifiers allowed before range');
  check('foo @ 1 [5m]', '9: parse error: no @ modifiers allowed before range');
  check('foo offset 1s offset 2s', '1: parse error: offset may not be set multiple times');
  check('foo @ 1 @ 2', '1: parse error: @ <timestamp> may not be set multiple times');
  check('foo @ inf', '1: parse error: timestamp out of bounds for @ modifier: Infinity');
  check(
    '1 offset 1d',
    '1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery',
  );
  check('foo offset', '11: parse error: unexpected end of input in offset, expected duration');
  check(
    'rate(foo[5m:] anchored)',
    '6: parse error: anchored modifier is not supported for subqueries',
  );
  check('(foo) smoothed', '1: parse error: smoothed modifier not implemented');
  check(
    'foo anchored smoothed',
    '1: parse error: anchored and smoothed modifiers cannot be used together',
  );
});

it('refuses calls and aggregations that do not fit', () => {
  const check = (query: string, message: string): void => {
    expect(
      messageOf(() => parseQuery(query)),
      query,
    ).toBe(`1:${message}`);
  };
  check('none(x)', '1: parse error: unknown function with name "none"');
  check('floor()', '1: parse error: expected 1 argument(s) in call to "floor", got 0');
  check('floor(a, b)', '1: parse error: expected 1 argument(s) in call to "floor", got 2');
  check('hour(a, b)', '1: parse error: expected at most 1 argument(s) in call to "hour", got 2');
  check('round()', '1: parse error: expected at least 1 argument(s) in call to "round", got 0');
  check(
    'floor(1)',
    '7: parse error: expected type instant vector in call to function "floor", got scalar',
  );
  check(
    'rate(a)',
    '6: parse error: expected type range vector in call to function "rate", got instant vector',
  );
  check('floor(a,)', '8: parse error: trailing commas not allowed in function call args');
  check(
    'label_join(a, 1, "")',
    '15: parse error: expected type string in call to function "label_join", got scalar',
  );
  check('sum()', '1: parse error: no arguments for aggregate expression provided');
  check(
    'topk(a)',
    '1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1',
  );
  check(
    'topk(a, b)',
    '6: parse error: expected type scalar in aggregation parameter, got instant vector',
  );
  check(
    'count_values(5, a)',
    '14: parse error: expected type string in aggregation parameter, got scalar',
  );
  check(
    'sum(1)',
    '5: parse error: expected type instant vector in aggregation expression, got scalar',
  );
  check(
    'sum without(==)(a)',
    '13: parse error: unexpected <op:==> in grouping opts, expected label',
  );
  check('sum by a (b)', '8: parse error: unexpected identifier "a" in grouping opts, expected "("');
  check('a - on(b) ignoring(c) d', '11: parse error: unexpected <ignoring>');
  check('a and on(b) group_left(c) d', '1: parse error: no grouping allowed for "and" operation');
  check(
    'a + on(b) group_left(b) c',
    '3: parse error: label "b" must not occur in ON and GROUP clause at once',
  );
  check('a + on(b) 1', '1: parse error: vector matching only allowed between instant vectors');
  check(
    'a + b[5m]',
    '5: parse error: binary expression must contain only scalar and instant vector types',
  );
  check('1[5m:]', '1: parse error: subquery is only allowed on instant vector, got scalar instead');
});

/** Every operator with its own parentheses, every modifier beside what it binds. */
function shape(expr: Expr): string {
  switch (expr.kind) {
    case 'binary':
      return `(${shape(expr.lhs)} ${expr.op} ${shape(expr.rhs)})`;
    case 'unary':
      return `(${expr.op}${shape(expr.expr)})`;
    case 'paren':
      return shape(expr.expr);
    case 'subquery': {
      const { offset } = expr;
      return `${shape(expr.expr)}[:]${offset?.kind === 'literal' ? ` offset ${offset.text}` : ''}`;
    }
    default:
      return printExpr(expr);
  }
}

it('binds as Prometheus does, not as lezer', () => {
  const check = (query: string, bound: string): void =>
    expect(shape(parseQuery(query)), query).toBe(bound);
  check('a + b offset 5m', '(a + b offset 5m)');
  check('a * b @ 5 + c', '((a * b @ 5.000) + c)');
  check('-a offset 5m', '(-a offset 5m)');
  check('(a + b)[5m:] offset 1m', '(a + b)[:] offset 1m');
  check('-1 ^ 2', '(-(1 ^ 2))'); // lezer takes the sign for a part of the number
  check('-1 * 2', '(-1 * 2)');
  check('2 ^ -1 ^ 2', '(2 ^ (-(1 ^ 2)))');
  check('2 ^ -x * y', '((2 ^ (-x)) * y)');
  check('- # one\n 1 - -1', '(-1 - -1)');
  check('a ^ b ^ c', '(a ^ (b ^ c))');
  check('a - b - c', '((a - b) - c)');
  check('a or b and c unless d', '(a or ((b and c) unless d))');
  check('a and b == c + d * e ^ f', '(a and (b == (c + (d * (e ^ f)))))');
  check('a atan2 b % c', '((a atan2 b) % c)');
  check('a < bool b > c', '((a < b) > c)');
});

it('reads spellings that lezer does not know', () => {
  const check = (query: string, printed: string): void =>
    expect(printExpr(parseQuery(query)), query).toBe(printed);
  check('2. + .5e1 + 0X1F + 1_000 + 010', '2 + 5 + 31 + 1000 + 8');
  check('x @ 2.', 'x @ 2.000');
  check('x[1h30m5s:2.] offset -(1m * 2.)', 'x[1h30m5s:2s] offset -(1m * 2)');
  check('Inf + NAN', '+Inf + NaN');
  check('offset offset 5m + offset', 'offset offset 5m + offset');
  check('a + on (offset) offset', 'a + on (offset) offset');
  check('x[STEP():Min_Of(1, RANGE())] @ End()', 'x[step():min_of(1, range())] @ end()');
  check('Start + By{by="on"} and And', 'Start + By{by="on"} and And');
  check('vector(MAX_OF # why\n (1, min_of(2, 3)))', 'vector(max_of(1, min_of(2, 3)))');
  check('SUM BY (sum, ON) (x) AND x', 'sum by (sum, ON) (x) and x');
  check('x # one\r+ 1', 'x + 1'); // the comment ends at \r
  check('{a="\u{1f600}\ud800"} # \ud800', '{a="\u{1f600}\\ufffd"}');
});

it('prints selectors so that they read back as what they were', () => {
  const check = (query: string, printed: string): void => {
    expect(printExpr(parseQuery(query)), query).toBe(printed);
    expect(matchersOf(printed), query).toEqual(matchersOf(query));
  };
  const matchersOf = (query: string): string[] => {
    const expr = parseQuery(query);
    if (expr.kind !== 'selector') throw new Error(`${query} is a ${expr.kind}`);
    return expr.matchers.map(({ name, op, value }) => `${name}${op}${value}`).sort();
  };
  check('{__name__="x"}', 'x');
  check('{__name__="x",a="b"}', 'x{a="b"}');
  check('{a="b","x"}', 'x{a="b"}');
  check('{"a.b",c="d"}', '{"a.b",c="d"}');
  check('{__name__="a.b"}', '{"a.b"}');
  check('{__name__="é","b.c"=~"d"}', '{"é","b.c"=~"d"}');
  check('{__name__="a\\"b"}', String.raw`{"a\"b"}`);
  // Bare, they are numbers or keywords.
  for (const word of ['inf', 'Inf', 'NaN', 'nan', 'INF', 'bool', 'On', 'group_left', 'atan2']) {
    check(`{__name__="${word}"}`, `{__name__="${word}"}`);
    check(`{"${word}",a="b"}`, `{__name__="${word}",a="b"}`);
  }
  // Bare, they are names all the same.
  for (const word of ['sum', 'by', 'fill', 'offset', 'start', 'end', 'and', 'unless', 'info']) {
    check(`{__name__="${word}"}`, word);
    check(`{__name__="${word}",a="b"}`, `${word}{a="b"}`);
  }
  // Several matchers on the name stand in braces only.
  check('{__name__="x",__name__="x"}', '{__name__="x",__name__="x"}');
  check('{__name__="x",__name__=~"y.*"}', '{__name__="x",__name__=~"y.*"}');
  check('{__name__!~"y",__name__="x"}', '{__name__!~"y",__name__="x"}');
  check('{"x",__name__!="y"}', '{__name__="x",__name__!="y"}');
  check('{__name__=~"x"}', '{__name__=~"x"}');
  check('{__name__="",a="b"}', '{__name__="",a="b"}');
});

it('reads chains that lezer gives up', () => {
  const chain = (op: string, count: number, name = 'a_metric_with_a_long_name'): string =>
    Array.from({ length: count }, (_, i) => `${name}_${i}{label="value"}`).join(` ${op} `);
  for (const op of ['+', '^', 'or', 'unless on (a)', '* ignoring (b) group_left ()']) {
    const query = chain(op, 480);
    expect(printExpr(parseQuery(query)), op).toBe(query);
  }
  const shifted = Array.from({ length: 480 }, (_, i) => `a_metric_${i} offset 5m`).join(' + ');
  expect(printExpr(parseQuery(shifted))).toBe(shifted);
  const sums = Array.from({ length: 400 }, () => 'x * -y ^ 2 / z').join(' - ');
  expect(shape(parseQuery(sums)).startsWith('('.repeat(399))).toBe(true);
  const tooLong = Array.from({ length: 30 }, () => chain('*', 100, 'x')).join(' + ');
  expect(messageOf(() => parseQuery(tooLong))).toMatch(
    /^1:\d+: parse error: expression has more than 2048 operators in a row$/,
  );
});

it('is narrower than lezer where Prometheus is', () => {
  const check = (query: string, message: string): void => {
    expect(
      messageOf(() => parseQuery(query)),
      query,
    ).toBe(`1:${message}`);
  };
  check('1and 1', '1: parse error: bad number or duration syntax: "1a"');
  check('"a', '1: parse error: unterminated quoted string');
  check('x\u00a0+ 1', "2: parse error: unexpected character: '\\u00a0'");
  check(
    'sum by (inf) (x)',
    '9: parse error: unexpected number "inf" in grouping opts, expected label',
  );
  check('x + atan2', '5: parse error: unexpected <op:atan2>');
  check('2.2.5', '4: parse error: unexpected number ".5"');
  check('x[1h5h]', '3: parse error: not a valid duration string: "1h5h"');
  check(
    'a </ b',
    '3: parse error: operator </ needs native histograms, which are not supported yet',
  );
  check('sum(x)(y)', '7: parse error: unexpected "("');
  check('topk by (a) x', '13: parse error: unexpected identifier "x" in aggregation, expected "("');
  check(
    'rate(x[5m] 1)',
    '12: parse error: unexpected number "1" in function call, expected "," or ")"',
  );
  check('x @ y', '5: parse error: unexpected identifier "y" in @, expected timestamp');
  check(
    'x[5m 1]',
    '6: parse error: unexpected number "1" in subquery or range, expected ":" or "]"',
  );
  check('x[5m:1m 1]', '9: parse error: unexpected number "1" in subquery selector, expected "]"');
  check(
    'x + fill (y) z',
    '11: parse error: unexpected identifier "y" in fill modifier, expected number',
  );
});

it('reads selectors for match[]', () => {
  const check = (text: string, matchers: string): void => {
    expect(
      parseSelector(text)
        .map((m) => `${m.name}${m.op}${m.value}`)
        .join(' '),
    ).toBe(matchers);
  };
  check('up', '__name__=up');
  check('{job!=""}', 'job!=');
  check('{"a.b", x=~"y"}', '__name__=a.b x=~y');
  const empty = 'match[] must contain at least one non-empty matcher';
  expect(messageOf(() => parseSelector('{}'))).toBe(empty);
  expect(messageOf(() => parseSelector('{a=~".*"}'))).toBe(empty);
  expect(messageOf(() => parseSelector('up[5m]'))).toBe('1:3: parse error: unexpected "["');
  expect(messageOf(() => parseSelector('up + 1'))).toBe('1:4: parse error: unexpected <op:+>');
  expect(messageOf(() => parseSelector(''))).toBe(
    'unknown position: parse error: unexpected end of input',
  );
});

describe('formatQuery', () => {
  it('prints on one line what is short', () => {
    const check = (query: string, printed = query): void =>
      expect(formatQuery(query)).toBe(printed);
    check('foo/bar', 'foo / bar');
    check(
      'sum(rate(x{a="b",c!~"d"}[5m]))by(job,"a b")',
      'sum by (job, "a b") (rate(x{a="b",c!~"d"}[5m]))',
    );
    check('sum without() (x)', 'sum without () (x)');
    check('a+on(x)group_left(y)b', 'a + on (x) group_left (y) b');
    check('a == bool ignoring(z) b', 'a == bool ignoring (z) b');
    check('{"my.metric",a="b"}', '{"my.metric",a="b"}');
    check('x[300s:60] offset -2m @ end()', 'x[5m:1m] @ end() offset -2m');
    check('x @ 1.5', 'x @ 1.500');
    check('-(1e6) + -x', '-(1e+06) + -x');
    check('vector(5m) # comment', 'vector(5m)');
    check('x offset (5m + step() ^ 2)', 'x offset (5m + step() ^ 2)');
    check('quantile(.9, x)', 'quantile(0.9, x)');
    check('"a\\n\\x00"', '"a\\n\\x00"');
  });

  it('splits what is long', () => {
    const long = 'a_rather_long_metric_name_for_a_test';
    expect(
      formatQuery(
        `sum by (job) (rate(${long}{instance="one"}[5m])) / ignoring(x) sum(${long}{instance="two"})`,
      ),
    ).toBe(
      [
        `  sum by (job) (rate(${long}{instance="one"}[5m]))`,
        '/ ignoring (x)',
        `  sum(${long}{instance="two"})`,
      ].join('\n'),
    );
  });

  it('prints what reads as the same', () => {
    for (const query of [
      '-1 ^ 2 + 3 * (4 - x) % y atan2 z',
      'topk by (a) (3, rate(x[5m] offset 1h))',
      'a or b and c unless d == on () e',
      'x{a=~"b.*"}[5m:1m] @ start() offset 2d',
      'label_replace(x, "a", "$1", "b", "(.*)")',
    ]) {
      expect(formatQuery(formatQuery(query))).toBe(formatQuery(query));
    }
  });
});

it('takes neither deep nor long texts down', () => {
  const deep = (open: string, close: string): string =>
    `${open.repeat(10_000)}x${close.repeat(10_000)}`;
  for (const query of [
    deep('((', ') )').slice(0, -2),
    deep('(1 + ', ')'),
    `sum by ${deep('(', ')')} (x)`,
    `f${deep('(', ')').replace('x', 'x, x')}`,
    deep('-', ''),
    deep('sum(', ')'),
    deep('', ' + x'),
    deep('', ' ^ x'),
    deep('', '[5m:1m]'),
    deep('', ' offset 1s'),
    deep('', ' @ 1'),
    deep('-1 * ', ''),
    deep('topk by (a) (1, ', ')'),
    `x${' + 1'.repeat(2000)}`,
    `x${' + -1 anchored'.repeat(2000)}`,
    `x${' ^ -1'.repeat(2000)}`,
    'topk by (a) (1, '.repeat(490),
    `x[${deep('(', ')')}]`,
    `x offset ${deep('-', '')}`,
  ]) {
    const began = performance.now();
    expect(messageOf(() => parseQuery(query))).toMatch(/parse error/);
    expect(performance.now() - began).toBeLessThan(1000);
  }
  for (const [query, meant] of [
    [deep('(', ')'), '(x)'],
    [deep('( #(\n', ') '), '(x)'],
    [deep('(', ')').replace('x', 'x + (y)'), '(x + (y))'],
    [`-${deep('(', ')')} * ${deep('(', ')')}`, '-((x)) * ((x))'],
    [`sum(${deep('(', ')')})`, 'sum((x))'],
  ]) {
    expect(formatQuery(query)).toBe(formatQuery(meant));
  }
  expect(messageOf(() => parseQuery(deep('(', ')').replace('x', 'x y')))).toBe(
    '1:10003: parse error: unexpected identifier "y"',
  );
  const chain = Array.from({ length: 400 }, (_, i) => `m${i}`).join(' + ');
  expect(formatQuery(chain).length).toBeGreaterThan(400);
});
