/**
 * The tokens of a query by the rules (and with the error texts) of Prometheus's own lexer
 * (promql/parser/lex.go), which are narrower than those of the lezer grammar: that one takes
 * `1and 1`, a string without its end and any blank of Unicode. One pass, linear time.
 */
import { numberEnd } from './numbers.js';
import { parseError } from './position.js';
import { escapeProblem, quoteChar } from './strings.js';

export type TokenKind = 'word' | 'number' | 'string' | 'mark' | 'comment' | 'end';

const WORD = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const COMMENT = /#[^\r\n]*/y;
const BLANKS = /[ \t\r\n]*/y;
const SINGLE_MARKS = new Set(',@*/%+-^');

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** A place in the text; `next` moves on. The fields say what stands there. */
export class Tokens {
  kind: TokenKind = 'mark';
  start = 0;
  end = 0;
  readonly #text: string;
  #parens = 0;
  #inBraces = false;
  #inBrackets = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** As it is written. */
  get word(): string {
    return this.#text.slice(this.start, this.end);
  }

  is(mark: string): boolean {
    return this.kind === 'mark' && this.word === mark;
  }

  /** @throws CanopyError `bad_data` where no token stands, or the text ends too early. */
  next(): void {
    const text = this.#text;
    this.start = matchEnd(BLANKS, text, this.end);
    const char = text[this.start];
    if (char === undefined) return this.#finish();
    if (char === '#') return this.#set('comment', matchEnd(COMMENT, text, this.start));
    if (char === '"' || char === "'" || char === '`') {
      return this.#set('string', this.#stringEnd(char));
    }
    if (this.#inBraces) this.#insideBraces(char);
    else this.#statement(char);
  }

  #set(kind: TokenKind, end: number): void {
    this.kind = kind;
    this.end = end;
  }

  #mark(length: number): void {
    this.#set('mark', this.start + length);
  }

  #fail(message: string, offset = this.start): never {
    parseError(this.#text, offset, message);
  }

  #finish(): void {
    if (this.#inBraces) this.#fail('unexpected end of input inside braces');
    if (this.#inBrackets) this.#fail('unclosed left bracket');
    if (this.#parens > 0) this.#fail('unclosed left parenthesis');
    this.#set('end', this.start);
  }

  #statement(char: string): void {
    const next = this.#text[this.start + 1];
    if (SINGLE_MARKS.has(char)) return this.#mark(1);
    switch (char) {
      case '(':
        this.#parens++;
        return this.#mark(1);
      case ')':
        if (--this.#parens < 0) this.#fail("unexpected right parenthesis ')'");
        return this.#mark(1);
      case '{':
        this.#inBraces = true;
        return this.#mark(1);
      case '[':
        if (this.#inBrackets) this.#fail("unexpected left bracket '['");
        this.#inBrackets = true;
        return this.#mark(1);
      case ']':
        if (!this.#inBrackets) this.#fail("unexpected right bracket ']'");
        this.#inBrackets = false;
        return this.#mark(1);
      case '=':
        if (next === '~') this.#fail("unexpected character after '=': '~'", this.start + 1);
        return this.#mark(next === '=' ? 2 : 1);
      case '!':
        if (next === '=') return this.#mark(2);
        return this.#fail(`unexpected character after '!': ${this.#describe(this.start + 1)}`);
      case '<':
      case '>':
        return this.#mark(next === '=' || next === '/' ? 2 : 1);
      case ':':
        if (this.#inBrackets) return this.#mark(1);
        return this.#wordOrNumber();
      default:
        return this.#wordOrNumber();
    }
  }

  #wordOrNumber(): void {
    const text = this.#text;
    const end = matchEnd(WORD, text, this.start);
    if (end > this.start) return this.#set('word', end);
    const number = numberEnd(text, this.start);
    if (number === 0) this.#fail(`unexpected character: ${this.#describe(this.start)}`);
    if (number < 0) {
      const bad = text.slice(this.start, -number);
      this.#fail(`bad number or duration syntax: ${JSON.stringify(bad)}`);
    }
    this.#set('number', number);
  }

  #insideBraces(char: string): void {
    const next = this.#text[this.start + 1];
    switch (char) {
      case '}':
        this.#inBraces = false;
        return this.#mark(1);
      case ',':
        return this.#mark(1);
      case '=':
        return this.#mark(next === '~' ? 2 : 1);
      case '!': {
        if (next === '~' || next === '=') return this.#mark(2);
        const what = this.#describe(this.start + 1);
        return this.#fail(`unexpected character after '!' inside braces: ${what}`);
      }
      default: {
        const end = matchEnd(LABEL, this.#text, this.start);
        if (end > this.start) return this.#set('word', end);
        if (char === '{') this.#fail("unexpected left brace '{'");
        this.#fail(`unexpected character inside braces: ${this.#describe(this.start)}`);
      }
    }
  }

  #stringEnd(quote: string): number {
    const text = this.#text;
    const isRaw = quote === '`';
    for (let end = this.start + 1; end < text.length; end++) {
      const char = text[end];
      if (char === quote) return end + 1;
      // What bytes that are no UTF-8 have become on their way here.
      if (char === '\ufffd') this.#fail('invalid UTF-8 rune');
      if (isRaw) continue;
      if (char === '\n') break;
      if (char !== '\\') continue;
      const problem = escapeProblem(text, ++end, quote);
      if (problem !== '') this.#fail(problem);
    }
    return this.#fail(isRaw ? 'unterminated raw string' : 'unterminated quoted string');
  }

  #describe(at: number): string {
    const point = this.#text.codePointAt(at);
    return point === undefined ? 'end of input' : quoteChar(point);
  }
}
