/** What a call of info() reads besides its argument, and when (Prometheus promql/info.go). */
import { METRIC_NAME, type Matcher, makeMatcher } from '@canopy/model';
import { type Grid, type QueryFrame, shiftGrid } from '../eval/grid.js';
import type { Call, Expr, Shift } from '../syntax/ast.js';

/** Which info series are asked for, and which of their labels are taken. */
export interface InfoSelection {
  /** On the names of info metrics; none were given where empty. */
  readonly byName: readonly Matcher[];
  /** On the labels that are taken; all are where empty. */
  readonly byLabel: readonly Matcher[];
  /** What is read. */
  readonly matchers: readonly Matcher[];
}

const DEFAULT_NAME = makeMatcher(METRIC_NAME, '=', 'target_info');

export function infoSelection(node: Call): InfoSelection {
  const [, selector] = node.args;
  if (selector === undefined || selector.kind !== 'selector') {
    return { byName: [DEFAULT_NAME], byLabel: [], matchers: [DEFAULT_NAME] };
  }
  const byName = selector.matchers.filter(({ name }) => name === METRIC_NAME);
  const byLabel = selector.matchers.filter(({ name }) => name !== METRIC_NAME);
  const names = byName.length > 0 ? byName : [DEFAULT_NAME];
  return { byName, byLabel, matchers: [...names, ...byLabel] };
}

/**
 * The times at which info series are looked at: those of the first selector in the argument, with
 * the subqueries around it.
 */
export function infoGrid(node: Call, grid: Grid, frame: QueryFrame): Grid {
  return shiftsToSelector(node.args[0]).reduce((at, shift) => shiftGrid(shift, at, frame), grid);
}

/** Whether info series are looked at at one time only, whatever the step. */
export function isInfoFixed(node: Call): boolean {
  return shiftsToSelector(node.args[0]).some(({ at }) => at !== null);
}

/** Outermost first. */
function shiftsToSelector(expr: Expr): readonly Shift[] {
  return findShifts(expr) ?? [];
}

function findShifts(node: Expr): Shift[] | null {
  switch (node.kind) {
    case 'number':
    case 'string':
      return null;
    case 'selector':
      return [node];
    case 'matrix':
      return [node.selector];
    case 'subquery': {
      const inner = findShifts(node.expr);
      return inner === null ? null : [node, ...inner];
    }
    case 'call':
      return firstShifts(node.args);
    case 'aggregate':
      return firstShifts(node.param === null ? [node.expr] : [node.expr, node.param]);
    case 'binary':
      return firstShifts([node.lhs, node.rhs]);
    case 'unary':
    case 'paren':
      return findShifts(node.expr);
  }
}

function firstShifts(nodes: readonly Expr[]): Shift[] | null {
  for (const node of nodes) {
    const found = findShifts(node);
    if (found !== null) return found;
  }
  return null;
}
