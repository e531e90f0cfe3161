/** Number literals as Go's strconv reads them in Prometheus's parser. */

/**
 * Integers may be hexadecimal (`0x1F`) or octal (`0755`) and hold underscores; everything else is
 * decimal. NaN where the text is no number (the word `nan` included).
 */
export function parseNumber(text: string): number {
  const lower = text.toLowerCase();
  if (lower === 'inf' || lower === '+inf') return Number.POSITIVE_INFINITY;
  if (lower === '-inf') return Number.NEGATIVE_INFINITY;
  if (lower === 'nan') return Number.NaN;
  const plain = lower.replaceAll('_', '');
  if (plain.startsWith('0x')) return Number(plain);
  if (/^0[0-7]+$/.test(plain)) return Number.parseInt(plain, 8);
  return /^[0-9.]/.test(plain) ? Number(plain) : Number.NaN;
}

/** Whether underscores, where there are any, stand between digits. */
export function isWellFormedNumber(text: string): boolean {
  if (!text.includes('_')) return true;
  return /^[0-9a-fA-F.xX]+$/.test(text.replace(/([0-9a-fA-FxX])_(?=[0-9a-fA-F])/g, '$1'));
}

/**
 * Go's `strconv.ParseFloat` for label values (`le`): decimal, exponent, `Inf`, `NaN` in any case;
 * undefined where it would refuse.
 */
export function parseFloatLabel(text: string): number | undefined {
  if (/^[+-]?(?:inf|infinity)$/i.test(text)) {
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (/^nan$/i.test(text)) return Number.NaN;
  if (!/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i.test(text)) return undefined;
  return Number(text);
}

const HEX = /0[xX][0-9a-fA-F_]+/y;
const DECIMAL = /(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?/y;
const DURATION = /[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdwy]))*/y;
const WORD_CHARACTER = /[a-zA-Z0-9_]/;

/**
 * Where the number or duration that begins at `at` ends; 0 where none begins. Negative where it
 * runs into a letter: then the absolute value is the end of what is wrong.
 */
export function numberEnd(text: string, at: number): number {
  let longest = 0;
  for (const pattern of [HEX, DURATION, DECIMAL]) {
    pattern.lastIndex = at;
    if (!pattern.test(text)) continue;
    const end = pattern.lastIndex;
    if (!WORD_CHARACTER.test(text[end] ?? '')) return end;
    longest = Math.max(longest, end);
  }
  return longest === 0 ? 0 : -(longest + 1);
}

/** Whether a literal is a duration: it is a number otherwise. */
export const isDurationText = (text: string): boolean => /^[0-9]+(?:ms|[smhdwy])/.test(text);
