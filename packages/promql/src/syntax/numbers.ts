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
