/** A lezer tree read from its first node to its last, beside the query it stands for. */
import { CanopyError, parseDuration } from '@canopy/model';
import type { TreeCursor } from '@lezer/common';
import { parseTree } from './grammar.js';
import { isDurationText, isWellFormedNumber, numberEnd, parseNumber } from './numbers.js';
import { parseError } from './position.js';
import { quote, unquote } from './strings.js';
import { tooDeep } from './walk.js';

const OPERATOR = /[a-zA-Z0-9_]+|[=!<>]=|<\/|>\/|./y;
const NOT_BLANK = /[^ \t\r\n]/g;

export interface Literal {
  /** Durations count in seconds. */
  readonly value: number;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Stands at one node; `next` goes to the one after it, parents before children. */
export class Reading {
  readonly query: string;
  /** `''` after the last node. */
  name = '';
  from = 0;
  to = 0;
  /** What lezer read, as long as the query: comments are blank. */
  readonly #text: string;
  readonly #cursor: TreeCursor;

  /** @throws CanopyError `bad_data` for a text that is no query. */
  constructor(query: string) {
    const { tree, text } = parseTree(query);
    this.query = query;
    this.#text = text;
    this.#cursor = tree.cursor();
    this.next();
  }

  next(): void {
    this.#move(true);
  }

  /** Leaves out what is within the node. */
  skip(): void {
    this.#move(false);
  }

  #move(enter: boolean): void {
    const cursor = this.#cursor;
    if (!cursor.next(enter)) {
      this.name = '';
      this.from = this.query.length;
      this.to = this.from;
      return;
    }
    // lezer cuts what is too deep for it, and says so by an error node.
    if (cursor.type.isError) this.tooDeep(cursor.from);
    this.name = cursor.name;
    this.from = cursor.from;
    this.to = cursor.to;
  }

  fail(offset: number, message: string): never {
    parseError(this.query, offset, message);
  }

  tooDeep(offset: number): never {
    tooDeep(this.query, offset);
  }

  /** Whether the node is a `name`. */
  is(name: string): boolean {
    return this.name === name;
  }

  /** As the query has it. */
  get written(): string {
    return this.query.slice(this.from, this.to);
  }

  /** The operator that begins at the node, words in lower case: lezer may have read another. */
  get operator(): string {
    OPERATOR.lastIndex = this.from;
    return OPERATOR.exec(this.query)![0].toLowerCase();
  }

  charAt(offset: number): string {
    return this.#text[offset];
  }

  /** The first offset from `offset` on that is neither blank nor comment. */
  pastBlanks(offset: number): number {
    NOT_BLANK.lastIndex = offset;
    return NOT_BLANK.exec(this.#text)?.index ?? this.#text.length;
  }

  /** Where the bracket stands before which, up to `offset`, are blanks and comments only. */
  bracketBefore(offset: number): number {
    return this.#text.lastIndexOf('[', offset - 1);
  }

  /** Where the bracket ends that closes after `offset`, with blanks and comments between only. */
  closingEnd(offset: number, bracket: ')' | ']'): number {
    return this.#text.indexOf(bracket, offset) + 1;
  }

  /** A number or duration without sign, from `start` on. */
  literalAt(start: number): Literal {
    const end = numberEnd(this.query, start) || start + 'inf'.length;
    const text = this.query.slice(start, end);
    if (isDurationText(text)) return { value: this.#seconds(text, start), text, start, end };
    const isWord = /^[in]/i.test(text);
    const value = parseNumber(text);
    if (!isWellFormedNumber(text)) {
      this.fail(start, `bad number or duration syntax: ${JSON.stringify(text)}`);
    }
    if (!isWord && !Number.isFinite(value)) {
      this.fail(start, `error parsing number: value out of range: ${JSON.stringify(text)}`);
    }
    return { value, text: isWord ? text.toLowerCase() : text, start, end };
  }

  /** The number with or without sign at the node, which it leaves. */
  signedNumber(): { value: number; end: number } {
    const { from } = this;
    const sign = this.charAt(from);
    const isSigned = sign === '-' || sign === '+';
    const { value, end } = this.literalAt(isSigned ? this.pastBlanks(from + 1) : from);
    this.skip();
    return { value: sign === '-' ? -value : value, end };
  }

  #seconds(text: string, start: number): number {
    try {
      return parseDuration(text) / 1000;
    } catch (error) {
      if (error instanceof CanopyError) this.fail(start, error.message);
      throw error;
    }
  }

  /** The value of the string at the node, which it leaves. */
  string(): string {
    const { written, from } = this;
    const value = unquote(written);
    if (value === null) {
      this.fail(from, `error unquoting string ${quote(written)}: invalid syntax`);
    }
    this.skip();
    return value;
  }
}
