/** Queries with `@ time` put on every selector: at any time of evaluation they give the same. */
import type { AtModifier, Expr, Shift } from '../syntax/ast.js';
import { printExpr } from '../syntax/format.js';
import { parseQuery } from '../syntax/parse.js';

/**
 * The query fixed to `time` (ms), null where a function asks for the time of evaluation itself.
 * Selectors within subqueries keep their own times; the subquery is fixed.
 */
export function fixedTo(query: string, time: number): string | null {
  const at: AtModifier = { kind: 'time', time };
  let usesTime = false;
  const fixed = <T extends Shift>(node: T): T => (node.at === null ? { ...node, at } : node);
  const visit = (node: Expr): Expr => {
    switch (node.kind) {
      case 'number':
      case 'string':
        return node;
      case 'selector':
        return fixed(node);
      case 'matrix':
        return { ...node, selector: fixed(node.selector) };
      case 'subquery':
        look(node.expr);
        return fixed(node);
      case 'call':
        usesTime ||= node.func.usesTime;
        // The second argument of info() is no selector: its times are those of the first.
        return {
          ...node,
          args: node.args.map((arg, i) => (node.func.name === 'info' && i > 0 ? arg : visit(arg))),
        };
      case 'aggregate':
        return {
          ...node,
          expr: visit(node.expr),
          param: node.param === null ? null : visit(node.param),
        };
      case 'binary':
        return { ...node, lhs: visit(node.lhs), rhs: visit(node.rhs) };
      case 'unary':
      case 'paren':
        return { ...node, expr: visit(node.expr) };
    }
  };
  // Within a subquery nothing is changed, but functions of time count there too.
  const look = (node: Expr): void => void visit(node);
  const result = visit(parseQuery(query));
  return usesTime ? null : printExpr(result);
}

/** Times of evaluation (ms) at which a query fixed to `time` is tried. */
export function otherTimes(time: number): number[] {
  return time === 0 ? [-1000, 1000] : [-10 * time, 0, Math.floor(time / 5), 10 * time];
}
