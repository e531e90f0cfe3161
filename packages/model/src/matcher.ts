/**
 * Label matchers: `=`, `!=`, `=~`, `!~`. A label that is not there has the value `''`.
 */
import { type Labels, isLegacyLabelName, labelValue } from './labels.js';
import { type AnchoredRegexp, compileRegexp } from './regexp.js';

export type MatchOp = '=' | '!=' | '=~' | '!~';

export interface Matcher {
  readonly name: string;
  readonly op: MatchOp;
  readonly value: string;
  /** Whether a label with this value matches; `''` stands for a label that is not there. */
  matches(value: string): boolean;
}

/** @throws CanopyError `bad_data` for an expression RE2 refuses. */
export function makeMatcher(name: string, op: MatchOp, value: string): Matcher {
  if (op === '=') return { name, op, value, matches: (text) => text === value };
  if (op === '!=') return { name, op, value, matches: (text) => text !== value };
  const regexp: AnchoredRegexp = compileRegexp(value);
  const matches =
    op === '=~' ? (text: string) => regexp.test(text) : (text: string) => !regexp.test(text);
  return { name, op, value, matches };
}

export function matchesAll(matchers: readonly Matcher[], labels: Labels): boolean {
  for (const matcher of matchers) {
    if (!matcher.matches(labelValue(labels, matcher.name))) return false;
  }
  return true;
}

export function formatMatchers(matchers: readonly Matcher[]): string {
  const name = (text: string) => (isLegacyLabelName(text) ? text : JSON.stringify(text));
  return `{${matchers.map((m) => `${name(m.name)}${m.op}${JSON.stringify(m.value)}`).join(',')}}`;
}
