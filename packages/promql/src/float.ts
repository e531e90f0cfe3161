/** Numbers as text, the ways Go prints them. */

/**
 * A sample's value in vectors and matrices of Prometheus's JSON: shortest form that reads back the
 * same, exponent below 1e-6 and from 1e21 on (`1e-07`), `NaN`, `+Inf`, `-Inf`, `-0`.
 */
export function formatFloat(value: number): string {
  // Fast path: most samples are small whole numbers.
  if (Number.isInteger(value) && value !== 0 && Math.abs(value) < 1e15) return String(value);
  const special = formatSpecial(value);
  if (special !== null) return special;
  const text = String(value);
  // Both switch to exponents at the same places; Go writes at least two digits of them.
  return text.includes('e') ? text.replace(/e([+-])(\d)$/, 'e$10$2') : text;
}

/** The same without exponents: the value of a scalar, the labels of `count_values`. */
export function formatFloatPlain(value: number): string {
  const special = formatSpecial(value);
  if (special !== null) return special;
  const text = String(value);
  const at = text.indexOf('e');
  if (at < 0) return text;
  const exponent = Number(text.slice(at + 1));
  const sign = text.startsWith('-') ? '-' : '';
  const [whole, fraction = ''] = text.slice(sign.length, at).split('.');
  const digits = whole + fraction;
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  return sign + digits + '0'.repeat(exponent - fraction.length);
}

/** Go's `%g`: exponent below 1e-4 and from 1e6 on. */
export function formatFloatG(value: number): string {
  const special = formatSpecial(value);
  if (special !== null) return special;
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e6)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return String(value);
}

function formatSpecial(value: number): string | null {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  return null;
}

/** Milliseconds as seconds with three decimals where they are needed: `1.5` → 1500 → `1.500`. */
export function formatSeconds(ms: number): string {
  const fraction = Math.abs(ms % 1000);
  if (fraction === 0) return String(ms / 1000);
  const sign = ms < 0 ? '-' : '';
  return `${sign}${Math.floor(Math.abs(ms) / 1000)}.${String(fraction).padStart(3, '0')}`;
}
