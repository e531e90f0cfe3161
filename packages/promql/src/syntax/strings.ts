/**
 * String literals with Go's escapes (Prometheus util/strutil/quote.go). Bytes that are no UTF-8,
 * which only
 * `\x` and octal escapes can make, are held as lone surrogates U+DC80…U+DCFF, one a byte.
 */

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
};

/** The value of a literal with its quotes; null where it is not well formed. */
export function unquote(literal: string): string | null {
  const quote = literal[0];
  if (literal.length < 2 || literal.at(-1) !== quote) return null;
  const body = literal.slice(1, -1);
  if (quote === '`') return body.includes('`') ? null : body;
  if (quote !== '"' && quote !== "'") return null;
  if (body.includes('\n')) return null;
  if (!body.includes('\\')) return body.includes(quote) ? null : body;
  return unescape(body, quote);
}

function unescape(body: string, quote: string): string | null {
  let out = '';
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length > 0) out += decodeBytes(bytes);
    bytes = [];
  };
  for (let i = 0; i < body.length; i++) {
    const char = body[i];
    if (char === quote) return null;
    if (char !== '\\') {
      flush();
      out += char;
      continue;
    }
    const next = body[++i];
    if (next === undefined) return null;
    if (next === 'x') {
      const hex = body.slice(i + 1, i + 3);
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) return null;
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else if (next >= '0' && next <= '7') {
      const octal = body.slice(i, i + 3);
      if (!/^[0-3][0-7]{2}$/.test(octal)) return null;
      bytes.push(Number.parseInt(octal, 8));
      i += 2;
    } else if (next === 'u' || next === 'U') {
      const digits = next === 'u' ? 4 : 8;
      const hex = body.slice(i + 1, i + 1 + digits);
      if (hex.length !== digits || !/^[0-9a-fA-F]+$/.test(hex)) return null;
      const point = Number.parseInt(hex, 16);
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return null;
      flush();
      out += String.fromCodePoint(point);
      i += digits;
    } else {
      const code = next === quote ? quote.charCodeAt(0) : SIMPLE_ESCAPES[next];
      if (code === undefined) return null;
      bytes.push(code);
    }
  }
  flush();
  return out;
}

/** Digits after the letter. */
const HEX_ESCAPES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/**
 * What Prometheus's lexer says of the escape whose backslash is before `at`, in a string between
 * `quote`s; '' where it is well formed (promql/parser/lex.go, `lexEscape`).
 */
export function escapeProblem(text: string, at: number, quote: string): string {
  const first = text[at];
  if (first === undefined) return 'escape sequence not terminated';
  if (first === quote || SIMPLE_ESCAPES[first] !== undefined) return '';
  const isOctal = first >= '0' && first <= '7';
  const digits = isOctal ? 3 : HEX_ESCAPES[first];
  if (digits === undefined) return `unknown escape sequence ${codePointText(text, at)}`;
  const base = isOctal ? 8 : 16;
  const from = isOctal ? at : at + 1;
  let value = 0;
  for (let i = from; i < from + digits; i++) {
    if (i >= text.length) return 'escape sequence not terminated';
    const digit = Number.parseInt(text[i], base);
    if (Number.isNaN(digit))
      return `illegal character ${codePointText(text, i)} in escape sequence`;
    value = value * base + digit;
  }
  const isPoint = value <= (digits < 4 ? 0xff : 0x10ffff) && (value < 0xd800 || value > 0xdfff);
  return isPoint ? '' : 'escape sequence is an invalid Unicode code point';
}

/** As Go's `%#U`: `U+0071 'q'`, without the character where none would be seen. */
function codePointText(text: string, at: number): string {
  const point = text.codePointAt(at)!;
  const number = `U+${hex(point, 4).toUpperCase()}`;
  return isShown(point) ? `${number} '${String.fromCodePoint(point)}'` : number;
}

/** Go's `unicode.IsPrint`: of the blanks only the plain one. */
function isShown(point: number): boolean {
  return point === 0x20 || !/[\p{C}\p{Z}]/u.test(String.fromCodePoint(point));
}

/** A character as Go's `%q` prints it. */
export function quoteChar(point: number): string {
  if (point === 0x27) return "'\\''";
  if (point === 0x22) return `'"'`;
  if (isShown(point) || point < 0x80) return `'${quote(String.fromCodePoint(point)).slice(1, -1)}'`;
  return point > 0xffff ? `'\\U${hex(point, 8)}'` : `'\\u${hex(point, 4)}'`;
}

/** UTF-8 to text; what is none becomes U+DC00 + byte. */
function decodeBytes(bytes: readonly number[]): string {
  let out = '';
  for (let i = 0; i < bytes.length; ) {
    const length = utf8SequenceLength(bytes, i);
    if (length === 0) {
      out += String.fromCharCode(0xdc00 + bytes[i]);
      i++;
      continue;
    }
    let point = length === 1 ? bytes[i] : bytes[i] & (0x7f >> length);
    for (let k = 1; k < length; k++) point = (point << 6) | (bytes[i + k] & 0x3f);
    out += String.fromCodePoint(point);
    i += length;
  }
  return out;
}

/** Length of the valid UTF-8 sequence at `at`, 0 where there is none. */
function utf8SequenceLength(bytes: readonly number[], at: number): number {
  const first = bytes[at];
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  for (let k = 1; k < length; k++) if ((bytes[at + k] & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1];
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  if (first === 0xf4 && second > 0x8f) return 0;
  return length;
}

/** The text between double quotes, escaped as Go's `%q` does. */
export function quote(text: string): string {
  let out = '"';
  for (const char of text) {
    const point = char.codePointAt(0)!;
    if (char === '"' || char === '\\') out += `\\${char}`;
    else if (char === '\n') out += '\\n';
    else if (char === '\t') out += '\\t';
    else if (char === '\r') out += '\\r';
    else if (point === 7) out += '\\a';
    else if (point === 8) out += '\\b';
    else if (point === 11) out += '\\v';
    else if (point === 12) out += '\\f';
    else if (point < 0x20 || point === 0x7f) out += `\\x${hex(point, 2)}`;
    else if (point >= 0xdc80 && point <= 0xdcff) out += `\\x${hex(point - 0xdc00, 2)}`;
    // As it stands it would be no UTF-8 to the lexer.
    else if (point === 0xfffd || (point >= 0xd800 && point <= 0xdfff)) out += '\\ufffd';
    else out += char;
  }
  return `${out}"`;
}

const hex = (value: number, width: number): string => value.toString(16).padStart(width, '0');

/** Whether a text can be a label's name: not empty and all of it UTF-8. */
export function isValidLabelName(name: string): boolean {
  return name !== '' && name.isWellFormed();
}
