/**
 * Label sets. One flat array of names and values, sorted by name, no name twice, no empty value
 * (Prometheus: a label with an empty value is the same as no label).
 */

/** `[name, value, name, value, …]`, sorted by name in UTF-8 order. Never changed once made. */
export type Labels = readonly string[];

export const METRIC_NAME = '__name__';
export const NO_LABELS: Labels = Object.freeze([]);

/** Order of UTF-8 bytes, which is the order of code points; `<` on strings compares UTF-16 units. */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // Surrogates stand for code points above every other unit.
      const highX = x >= 0xd800 && x <= 0xdfff;
      const highY = y >= 0xd800 && y <= 0xdfff;
      if (highX !== highY) return highX ? 1 : -1;
      return x < y ? -1 : 1;
    }
  }
  return a.length - b.length;
}

/** Makes a label set of name and value pairs in any order; empty values are left out, the last of a doubled name wins. */
export function labelsOf(pairs: Iterable<readonly [name: string, value: string]>): Labels {
  const byName = new Map<string, string>();
  for (const [name, value] of pairs) byName.set(name, value);
  const names = [...byName.keys()].filter((name) => byName.get(name) !== '').sort(compareUtf8);
  const flat: string[] = [];
  for (const name of names) flat.push(name, byName.get(name)!);
  return flat;
}

export function labelsFromObject(object: Readonly<Record<string, string>>): Labels {
  return labelsOf(Object.entries(object));
}

export function labelsToObject(labels: Labels): Record<string, string> {
  const object: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let i = 0; i < labels.length; i += 2) object[labels[i]] = labels[i + 1];
  return object;
}

/** The value of a label, or `''` where it is not there. */
export function labelValue(labels: Labels, name: string): string {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1];
  return '';
}

/** A string equal for equal label sets only: the identity of a series. */
export function labelsKey(labels: Labels): string {
  // U+0000 cannot be in a name; values may hold it, so lengths are part of the key.
  let key = '';
  for (let i = 0; i < labels.length; i += 2) {
    key += `${labels[i]}\u0000${labels[i + 1].length}:${labels[i + 1]}`;
  }
  return key;
}

/** Prometheus's order of label sets: name by name, then value, then the shorter first. */
export function compareLabels(a: Labels, b: Labels): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = compareUtf8(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

const LEGACY_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LEGACY_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export const isLegacyMetricName = (name: string): boolean => LEGACY_NAME.test(name);
export const isLegacyLabelName = (name: string): boolean => LEGACY_LABEL.test(name);

/** `name{a="b"}`, as Prometheus prints a series; names outside the old alphabet in quotes. */
export function formatLabels(labels: Labels): string {
  const name = labelValue(labels, METRIC_NAME);
  const parts: string[] = [];
  const plainName = name === '' || isLegacyMetricName(name);
  if (!plainName) parts.push(JSON.stringify(name));
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] === METRIC_NAME) continue;
    const label = isLegacyLabelName(labels[i]) ? labels[i] : JSON.stringify(labels[i]);
    parts.push(`${label}=${JSON.stringify(labels[i + 1])}`);
  }
  if (parts.length === 0 && name !== '') return name;
  return `${plainName ? name : ''}{${parts.join(', ')}}`;
}
