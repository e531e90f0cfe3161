/**
 * Names outside the old alphabet, written within it: the schemes of prometheus/common (model/metric.go), which
 * a client asks for with `escaping=` in its Accept header.
 */
import { isLegacyMetricName } from '@canopy/model';

/** `allow-utf-8` leaves names as they are. */
export const ESCAPING_SCHEMES = ['allow-utf-8', 'underscores', 'dots', 'values'] as const;
export type EscapingScheme = (typeof ESCAPING_SCHEMES)[number];

const LEGACY_CHAR = /[a-zA-Z0-9_:]/;

/** A metric's or label's name under a scheme. Names of the old alphabet stay, but under `dots`. */
export function escapeName(name: string, scheme: EscapingScheme): string {
  if (name === '' || scheme === 'allow-utf-8') return name;
  if (scheme !== 'dots' && isLegacyMetricName(name)) return name;
  let escaped = scheme === 'values' ? 'U__' : '';
  let at = 0;
  for (const char of name) {
    const legacy = LEGACY_CHAR.test(char) && !(at === 0 && char >= '0' && char <= '9');
    at += char.length;
    if (scheme === 'underscores') escaped += legacy ? char : '_';
    else if (char === '_') escaped += '__';
    else if (legacy) escaped += char;
    else if (scheme === 'dots') escaped += char === '.' ? '_dot_' : '__';
    else escaped += isLoneSurrogate(char) ? '_FFFD_' : `_${char.codePointAt(0)!.toString(16)}_`;
  }
  return escaped;
}

function isLoneSurrogate(char: string): boolean {
  return char.length === 1 && char >= '\ud800' && char <= '\udfff';
}

/** The name that was escaped; what cannot be turned back stays as it is. */
export function unescapeName(name: string, scheme: EscapingScheme): string {
  if (scheme === 'dots') return name.replaceAll('_dot_', '.').replaceAll('__', '_');
  if (scheme !== 'values' || !name.startsWith('U__')) return name;
  let valid = true;
  const plain = name.slice(3).replace(/_(_|[0-9a-fA-F]{0,6}_)?/g, (_, code: string | undefined) => {
    if (code === '_') return '_';
    const point = code === undefined ? Number.NaN : Number.parseInt(`0${code.slice(0, -1)}`, 16);
    const surrogate = point >= 0xd800 && point <= 0xdfff;
    if (!(point <= 0x10ffff) || surrogate) valid = false;
    return valid ? String.fromCodePoint(point) : '';
  });
  return valid ? plain : name;
}
