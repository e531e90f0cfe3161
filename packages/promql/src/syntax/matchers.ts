/** Selectors and lists of labels. */
import { CanopyError, METRIC_NAME, type MatchOp, type Matcher, makeMatcher } from '@canopy/model';
import type { VectorSelector } from './ast.js';
import type { Reading } from './reading.js';
import { quote } from './strings.js';

/** The selector whose node this is; leaves all of it. */
export function readVectorSelector(reading: Reading): VectorSelector {
  const { from: start, to: end } = reading;
  reading.next();
  let name = '';
  if (reading.name === 'Identifier') {
    name = reading.written;
    reading.next();
  }
  const matchers = reading.from < end ? readMatchers(reading) : [];
  if (name !== '') {
    const twice = matchers.find((matcher) => matcher.name === METRIC_NAME);
    if (twice !== undefined) failTwice(reading, start, name, twice.value);
    matchers.push(makeMatcher(METRIC_NAME, '=', name));
  } else {
    const own = matchers.find((matcher) => matcher.name === METRIC_NAME && matcher.op === '=');
    name = own?.value ?? '';
  }
  return { kind: 'selector', name, matchers, extension: null, offset: null, at: null, start, end };
}

function failTwice(reading: Reading, start: number, first: string, second: string): never {
  reading.fail(start, `metric name must not be set twice: ${quote(first)} or ${quote(second)}`);
}

function readMatchers(reading: Reading): Matcher[] {
  const { to } = reading;
  const matchers: Matcher[] = [];
  let named: Matcher | undefined;
  reading.next();
  while (reading.from < to) {
    const { from } = reading;
    const isName = reading.name === 'QuotedLabelName';
    const matcher = isName ? readQuotedName(reading) : readMatcher(reading);
    if (isName && named !== undefined) failTwice(reading, from, named.value, matcher.value);
    if (matcher.name === METRIC_NAME) named ??= matcher;
    matchers.push(matcher);
  }
  return matchers;
}

/** `{"http.requests"}`. */
function readQuotedName(reading: Reading): Matcher {
  reading.next();
  return makeMatcher(METRIC_NAME, '=', reading.string());
}

function readMatcher(reading: Reading): Matcher {
  const start = reading.from;
  reading.next();
  const name = readLabel(reading);
  const op = reading.written as MatchOp;
  reading.skip();
  const value = reading.string();
  try {
    return makeMatcher(name, op, value);
  } catch (error) {
    if (error instanceof CanopyError) reading.fail(start, error.message);
    throw error;
  }
}

/** A label's name, with or without quotes, as it is written. */
function readLabel(reading: Reading): string {
  if (reading.name === 'QuotedLabelName') {
    reading.next();
    return reading.string();
  }
  const { written } = reading;
  reading.skip();
  return written;
}

/** The labels in parentheses whose node this is; leaves all of it. */
export function readGroupingLabels(reading: Reading): string[] {
  const { to } = reading;
  const labels: string[] = [];
  reading.next();
  while (reading.from < to) {
    // Numbers are tokens of their own for Prometheus, and no labels.
    const isNumber = reading.name === 'LabelName' && /^(?:inf|nan)$/i.test(reading.written);
    if (isNumber) {
      const number = JSON.stringify(reading.written.toLowerCase());
      reading.fail(reading.from, `unexpected number ${number} in grouping opts, expected label`);
    }
    labels.push(readLabel(reading));
  }
  return labels;
}
