/**
 * Any text gives a tree or `bad_data`, in bounded time; what is printed reads as the same; and the
 * lezer grammar alone, without what is put right before and after it, agrees on what is accepted
 * and on what plain operators bind.
 */
import { CanopyError } from '@canopy/model';
import { parser as lezer } from '@prometheus-io/lezer-promql';
import { expect, it } from 'vitest';
import { FUNCTIONS } from '../functions/signatures.js';
import {
  EXTENDED_FUNCTIONS,
  RANGE_FUNCTIONS,
  SCALARS,
  type Vocabulary,
  randomQuery,
  seededRandom,
} from '../testing/random-query.js';
import type { SyntaxNode } from '@lezer/common';
import type { Expr } from './ast.js';
import { formatQuery } from './format.js';
import { parseQuery, parseSelector } from './parse.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 400);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);

const PIECES = [
  ...'( ) { } [ ] , : @ + - * / % ^ == != < <= > >= = =~ !~ ! ~ # " \' ` \\ . _ ;'.split(' '),
  ...'and or unless atan2 bool on ignoring group_left group_right by without offset'.split(' '),
  ...'sum topk count_values quantile rate label_replace start end step range min_of inf nan'.split(
    ' ',
  ),
  ...'x foo:bar job 1 0x1F 1e3 5m 1h30m 1_0 .5 "a" "b\\n" `c` é 😀'.split(' '),
  ' ',
  '\n',
  '\u0000',
  '\ud800',
];

function anyText(next: () => number): string {
  let text = '';
  const length = Math.floor(next() * 30);
  for (let i = 0; i < length; i++) text += PIECES[Math.floor(next() * PIECES.length)];
  return text;
}

const WORDS: Vocabulary = {
  selectors: ['x', 'foo:bar', 'x{a="1"}', '{b=~"c.*",d!=""}', 'sum', '{"u.v"}', 'x{"l l"!~"z"}'],
  ranges: ['5m', '300', '1h30m'],
  shifts: ['', '', ' offset 5m', ' offset -1h', ' @ 12.5', ' @ start()', ' @ end() offset 3s'],
  labels: ['a', 'b', '"c d"'],
  scalars: SCALARS,
  rangeFunctions: RANGE_FUNCTIONS,
  extendedFunctions: EXTENDED_FUNCTIONS,
};

const query = (next: () => number, type: 'vector' | 'scalar', depth: number): string =>
  randomQuery(next, type, depth, { ...WORDS });

const accepts = (text: string): boolean => {
  let ok = true;
  lezer.parse(text).iterate({
    enter: (node) => {
      if (node.type.isError) ok = false;
    },
  });
  return ok;
};

it('gives a tree or bad_data for any text', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const text = anyText(seededRandom(seed));
    for (const parse of [parseQuery, parseSelector]) {
      const began = performance.now();
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof CanopyError) || error.code !== 'bad_data') {
          throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
        }
      }
      expect(performance.now() - began, `seed ${seed}`).toBeLessThan(500);
    }
  }
});

it('accepts, prints and reads again what is well formed, as lezer does', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const next = seededRandom(seed);
    const text = query(next, next() < 0.8 ? 'vector' : 'scalar', Math.floor(next() * 5));
    const printed = formatQuery(text);
    expect(formatQuery(printed), `seed ${seed}: ${text}`).toBe(printed);
    expect(accepts(text), `seed ${seed}: lezer refuses ${text}`).toBe(true);
    expect(accepts(printed), `seed ${seed}: lezer refuses ${printed}`).toBe(true);
  }
});

it('refuses what lezer refuses', () => {
  let refused = 0;
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const next = seededRandom(seed);
    // Without offset: here it may be a metric's name, in lezer's grammar it may not.
    const text = query(next, 'vector', 3).replaceAll(/ offset -?\w+/g, '');
    // One character taken out or put in.
    const at = Math.floor(next() * text.length);
    const broken =
      next() < 0.5
        ? text.slice(0, at) + text.slice(at + 1)
        : `${text.slice(0, at)})${text.slice(at)}`;
    // Known difference: a number may end in a point (`2.`), which lezer's tokens leave out.
    if (accepts(broken) || /[0-9]\.(?![0-9])/.test(broken)) continue;
    refused++;
    expect(() => parseQuery(broken), `seed ${seed}: ${broken}`).toThrow(CanopyError);
  }
  expect(refused).toBeGreaterThan(ROUNDS / 10);
});

const brackets = (expr: Expr): string =>
  expr.kind === 'binary' ? `(${brackets(expr.lhs)}${expr.op}${brackets(expr.rhs)})` : 'x';

function lezerBrackets(node: SyntaxNode, text: string): string {
  if (node.name !== 'BinaryExpr') return 'x';
  const [left, operator, right] = [
    node.firstChild!,
    node.firstChild!.nextSibling!,
    node.lastChild!,
  ];
  const op = text.slice(operator.from, operator.to);
  return `(${lezerBrackets(left, text)}${op}${lezerBrackets(right, text)})`;
}

it('binds operators as lezer does where nothing had to be put right', () => {
  const operators = '+ - * / % ^ atan2 == != < <= > >= and or unless'.split(' ');
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const next = seededRandom(seed);
    const count = 2 + Math.floor(next() * 40);
    const pick = (): string => operators[Math.floor(next() * operators.length)];
    const text = `x${Array.from({ length: count }, () => ` ${pick()} x`).join('')}`;
    const expected = lezerBrackets(lezer.parse(text).topNode.firstChild!, text);
    expect(brackets(parseQuery(text)), `seed ${seed}: ${text}`).toBe(expected);
    // The same as the tail of a chain too long for lezer, beside an operator that binds less.
    const long = `${'y + '.repeat(300)}y or (${text})`;
    const tree = parseQuery(long);
    const tail = tree.kind === 'binary' && tree.rhs.kind === 'paren' ? tree.rhs.expr : tree;
    expect(brackets(tail), `seed ${seed}: ${long}`).toBe(expected);
  }
});

it('knows all functions that lezer knows', () => {
  const unknown = [...FUNCTIONS.values()].filter(({ name, args }) => {
    const samples = { vector: 'x', scalar: '1', string: '"s"', matrix: 'x[5m]' } as const;
    return !accepts(`${name}(${args.map((type) => samples[type]).join(', ')})`);
  });
  // Written as calls only in newer grammars or as parts of durations.
  expect(unknown.map(({ name }) => name).sort()).toEqual(['max_of', 'min_of']);
});
