/**
 * Query text to tokens, by the rules (and with the error texts) of Prometheus's own lexer
 * (promql/parser/lex.go). One pass, linear time, no regular expression that could look back.
 */
import { parseError } from './position.js';

export type TokenKind =
  /** `(`, `)`, `{`, `}`, `[`, `]`, `,`, `:` and the matchers' operators. */
  | 'punctuation'
  /** Between operands: `+`, `==`, `and`, …; its `word` is in lower case. */
  | 'operator'
  | 'aggregator'
  | 'keyword'
  | 'identifier'
  /** An identifier with a colon: a metric name only. */
  | 'metric'
  | 'string'
  | 'number'
  | 'duration'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** What it stands for; keywords and operators in lower case, otherwise as written. */
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

const OPERATOR_WORDS = new Set(['and', 'or', 'unless', 'atan2']);
const AGGREGATORS = new Set([
  'sum',
  'avg',
  'count',
  'min',
  'max',
  'group',
  'stddev',
  'stdvar',
  'topk',
  'bottomk',
  'count_values',
  'quantile',
  'limitk',
  'limit_ratio',
]);
const KEYWORDS = new Set([
  'offset',
  'anchored',
  'smoothed',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'bool',
  'fill',
  'fill_left',
  'fill_right',
  'start',
  'end',
  'step',
  'range',
  'min_of',
  'max_of',
]);
const NUMBER_WORDS = new Set(['inf', 'nan']);

const WORD = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const HEX = /0[xX][0-9a-fA-F_]+/y;
const DECIMAL = /(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?/y;
const DURATION = /[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdwy]))*/y;
const ALPHANUMERIC = /[a-zA-Z0-9_]/;

/**
 * @throws CanopyError `bad_data` for text that holds no tokens, unclosed parentheses and the like.
 */
export function tokenize(text: string): Token[] {
  const lexer = new Lexer(text);
  lexer.run();
  return lexer.tokens;
}

class Lexer {
  readonly tokens: Token[] = [];
  readonly #text: string;
  #at = 0;
  #parens = 0;
  #inBraces = false;
  #inBrackets = false;

  constructor(text: string) {
    this.#text = text;
  }

  run(): void {
    const text = this.#text;
    while (true) {
      this.#skipBlanks();
      if (this.#at >= text.length) break;
      if (this.#inBraces) this.#insideBraces();
      else this.#statement();
    }
    if (this.#inBraces) this.#fail('unexpected end of input inside braces');
    if (this.#inBrackets) this.#fail('unclosed left bracket');
    if (this.#parens > 0) this.#fail('unclosed left parenthesis');
    this.#push('end', '', 0);
  }

  #fail(message: string, offset = this.#at): never {
    parseError(this.#text, offset, message);
  }

  #push(kind: TokenKind, word: string, length: number): void {
    this.tokens.push({ kind, word, start: this.#at, end: this.#at + length });
    this.#at += length;
  }

  #skipBlanks(): void {
    const text = this.#text;
    while (this.#at < text.length) {
      const char = text[this.#at];
      if (char === '#') {
        const end = text.indexOf('\n', this.#at);
        this.#at = end < 0 ? text.length : end;
      } else if (char === ' ' || char === '\t' || char === '\n' || char === '\r') this.#at++;
      else return;
    }
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? null;
  }

  #statement(): void {
    const char = this.#text[this.#at];
    const next = this.#text[this.#at + 1];
    switch (char) {
      case ',':
      case '@':
        return this.#push('punctuation', char, 1);
      case '(':
        this.#parens++;
        return this.#push('punctuation', char, 1);
      case ')':
        if (this.#parens === 0) this.#fail("unexpected right parenthesis ')'");
        this.#parens--;
        return this.#push('punctuation', char, 1);
      case '{':
        this.#inBraces = true;
        return this.#push('punctuation', char, 1);
      case '[':
        if (this.#inBrackets) this.#fail("unexpected left bracket '['");
        this.#inBrackets = true;
        return this.#push('punctuation', char, 1);
      case ']':
        if (!this.#inBrackets) this.#fail("unexpected right bracket ']'");
        this.#inBrackets = false;
        return this.#push('punctuation', char, 1);
      case '*':
      case '/':
      case '%':
      case '+':
      case '-':
      case '^':
        return this.#push('operator', char, 1);
      case '=':
        if (next === '=') return this.#push('operator', '==', 2);
        if (next === '~') this.#fail("unexpected character after '=': '~'", this.#at + 1);
        return this.#push('punctuation', '=', 1);
      case '!':
        if (next === '=') return this.#push('operator', '!=', 2);
        return this.#fail(
          `unexpected character after '!': ${describeChar(this.#text, this.#at + 1)}`,
        );
      case '<':
      case '>':
        if (next === '=') return this.#push('operator', `${char}=`, 2);
        if (next === '/') return this.#push('operator', `${char}/`, 2);
        return this.#push('operator', char, 1);
      case '"':
      case "'":
      case '`':
        return this.#string(char);
      default:
        return this.#wordOrNumber(char);
    }
  }

  #wordOrNumber(char: string): void {
    if (char === ':' && this.#inBrackets) return this.#push('punctuation', ':', 1);
    const isDigit = char >= '0' && char <= '9';
    if (isDigit || (char === '.' && /[0-9]/.test(this.#text[this.#at + 1] ?? ''))) {
      return this.#number();
    }
    const word = this.#match(WORD);
    if (word === null) this.#fail(`unexpected character: ${describeChar(this.#text, this.#at)}`);
    const lower = word.toLowerCase();
    if (NUMBER_WORDS.has(lower)) return this.#push('number', lower, word.length);
    if (OPERATOR_WORDS.has(lower)) return this.#push('operator', lower, word.length);
    if (AGGREGATORS.has(lower)) return this.#push('aggregator', lower, word.length);
    if (KEYWORDS.has(lower)) return this.#push('keyword', lower, word.length);
    this.#push(word.includes(':') ? 'metric' : 'identifier', word, word.length);
  }

  #number(): void {
    const ends = (length: number): boolean =>
      !ALPHANUMERIC.test(this.#text[this.#at + length] ?? '');
    const hex = this.#match(HEX);
    if (hex !== null && ends(hex.length)) return this.#push('number', hex, hex.length);
    const duration = this.#match(DURATION);
    if (duration !== null && ends(duration.length)) {
      return this.#push('duration', duration, duration.length);
    }
    const decimal = this.#match(DECIMAL) ?? '';
    if (decimal !== '' && ends(decimal.length)) {
      return this.#push('number', decimal, decimal.length);
    }
    const longest = Math.max(decimal.length, duration?.length ?? 0, hex?.length ?? 0);
    const bad = this.#text.slice(this.#at, this.#at + longest + 1);
    this.#fail(`bad number or duration syntax: ${JSON.stringify(bad)}`);
  }

  #insideBraces(): void {
    const char = this.#text[this.#at];
    const next = this.#text[this.#at + 1];
    if (char === '}') {
      this.#inBraces = false;
      return this.#push('punctuation', char, 1);
    }
    if (char === ',') return this.#push('punctuation', char, 1);
    if (char === '"' || char === "'" || char === '`') return this.#string(char);
    if (char === '=') {
      return next === '~' ? this.#push('punctuation', '=~', 2) : this.#push('punctuation', '=', 1);
    }
    if (char === '!') {
      if (next === '~' || next === '=') return this.#push('punctuation', `!${next}`, 2);
      const what = describeChar(this.#text, this.#at + 1);
      this.#fail(`unexpected character after '!' inside braces: ${what}`);
    }
    const word = this.#match(LABEL);
    if (word !== null) return this.#push('identifier', word, word.length);
    if (char === '{') this.#fail("unexpected left brace '{'");
    this.#fail(`unexpected character inside braces: ${describeChar(this.#text, this.#at)}`);
  }

  #string(quote: string): void {
    const text = this.#text;
    let end = this.#at + 1;
    while (true) {
      const char = text[end];
      if (char === undefined || (char === '\n' && quote !== '`')) {
        this.#fail(quote === '`' ? 'unterminated raw string' : 'unterminated quoted string');
      }
      if (char === quote) break;
      end += char === '\\' && quote !== '`' ? 2 : 1;
    }
    const length = end + 1 - this.#at;
    this.#push('string', text.slice(this.#at, end + 1), length);
  }
}

function describeChar(text: string, at: number): string {
  if (at >= text.length) return 'end of input';
  const char = String.fromCodePoint(text.codePointAt(at)!);
  return `'${char}'`;
}

/** A token in the words of Prometheus's parse errors. */
export function describeToken(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'end of input';
    case 'operator':
      return `<op:${token.word}>`;
    case 'aggregator':
      return `<aggr:${token.word}>`;
    case 'keyword':
      return `<${token.word}>`;
    case 'identifier':
      return `identifier ${JSON.stringify(token.word)}`;
    case 'metric':
      return `metric identifier ${JSON.stringify(token.word)}`;
    case 'punctuation':
      return `"${token.word}"`;
    default: {
      const shown =
        token.word.length > 10
          ? `${JSON.stringify(token.word.slice(0, 10))}...`
          : JSON.stringify(token.word);
      return `${token.kind} ${shown}`;
    }
  }
}
