/**
 * The lexer of text 0.0.4: one line at a time, as offsets. The rules are those of Prometheus 3
 * (model/textparse/promlex.l and promparse.go), with these differences, all towards an error or
 * the letter of the format: a NUL byte at the start of a line is refused (Prometheus ends the body
 * there, silently), blanks before a metric name do not become part of it, invalid UTF-8 in quoted names,
 * empty names and a label given twice are refused here rather than on appending.
 */
import { isUtf8 } from 'node:buffer';
import { FormatError, type MetricType } from '@canopy/model';
import { commonPrefix } from './common-prefix.js';
import { parseFloatText, readPlainNumber } from './float-text.js';
import { nameCharTable } from './name-chars.js';

/** What a line is. `other`: blank, or a comment. */
export const LineKind = { other: 0, help: 1, type: 2, sample: 3 } as const;
export type LineKind = (typeof LineKind)[keyof typeof LineKind];

const NAME_START = 1;
const NAME = 2;
const LABEL_START = 4;
const LABEL = 8;
const CHARS = nameCharTable();

const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const COMMA = 44;
const EQUAL = 61;
const BACKSLASH = 92;
const BRACE_OPEN = 123;
const BRACE_CLOSE = 125;

const TYPES: Readonly<Record<string, MetricType>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  summary: 'summary',
  untyped: 'unknown',
};
const TYPE_BYTES_MAX = 9;
const INT64_MAX = 2 ** 63;

/** The body itself where it ends with a newline, else a copy that does. Plain Uint8Array always. */
export function terminated(body: Uint8Array): Uint8Array {
  if (body.length === 0 || body[body.length - 1] === NEWLINE) {
    // Buffers have a hidden class of their own; one class keeps the loops below monomorphic.
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  }
  const copy = new Uint8Array(body.length + 1);
  copy.set(body);
  copy[body.length] = NEWLINE;
  return copy;
}

/** Places in a series where the next one may go on; further ones are not remembered. */
const TOPS_MAX = 64;
/** Stands for no line. */
const NONE = -1;

/**
 * Reads lines. Series stand beside their like: where a text begins as the one read before did, the lexer goes on
 * from the last place, between two labels, that both have in common. The fields describe the line read last; which of them, its kind says. */
export class LineReader {
  /** Offset of the line after this one. */
  next = 0;
  /** help, type: the family's name, without quotes, as written. */
  nameStart = 0;
  nameEnd = 0;
  /** help: the text as written. */
  textStart = 0;
  textEnd = 0;
  /** type */
  metricType: MetricType = 'unknown';
  /** sample: name and labels. */
  seriesStart = 0;
  seriesEnd = 0;
  /** sample: first byte of the value. */
  valueStart = 0;
  value = 0;
  /** sample: ms since epoch, NaN for none. */
  time = NaN;

  #body: Uint8Array = new Uint8Array(0);
  #text: Buffer = Buffer.alloc(0);
  #lineStart = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Series text read last, and how many bytes of it the text before it had, too. */
  #lastStart = NONE;
  #lastEnd = 0;
  shared = 0;
  /** Offsets in the series read last where a label may start, and whether it had its name by then. */
  readonly #tops = new Uint32Array(TOPS_MAX);
  readonly #topNamed = new Uint8Array(TOPS_MAX);
  #topCount = 0;

  /** `body` is as `terminated` made it, and stays as it is while it is read. */
  open(body: Uint8Array): void {
    this.#body = body;
    this.#text = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    this.#lastStart = NONE;
  }

  /** Lets go of the body. */
  close(): void {
    this.open(new Uint8Array(0));
  }

  /**
   * Reads the line that starts at `start`, which is less than the body's length.
   * @throws FormatError with the line's number.
   */
  read(start: number): LineKind {
    this.#lineStart = start;
    const p = this.#skipBlanks(start);
    const c = this.#body[p];
    if (c === NEWLINE) {
      this.next = p + 1;
      return LineKind.other;
    }
    if (c === HASH) return this.#readMeta(p + 1);
    if (c === BRACE_OPEN || (CHARS[c] & NAME_START) !== 0) return this.#readSample(p);
    return this.#fail('expected a valid start token', p);
  }

  /**
   * Fast path: reads the rest of the line at `lineStart`, of which everything before `valueStart` is
   * known to be a series and what parts it from its value. False where the series goes on after
   * all: then `read` must read the whole line.
   * @throws FormatError as `read` would.
   */
  readKnown(lineStart: number, valueStart: number): boolean {
    const c = this.#body[valueStart];
    if (c === BRACE_OPEN || c === SPACE || c === TAB) return false;
    this.#lineStart = lineStart;
    this.#readValue(valueStart);
    return true;
  }

  #readMeta(start: number): LineKind {
    const body = this.#body;
    let p = this.#skipBlanks(start);
    const keyword = p > start ? this.#keywordAt(p) : LineKind.other;
    if (keyword === LineKind.other) {
      this.next = body.indexOf(NEWLINE, start) + 1;
      return keyword;
    }
    p = this.#skipBlanks(p + 4);
    const c = body[p];
    if (c === QUOTE) {
      const end = this.#skipQuoted(p, 'expected metric name');
      this.nameStart = p + 1;
      this.nameEnd = end - 1;
      p = end;
    } else if ((CHARS[c] & NAME_START) !== 0) {
      this.nameStart = p;
      while ((CHARS[body[p]] & NAME) !== 0) p++;
      this.nameEnd = p;
    } else {
      const word = keyword === LineKind.help ? 'HELP' : 'TYPE';
      this.#fail(`expected metric name after ${word}`, p);
    }
    const end = body.indexOf(NEWLINE, p);
    this.next = end + 1;
    // One separating byte is not part of the text, the blanks after it are, unless nothing follows.
    this.textStart = this.#skipBlanks(p) === end ? end : p + 1;
    this.textEnd = end;
    if (keyword === LineKind.type) this.#readType();
    else this.#checkUtf8(this.textStart, end, 'help text is not valid UTF-8');
    return keyword;
  }

  #keywordAt(p: number): LineKind {
    const body = this.#body;
    if (p + 4 >= body.length || (body[p + 4] !== SPACE && body[p + 4] !== TAB)) {
      return LineKind.other;
    }
    const word = this.#text.toString('latin1', p, p + 4);
    if (word === 'HELP') return LineKind.help;
    return word === 'TYPE' ? LineKind.type : LineKind.other;
  }

  #readType(): void {
    const { textStart, textEnd } = this;
    const text = this.#text.toString(
      'latin1',
      textStart,
      Math.min(textEnd, textStart + TYPE_BYTES_MAX + 1),
    );
    if (!Object.hasOwn(TYPES, text)) this.#fail('invalid metric type', textStart, textEnd);
    this.metricType = TYPES[text];
  }

  #readSample(start: number): LineKind {
    const body = this.#body;
    this.seriesStart = start;
    const top = this.#sharedTop(start);
    // A line that is refused is not one to go on from.
    this.#lastStart = NONE;
    let p = start;
    let end: number;
    if (top >= 0) {
      // Fast path: all before this label was read in the line before.
      this.#topCount = top;
      p = this.#readLabels(start, start + this.#tops[top], this.#topNamed[top] === 1);
      end = p;
      p = this.#skipBlanks(p);
    } else {
      this.#topCount = 0;
      const named = body[p] !== BRACE_OPEN;
      if (named) while ((CHARS[body[p]] & NAME) !== 0) p++;
      end = p;
      p = this.#skipBlanks(p);
      if (body[p] === BRACE_OPEN) {
        p = this.#readLabels(start, p + 1, named);
        end = p;
        p = this.#skipBlanks(p);
      }
    }
    this.seriesEnd = end;
    this.#readValue(p);
    this.#lastStart = start;
    this.#lastEnd = end;
    return LineKind.sample;
  }

  /**
   * Index in `#tops` of the last place before which the text at `start` is that of the series read
   * last, -1 for none. The byte there is the same, too: the lexer may have looked at it.
   */
  #sharedTop(start: number): number {
    this.shared = 0;
    const last = this.#lastStart;
    if (last === NONE) return -1;
    const limit = Math.min(this.#lastEnd - last, this.#body.length - start);
    this.shared = commonPrefix(this.#view, start, this.#view, last, limit);
    let top = this.#topCount - 1;
    while (top >= 0 && this.#tops[top] >= this.shared) top--;
    return top;
  }

  /** Reads what stands between braces, from before a label; returns the offset after the closing one. */
  #readLabels(seriesStart: number, start: number, namedBefore: boolean): number {
    const body = this.#body;
    let named = namedBefore;
    let p = start;
    for (;;) {
      if (this.#topCount < TOPS_MAX) {
        this.#tops[this.#topCount] = p - seriesStart;
        this.#topNamed[this.#topCount++] = named ? 1 : 0;
      }
      p = this.#skipBlanks(p);
      const c = body[p];
      if (c === BRACE_CLOSE) break;
      const nameStart = p;
      const quoted = c === QUOTE;
      if (quoted) p = this.#skipQuoted(p, 'expected label name');
      else if ((CHARS[c] & LABEL_START) === 0) this.#fail('expected label name', p);
      else while ((CHARS[body[p]] & LABEL) !== 0) p++;
      if (quoted && p - nameStart === 2) this.#fail('empty name', nameStart, p);
      p = this.#skipBlanks(p);
      const after = body[p];
      // A quoted string by itself is the metric's name.
      if (quoted && (after === COMMA || after === BRACE_CLOSE)) {
        if (named) this.#fail('metric name already set', nameStart);
        named = true;
        if (after === BRACE_CLOSE) break;
        p++;
        continue;
      }
      if (after !== EQUAL) this.#fail('expected equal', p);
      p = this.#skipBlanks(p + 1);
      if (body[p] !== QUOTE) this.#fail('expected label value', p);
      p = this.#skipBlanks(this.#skipQuoted(p, 'expected label value'));
      // As in Prometheus, the comma may be missing, and may stand before the closing brace.
      if (body[p] === COMMA) p++;
    }
    if (!named) this.#fail('metric name not set', body.indexOf(BRACE_OPEN, seriesStart));
    return p + 1;
  }

  /** Returns the offset after the string that starts with the quote at `start`. */
  #skipQuoted(start: number, expected: string): number {
    const body = this.#body;
    const end = body.length;
    let seen = 0;
    let p = start + 1;
    while (p < end) {
      const c = body[p];
      if (c === QUOTE) {
        if (seen >= 0x80) this.#checkUtf8(start + 1, p, 'invalid UTF-8 in quoted string');
        return p + 1;
      }
      seen |= c;
      // A backslash escapes any byte but a newline; a bare newline is part of the string.
      if (c === BACKSLASH) {
        p++;
        if (p >= end || body[p] === NEWLINE) break;
        seen |= body[p];
      }
      p++;
    }
    return this.#fail(`${expected}: string is not closed`, start, Math.min(p, end));
  }

  #readValue(start: number): void {
    const body = this.#body;
    this.valueStart = start;
    let p = readPlainNumber(body, start, this);
    if (p < 0) p = this.#readOddValue(start);
    p = this.#skipBlanks(p);
    this.time = NaN;
    let c = body[p];
    if (c !== NEWLINE) {
      const timeStart = p;
      let time = 0;
      while (c >= 48 && c <= 57) {
        time = time * 10 + (c - 48);
        c = body[++p];
      }
      if (p === timeStart) this.#fail('expected timestamp or new record', p);
      if (time >= INT64_MAX) this.#fail('timestamp out of range', timeStart, p);
      this.time = time;
      p = this.#skipBlanks(p);
      if (body[p] !== NEWLINE) this.#fail('expected next entry after timestamp', p);
    }
    this.next = p + 1;
  }

  #readOddValue(start: number): number {
    const body = this.#body;
    let p = start;
    for (;;) {
      const c = body[p];
      if (c === SPACE || c === TAB || c === NEWLINE || c === BRACE_OPEN) break;
      p++;
    }
    if (p === start) this.#fail('expected value after metric', p);
    const value = parseFloatText(this.#text.toString('latin1', start, p));
    if (typeof value === 'string') this.#fail(value, start, p);
    else this.value = value;
    return p;
  }

  #skipBlanks(start: number): number {
    const body = this.#body;
    let p = start;
    while (body[p] === SPACE || body[p] === TAB) p++;
    return p;
  }

  #checkUtf8(start: number, end: number, message: string): void {
    if (!isUtf8(this.#body.subarray(start, end))) this.#fail(message, start, end);
  }

  /** Cold path: says where and what. */
  #fail(message: string, at: number, end = at + 1): never {
    let line = 1;
    for (let p = 0; p < this.#lineStart; p++) if (this.#body[p] === NEWLINE) line++;
    const clipped = this.#text.toString('utf8', at, Math.min(end, at + SHOWN_BYTES_MAX));
    const more = end - at > SHOWN_BYTES_MAX ? '…' : '';
    throw new FormatError(`line ${line}: ${message}, got ${JSON.stringify(clipped + more)}`);
  }
}

/** Bytes of the offending text that an error message shows. */
const SHOWN_BYTES_MAX = 60;
