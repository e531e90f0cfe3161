/**
 * What a query needs, found before anything is read: which series over which time (selectors with
 * the same matchers share one load), and which parts are the same at every step.
 */
import type { Matcher } from '@canopy/model';
import {
  type Grid,
  type QueryFrame,
  gridEnd,
  positiveDurationMs,
  shiftGrid,
  subqueryGrid,
} from '../eval/grid.js';
import type { Expr, VectorSelector } from '../syntax/ast.js';

/** One read of the storage; times inclusive, ms. */
export interface Load {
  readonly matchers: readonly Matcher[];
  minTime: number;
  maxTime: number;
}

export interface Plan {
  readonly expr: Expr;
  readonly frame: QueryFrame;
  readonly loads: readonly Load[];
  /** Index into `loads`. */
  readonly loadOf: ReadonlyMap<VectorSelector, number>;
  /** Expressions that give the same at every step: worked out once. */
  readonly invariant: ReadonlySet<Expr>;
}

export function planQuery(expr: Expr, grid: Grid, frame: QueryFrame): Plan {
  const loads: Load[] = [];
  const loadOf = new Map<VectorSelector, number>();
  const byMatchers = new Map<string, number>();

  const load = (node: VectorSelector, at: Grid, rangeMs: number | null): void => {
    const refs = shiftGrid(node, at, frame);
    // What is around an extended range is looked for as far as an instant selector looks back.
    const isExtended = node.extension !== null && rangeMs !== null;
    const before = (rangeMs ?? frame.lookback) + (isExtended ? frame.lookback : 0);
    const after = node.extension === 'smoothed' ? frame.lookback : 0;
    // The window is open to the left: a sample exactly `before` ago is outside.
    const minTime = refs.start - before + 1;
    const maxTime = gridEnd(refs) + after;
    const key = JSON.stringify(node.matchers.map((m) => [m.name, m.op, m.value]).sort());
    let index = byMatchers.get(key);
    if (index === undefined) {
      index = loads.length;
      byMatchers.set(key, index);
      loads.push({ matchers: node.matchers, minTime, maxTime });
    } else {
      loads[index].minTime = Math.min(loads[index].minTime, minTime);
      loads[index].maxTime = Math.max(loads[index].maxTime, maxTime);
    }
    loadOf.set(node, index);
  };

  const visit = (node: Expr, at: Grid): void => {
    switch (node.kind) {
      case 'number':
      case 'string':
        return;
      case 'selector':
        return load(node, at, null);
      case 'matrix':
        return load(node.selector, at, positiveDurationMs(node.range, frame));
      case 'subquery': {
        const { inner } = subqueryGrid(node, at, frame);
        // Nothing is evaluated where no multiple of the step falls into the window.
        return visit(node.expr, inner.count === 0 ? { ...inner, count: 1 } : inner);
      }
      case 'call':
        for (const arg of node.args) visit(arg, at);
        return;
      case 'aggregate':
        if (node.param !== null) visit(node.param, at);
        return visit(node.expr, at);
      case 'binary':
        visit(node.lhs, at);
        return visit(node.rhs, at);
      case 'unary':
      case 'paren':
        return visit(node.expr, at);
    }
  };
  visit(expr, grid);
  return { expr, frame, loads, loadOf, invariant: findInvariant(expr) };
}

function findInvariant(root: Expr): Set<Expr> {
  const invariant = new Set<Expr>();
  const every = (nodes: readonly Expr[]): boolean => {
    // Every child is visited: an invariant part of a varying whole counts too.
    let all = true;
    for (const node of nodes) all = visit(node) && all;
    return all;
  };
  const visit = (node: Expr): boolean => {
    const is = decide(node);
    if (is) invariant.add(node);
    return is;
  };
  const decide = (node: Expr): boolean => {
    switch (node.kind) {
      case 'number':
      case 'string':
        return true;
      case 'selector':
        return node.at !== null;
      case 'matrix':
        return node.selector.at !== null;
      case 'subquery':
        visit(node.expr);
        return node.at !== null;
      case 'call':
        return every(node.args) && !node.func.usesTime;
      case 'aggregate':
        return every(node.param === null ? [node.expr] : [node.param, node.expr]);
      case 'binary':
        return every([node.lhs, node.rhs]);
      case 'unary':
      case 'paren':
        return visit(node.expr);
    }
  };
  visit(root);
  return invariant;
}
