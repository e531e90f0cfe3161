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
import type { Call, Expr, VectorSelector } from '../syntax/ast.js';
import { infoGrid, infoSelection, isInfoFixed } from './info.js';

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
  readonly loadOf: ReadonlyMap<VectorSelector | Call, number>;
  /** Expressions that give the same at every step: worked out once. */
  readonly invariant: ReadonlySet<Expr>;
}

export function planQuery(expr: Expr, grid: Grid, frame: QueryFrame): Plan {
  const loads: Load[] = [];
  const loadOf = new Map<VectorSelector | Call, number>();
  const byMatchers = new Map<string, number>();

  const load = (
    node: VectorSelector | Call,
    matchers: readonly Matcher[],
    minTime: number,
    maxTime: number,
  ): void => {
    const key = JSON.stringify(matchers.map((m) => [m.name, m.op, m.value]).sort());
    let index = byMatchers.get(key);
    if (index === undefined) {
      index = loads.length;
      byMatchers.set(key, index);
      loads.push({ matchers, minTime, maxTime });
    } else {
      loads[index].minTime = Math.min(loads[index].minTime, minTime);
      loads[index].maxTime = Math.max(loads[index].maxTime, maxTime);
    }
    loadOf.set(node, index);
  };
  const select = (node: VectorSelector, at: Grid, rangeMs: number | null): void => {
    const refs = shiftGrid(node, at, frame);
    // What is around an extended range is looked for as far as an instant selector looks back.
    const isExtended = node.extension !== null && rangeMs !== null;
    const before = (rangeMs ?? frame.lookback) + (isExtended ? frame.lookback : 0);
    const after = node.extension === 'smoothed' ? frame.lookback : 0;
    // The window is open to the left: a sample exactly `before` ago is outside.
    load(node, node.matchers, refs.start - before + 1, gridEnd(refs) + after);
  };
  const info = (node: Call, at: Grid): void => {
    visit(node.args[0], at);
    const refs = infoGrid(node, at, frame);
    load(node, infoSelection(node).matchers, refs.start - frame.lookback + 1, gridEnd(refs));
  };

  const visit = (node: Expr, at: Grid): void => {
    switch (node.kind) {
      case 'number':
      case 'string':
        return;
      case 'selector':
        return select(node, at, null);
      case 'matrix':
        return select(node.selector, at, positiveDurationMs(node.range, frame));
      case 'subquery': {
        const { inner } = subqueryGrid(node, at, frame);
        // Nothing is evaluated where no multiple of the step falls into the window.
        return visit(node.expr, inner.count === 0 ? { ...inner, count: 1 } : inner);
      }
      case 'call':
        if (node.func.name === 'info') return info(node, at);
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
        // What comes from info series is not a part by itself.
        if (node.func.name === 'info') return visit(node.args[0]) && isInfoFixed(node);
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
