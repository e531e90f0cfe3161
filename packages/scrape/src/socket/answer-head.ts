/**
 * The head of an HTTP/1.1 answer, read strictly: what is not plainly right is left to Node's own
 * client, which knows every oddity and says what is wrong with the rest.
 */

/** How the end of a body is found: so many bytes, or by chunks. */
export type Framing = number | 'chunked';

export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case; several of one name are joined by ", ". */
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: Framing;
  /** The connection may be used again. */
  readonly keepAlive: boolean;
}

/** Bytes of a head, as Node's client has it. */
export const HEAD_BYTES_MAX = 16 * 1024;

const STATUS_LINE = /^HTTP\/1\.1 ([2-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;
const DIGITS = /^\d{1,15}$/;
/** Two of these contradict each other, or mean what only some readers see. */
const SINGLE: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'content-encoding',
  'content-type',
  'location',
]);

/**
 * Reads a head without its last, empty line (latin1). Null for one that this reader does not take:
 * HTTP/1.0, interim answers, folded lines, bodies that end with the connection, and malformed ones.
 */
export function readAnswerHead(text: string): AnswerHead | null {
  const lines = text.split('\r\n');
  const first = STATUS_LINE.exec(lines[0]);
  if (first === null) return null;
  // An object whose names come from outside gets a new hidden class for every answer.
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = HEADER_LINE.exec(lines[i]);
    if (line === null) return null;
    const name = line[1].toLowerCase();
    const value = line[2].trimEnd();
    const before = headers.get(name);
    if (before !== undefined && SINGLE.has(name)) return null;
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const framing = framingOf(headers);
  if (framing === null) return null;
  const keepAlive = !/(?:^|,)\s*close\s*(?:,|$)/i.test(headers.get('connection') ?? '');
  return { status: Number(first[1]), reason: first[2] ?? '', headers, framing, keepAlive };
}

function framingOf(headers: ReadonlyMap<string, string>): Framing | null {
  const length = headers.get('content-length');
  const coding = headers.get('transfer-encoding');
  if (coding !== undefined) {
    // Both together are how requests and answers are smuggled.
    return length === undefined && coding.toLowerCase() === 'chunked' ? 'chunked' : null;
  }
  return length !== undefined && DIGITS.test(length) ? Number(length) : null;
}

/** Place of the empty line's end (`\r\n\r\n`) at or after `from`, else -1. */
export function headEnd(bytes: Buffer, from: number, to: number): number {
  const at = bytes.subarray(0, to).indexOf('\r\n\r\n', from, 'latin1');
  return at < 0 ? -1 : at + 4;
}
