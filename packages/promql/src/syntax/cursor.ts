/** Reads tokens one after the other and fails in Prometheus's words. */
import { type Token, describeToken, tokenize } from './lexer.js';
import { parseError } from './position.js';

/** Expressions within expressions a query may have; more would exhaust the stack. */
export const DEPTH_MAX = 500;

export class Cursor {
  readonly text: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.text = text;
    this.#tokens = tokenize(text);
  }

  get current(): Token {
    return this.#tokens[this.#at];
  }

  get next(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)];
  }

  /** Where the token before the current one ends. */
  get lastEnd(): number {
    return this.#at === 0 ? 0 : this.#tokens[this.#at - 1].end;
  }

  advance(): Token {
    const token = this.current;
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  /** Whether the current token is this punctuation mark. */
  isMark(mark: string): boolean {
    return this.current.kind === 'punctuation' && this.current.word === mark;
  }

  isKeyword(word: string): boolean {
    return this.current.kind === 'keyword' && this.current.word === word;
  }

  skipMark(mark: string): boolean {
    if (!this.isMark(mark)) return false;
    this.#at++;
    return true;
  }

  skipKeyword(word: string): boolean {
    if (!this.isKeyword(word)) return false;
    this.#at++;
    return true;
  }

  expectMark(mark: string, context: string, expected = `"${mark}"`): Token {
    if (!this.isMark(mark)) this.unexpected(context, expected);
    return this.advance();
  }

  unexpected(context = '', expected = ''): never {
    let message = `unexpected ${describeToken(this.current)}`;
    if (context !== '') message += ` in ${context}`;
    if (expected !== '') message += `, expected ${expected}`;
    this.fail(this.current.start, message);
  }

  fail(offset: number, message: string): never {
    parseError(this.text, offset, message);
  }

  /** Runs `parse` one level deeper. */
  nested<T>(parse: () => T): T {
    this.deeper();
    const value = parse();
    this.#depth--;
    return value;
  }

  /** Counts one level for good (a chain of operators makes a deep tree without nesting). */
  deeper(): void {
    if (++this.#depth > DEPTH_MAX) {
      this.fail(this.current.start, `expression is nested more than ${DEPTH_MAX} levels deep`);
    }
  }

  get depth(): number {
    return this.#depth;
  }

  set depth(depth: number) {
    this.#depth = depth;
  }
}
