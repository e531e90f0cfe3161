/**
 * Names and labels out of series text that the lexer has let pass.
 */
import { FormatError, type Labels, METRIC_NAME } from '@canopy/model';

const ESCAPES: Readonly<Record<string, string>> = { '\\\\': '\\', '\\n': '\n', '\\"': '"' };
/** Label counts up to here are searched for doubled names by looping. */
const LOOPED_PAIRS_MAX = 16;

/** A label value or quoted name as it was before it was escaped. Unknown escapes stay as they are. */
export function unescapeQuoted(text: string): string {
  return text.includes('\\') ? text.replace(/\\[\\n"]/g, (escape) => ESCAPES[escape]) : text;
}

/** HELP text as it was before it was escaped; quotes are not escaped there. */
export function unescapeHelp(text: string): string {
  return text.includes('\\') ? text.replace(/\\[\\n]/g, (escape) => ESCAPES[escape]) : text;
}

const NAME_ENDS = new Set([9, 10, 32, 123]);
const isBlank = (c: number): boolean => c === 32 || c === 9;

/**
 * Label pairs of one series text, `[name, value, …]` in the order written, `__name__` first. Pairs with an empty
 * value are kept: `instance=""` says that the series has none, which `honor_labels` respects. The text is one that `parseText` gave to its sink; blanks before it are allowed.
 * @throws FormatError where a label is given twice.
 */
export function readSeries(body: Uint8Array, start: number, end: number): Labels {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const pairs: string[] = [METRIC_NAME, ''];
  let p = start;
  while (p < end && isBlank(bytes[p])) p++;
  const nameStart = p;
  while (p < end && !NAME_ENDS.has(bytes[p])) p++;
  pairs[1] = bytes.toString('latin1', nameStart, p);
  while (p < end && bytes[p] !== 123) p++;
  p++;
  while (p < end) {
    const c = bytes[p];
    if (isBlank(c) || c === 44) {
      p++;
      continue;
    }
    if (c === 125) break;
    const afterName = c === 34 ? quotedEnd(bytes, p) : plainEnd(bytes, p);
    const name =
      c === 34 ? quotedText(bytes, p, afterName) : bytes.toString('latin1', p, afterName);
    p = afterName;
    while (isBlank(bytes[p])) p++;
    if (bytes[p] !== 61) {
      pairs[1] = name;
      continue;
    }
    p++;
    while (isBlank(bytes[p])) p++;
    const afterValue = quotedEnd(bytes, p);
    pairs.push(name, quotedText(bytes, p, afterValue));
    p = afterValue;
  }
  return checkedPairs(pairs);
}

function plainEnd(bytes: Buffer, start: number): number {
  let p = start;
  while (!isBlank(bytes[p]) && bytes[p] !== 61) p++;
  return p;
}

/** Offset after the closing quote of the string that starts at `start`. */
function quotedEnd(bytes: Buffer, start: number): number {
  let p = start + 1;
  while (bytes[p] !== 34) p += bytes[p] === 92 ? 2 : 1;
  return p + 1;
}

function quotedText(bytes: Buffer, start: number, end: number): string {
  return unescapeQuoted(bytes.toString('utf8', start + 1, end - 1));
}

/** @throws FormatError where a name is there twice. `pairs` start with the metric's name. */
export function checkedPairs(pairs: readonly string[]): Labels {
  const doubled = doubledName(pairs);
  if (doubled !== undefined) {
    throw new FormatError(`label ${JSON.stringify(doubled)} is given twice in ${pairs[1]}`);
  }
  return pairs;
}

function doubledName(pairs: readonly string[]): string | undefined {
  if (pairs.length > 2 * LOOPED_PAIRS_MAX) {
    const seen = new Set<string>();
    for (let i = 0; i < pairs.length; i += 2) {
      if (seen.has(pairs[i])) return pairs[i];
      seen.add(pairs[i]);
    }
    return undefined;
  }
  for (let i = 2; i < pairs.length; i += 2) {
    for (let j = 0; j < i; j += 2) if (pairs[i] === pairs[j]) return pairs[i];
  }
  return undefined;
}
