/**
 * Numbers as text formats spell them. Reading gives the bits of `Number()`; writing gives the
 * text of Go's strconv.
 */

/** Powers of ten that a double holds exactly. */
const POW10 = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
const EXACT_BELOW = 2 ** 53;

/** The number that `readPlainNumber` read last. */
export interface NumberOut {
  value: number;
}

/**
 * Fast path: reads a decimal whose mantissa is below 2^53 and whose power of ten is at most 22 either way.
 * Both are exact doubles, so that the one multiplication or division rounds once, as `Number()` does
 * (Clinger 1990). Returns the offset after the number, which must be followed by space, tab or
 * newline, or -1 where the text is anything else: then `parseFloatText` decides.
 * `body` ends with a newline.
 */
export function readPlainNumber(body: Uint8Array, start: number, out: NumberOut): number {
  let p = start;
  let c = body[p];
  const negative = c === 45;
  if (negative || c === 43) c = body[++p];
  let mantissa = 0;
  let mark = p;
  while (c >= 48 && c <= 57) {
    mantissa = mantissa * 10 + (c - 48);
    c = body[++p];
  }
  let digits = p - mark;
  let power = 0;
  if (c === 46) {
    mark = p + 1;
    c = body[++p];
    while (c >= 48 && c <= 57) {
      mantissa = mantissa * 10 + (c - 48);
      c = body[++p];
    }
    power = mark - p;
    digits -= power;
  }
  if (digits === 0 || mantissa >= EXACT_BELOW) return -1;
  if (c === 101 || c === 69) {
    c = body[++p];
    const down = c === 45;
    if (down || c === 43) c = body[++p];
    let exponent = 0;
    mark = p;
    while (c >= 48 && c <= 57 && p - mark < 4) {
      exponent = exponent * 10 + (c - 48);
      c = body[++p];
    }
    if (p === mark) return -1;
    power += down ? -exponent : exponent;
  }
  if (c !== 10 && c !== 32 && c !== 9) return -1;
  if (power < -22 || power > 22) return -1;
  const value = power < 0 ? mantissa / POW10[-power] : mantissa * POW10[power];
  out.value = negative ? -value : value;
  return p;
}

/** No alternative can take the same digit twice: matching is linear. */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
/** Longer numbers are refused: the longest double, written out to its last digit, is shorter. */
const NUMBER_LENGTH_MAX = 1100;
const INFINITE = /^[+-]?inf(?:inity)?$/i;

/**
 * A number as Go's ParseFloat reads it, less what Prometheus refuses (hexadecimal, underscores).
 * Returns a string, the reason, where it is not one.
 */
export function parseFloatText(text: string): number | string {
  if (text.length > NUMBER_LENGTH_MAX) return 'number is too long';
  if (DECIMAL.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : 'value out of range';
  }
  if (INFINITE.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (text.length === 3 && text.toLowerCase() === 'nan') return NaN;
  return /[pP_]/.test(text) ? 'unsupported character in float' : 'invalid syntax';
}

/** A value as Go prints it (`strconv.FormatFloat(v, 'g', -1, 64)`): `1e+06`, `+Inf`, `NaN`. */
export function formatValue(value: number): string {
  // Fast path: most values are small whole numbers, which both languages print alike.
  if (Number.isInteger(value) && value > -1e6 && value < 1e6) {
    return Object.is(value, -0) ? '-0' : `${value}`;
  }
  if (Number.isNaN(value)) return 'NaN';
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  const size = Math.abs(value);
  // JavaScript prints these without an exponent too, with the same shortest digits.
  if (size >= 1e-4 && size < 1e6) return `${value}`;
  const text = value.toExponential();
  const at = text.indexOf('e');
  const exponent = text.slice(at + 2);
  return `${text.slice(0, at + 2)}${exponent.length < 2 ? '0' : ''}${exponent}`;
}

/**
 * A bucket or quantile bound as OpenMetrics spells it: `1` becomes `1.0`. Prometheus 3 does this to
 * `le` of histograms and `quantile` of summaries, so that both formats give one series.
 * Text that is no number stays.
 */
export function canonicalBound(text: string): string {
  const value = parseFloatText(text);
  if (typeof value === 'string') return text;
  const printed = formatValue(value);
  return /^-?\d+$/.test(printed) ? `${printed}.0` : printed;
}
