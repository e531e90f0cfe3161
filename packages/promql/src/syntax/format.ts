import type { Expr } from './ast.js';

/** The query on one line or, where long, indented, as `promtool promql format` prints it. */
export function formatQuery(_query: string | Expr): string {
  return '';
}
