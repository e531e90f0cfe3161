import { CanopyError, type Matcher } from '@canopy/model';
import type { Expr } from './ast.js';

/**
 * @throws CanopyError `bad_data` with `line:col: parse error: …`.
 */
export function parseQuery(_text: string): Expr {
  throw new CanopyError('unavailable', 'not there yet');
}

/**
 * Reads an instant vector selector, as in `match[]`.
 * @throws CanopyError `bad_data`, also where no matcher refuses the empty string.
 */
export function parseSelector(_text: string): Matcher[] {
  throw new CanopyError('unavailable', 'not there yet');
}
