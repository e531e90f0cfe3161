/** Text to checked tree: the border of this folder. */
import { CanopyError, type Matcher } from '@canopy/model';
import type { Expr } from './ast.js';
import { checkTypes } from './check.js';
import { parseExpression, parseSelectorMatchers } from './parser.js';

/**
 * The tree of a query whose types fit. Experimental functions are accepted (the engine refuses
 * them where they are not enabled).
 * @throws CanopyError `bad_data` with `line:col: parse error: …`.
 */
export function parseQuery(text: string): Expr {
  const expr = parseExpression(text);
  checkTypes(text, expr);
  return expr;
}

/**
 * Reads an instant vector selector, as in `match[]`.
 * @throws CanopyError `bad_data`, also where no matcher refuses the empty string.
 */
export function parseSelector(text: string): Matcher[] {
  const matchers = parseSelectorMatchers(text);
  if (!matchers.some((matcher) => !matcher.matches(''))) {
    throw new CanopyError('bad_data', 'match[] must contain at least one non-empty matcher');
  }
  return [...matchers];
}
