/**
 * `canopy check metrics` on standard input: what cannot be parsed, and what the naming conventions
 * say, with promtool's texts and exit codes.
 */
import { CanopyError, compareUtf8 } from '@canopy/model';
import { type TextFamily, readMetricsText } from './metrics-text.js';

/** @returns 0: nothing to say, 1: not the text format, 3: against the conventions. */
export function checkMetrics(body: Uint8Array, print: (line: string) => void): number {
  let families: TextFamily[];
  try {
    families = [...readMetricsText(body).values()];
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    print(`error while linting: ${error.message}`);
    return 1;
  }
  families.sort((a, b) => compareUtf8(a.name, b.name));
  let problems = 0;
  for (const family of families) {
    for (const problem of [...new Set(lint(family))].sort(compareUtf8)) {
      print(`${family.name} ${problem}`);
      problems++;
    }
  }
  return problems === 0 ? 0 : 3;
}

const TYPES = ['counter', 'gauge', 'summary', 'histogram'];
const CAMEL_CASE = /[a-z][A-Z]/;
const ABBREVIATIONS = 's ms us ns sec b kb mb gb tb pb m h d'.split(' ');

/** Conventions of prometheus.io/docs/practices/naming, as client_golang's promlint words them. */
function* lint(family: TextFamily): Generator<string> {
  const { name, type = 'untyped', labelNames } = family;
  const has = (word: string): boolean => name.includes(`_${word}_`) || name.endsWith(`_${word}`);
  if (family.help === undefined) yield 'no help text';
  const unit = foreignUnit(name);
  if (unit !== undefined) yield `use base unit "${unit.base}" instead of "${unit.unit}"`;
  if (type === 'counter' && !name.endsWith('_total')) {
    yield 'counter metrics should have "_total" suffix';
  }
  if (type !== 'untyped') {
    if (type !== 'counter' && name.endsWith('_total')) {
      yield 'non-counter metrics should not have "_total" suffix';
    }
    yield* lintReserved(name, type, labelNames);
  }
  for (const word of TYPES) {
    if (has(word)) yield `metric name should not include type '${word}'`;
  }
  if (name.includes(':')) yield "metric names should not contain ':'";
  if (CAMEL_CASE.test(name)) {
    yield "metric names should be written in 'snake_case' not 'camelCase'";
  }
  if ([...labelNames].some((label) => CAMEL_CASE.test(label))) {
    yield "label names should be written in 'snake_case' not 'camelCase'";
  }
  if (ABBREVIATIONS.some(has)) yield 'metric names should not contain abbreviated units';
}

function* lintReserved(
  name: string,
  type: string,
  labelNames: ReadonlySet<string>,
): Generator<string> {
  const isHistogram = type === 'histogram';
  const isSummary = type === 'summary';
  if (!isHistogram && name.endsWith('_bucket')) {
    yield 'non-histogram metrics should not have "_bucket" suffix';
  }
  for (const suffix of ['_count', '_sum']) {
    if (!isHistogram && !isSummary && name.endsWith(suffix)) {
      yield `non-histogram and non-summary metrics should not have "${suffix}" suffix`;
    }
  }
  if (!isHistogram && labelNames.has('le')) {
    yield 'non-histogram metrics should not have "le" label';
  }
  if (!isSummary && labelNames.has('quantile')) {
    yield 'non-summary metrics should not have "quantile" label';
  }
}

const UNITS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    'amperes bytes celsius grams joules kelvin meters metres moles seconds volts'
      .split(' ')
      .map((unit) => [unit, unit]),
  ),
  ...{ minutes: 'seconds', hours: 'seconds', days: 'seconds', weeks: 'seconds' },
  ...{ kelvins: 'kelvin', fahrenheit: 'celsius', rankine: 'celsius' },
  ...{ inches: 'meters', yards: 'meters', miles: 'meters' },
  ...{ bits: 'bytes', calories: 'joules', pounds: 'grams', ounces: 'grams' },
};
const PREFIXES =
  /^(?:pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mibi|giga|gibi|tera|tebi|peta|pebi)/;

/** A part of a name that is a unit, but no base unit. */
function foreignUnit(name: string): { unit: string; base: string } | undefined {
  for (const unit of name.split('_')) {
    const base = UNITS[unit] ?? UNITS[unit.replace(PREFIXES, '')];
    if (base !== undefined && base !== unit) return { unit, base };
  }
  return undefined;
}
