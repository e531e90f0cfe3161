/** The notation of series in test scripts: `metric{label="value"} 1+2x3 _ stale`. */
import { type Labels, labelsOf, parseDuration } from '@canopy/model';
import { parseSelectorMatchers } from '../syntax/parser.js';

export type SequenceValue =
  | { readonly kind: 'value'; readonly value: number }
  | { readonly kind: 'none' | 'stale' }
  /** A native histogram, which is not supported; kept so that expectations of it fail. */
  | { readonly kind: 'histogram'; readonly text: string };

export interface SeriesLine {
  readonly labels: Labels;
  readonly values: readonly SequenceValue[];
}

/** Throws an Error with the reason for a line that is none. */
export function parseSeriesLine(line: string): SeriesLine {
  const end = endOfMetric(line);
  const matchers = parseSelectorMatchers(line.slice(0, end));
  const labels = labelsOf(matchers.map(({ name, value }) => [name, value] as const));
  return { labels, values: parseSequence(line.slice(end)) };
}

function endOfMetric(line: string): number {
  const brace = line.indexOf('{');
  const blank = line.search(/\s/);
  if (brace < 0 || (blank >= 0 && blank < brace)) return blank < 0 ? line.length : blank;
  let quote = '';
  for (let i = brace; i < line.length; i++) {
    const char = line[i];
    if (quote !== '') {
      if (char === '\\' && quote !== '`') i++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'" || char === '`') quote = char;
    else if (char === '}') return i + 1;
  }
  throw new Error(`unclosed brace in series: ${line}`);
}

const NUMBER = '(?:[iI]nf|[nN]a[nN]|(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?)';
const RUN = new RegExp(`^([+-]?${NUMBER})(?:([+-]${NUMBER})?x(\\d+))?$`);

function parseSequence(text: string): SequenceValue[] {
  const values: SequenceValue[] = [];
  for (const item of text.match(/\{\{.*?\}\}[^\s{]*(?:\{\{.*?\}\}[^\s{]*)?|\S+/g) ?? []) {
    values.push(...parseItem(item));
  }
  return values;
}

function parseItem(item: string): SequenceValue[] {
  const repeats = /x(\d+)$/.exec(item);
  const count = repeats === null ? 0 : Number(repeats[1]);
  if (item.startsWith('{{')) {
    return repeated(count + 1, { kind: 'histogram', text: item });
  }
  if (/^_(?:x\d+)?$/.test(item)) {
    return repeated(repeats === null ? 1 : count, { kind: 'none' });
  }
  if (/^stale(?:x\d+)?$/.test(item)) {
    return repeated(count + 1, { kind: 'stale' });
  }
  const run = RUN.exec(item);
  if (run === null) throw new Error(`not a value: ${item}`);
  const values: SequenceValue[] = [];
  let value = toNumber(run[1]);
  const difference = run[2] === undefined ? 0 : toNumber(run[2]);
  for (let i = 0; i <= count; i++) {
    values.push({ kind: 'value', value });
    value += difference;
  }
  return values;
}

function repeated(count: number, value: SequenceValue): SequenceValue[] {
  return Array.from({ length: count }, () => value);
}

const DURATION = '[+-]?(?:0|(?:\\d+(?:ms|[smhdwy]))+)';
const AGES = new RegExp(`^(${DURATION})(?:(${DURATION})?x(\\d+))?$`);

/**
 * `metric{…}@st -30s-1mx2`: start times of the series line below, relative to its samples. Undefined
 * for a line that is none.
 */
export function parseStartsLine(line: string): Array<number | undefined> | undefined {
  const end = endOfMetric(line.replace('@st', ''));
  const marker = line.slice(0, end + 3);
  if (!marker.endsWith('@st')) return undefined;
  return line
    .slice(marker.length)
    .trim()
    .split(/\s+/)
    .flatMap((item) => {
      const gap = /^_(?:x(\d+))?$/.exec(item);
      if (gap !== null) return Array.from({ length: Number(gap[1] ?? 1) }, () => undefined);
      const run = AGES.exec(item);
      if (run === null) throw new Error(`not a start time: ${item}`);
      const [, first, difference = '+0s', repeats = '0'] = run;
      const each = signedDuration(difference);
      return Array.from(
        { length: Number(repeats) + 1 },
        (_none, i) => signedDuration(first) + i * each,
      );
    });
}

const signedDuration = (text: string): number =>
  parseDuration(text.replace(/^[+-]/, '')) * (text.startsWith('-') ? -1 : 1);

/** As Go reads it. */
export function toNumber(text: string): number {
  const plain = text.replace(/^\+/, '').toLowerCase();
  if (plain === 'inf') return Number.POSITIVE_INFINITY;
  if (plain === '-inf') return Number.NEGATIVE_INFINITY;
  return plain.endsWith('nan') ? Number.NaN : Number(plain);
}

/** A time or step of a script: a duration, or seconds. */
export function parseTime(text: string): number {
  return /^-?[0-9.]+$/.test(text) ? Number(text) * 1000 : parseDuration(text);
}
