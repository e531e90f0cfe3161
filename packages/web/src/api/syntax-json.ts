/**
 * `/api/v1/parse_query`: the syntax tree of a query as Prometheus shows it (web/api/v1/translate_ast.go). Durations
 * in milliseconds; one that is worked out only when the query runs (`step()`) is 0 there as here.
 */
import { formatFloatPlain, parseQuery, typeOf } from '@canopy/promql';
import type { AtModifier, Binary, DurationExpr, Expr, VectorSelector } from '@canopy/promql';

type Json = Readonly<Record<string, unknown>>;

/** @throws CanopyError `bad_data` */
export function syntaxJson(text: string): Json {
  return nodeJson(parseQuery(text));
}

function nodeJson(expr: Expr): Json {
  switch (expr.kind) {
    case 'number':
      return { type: 'numberLiteral', val: formatFloatPlain(expr.value) };
    case 'string':
      return { type: 'stringLiteral', val: expr.value };
    case 'paren':
      return { type: 'parenExpr', expr: nodeJson(expr.expr) };
    case 'unary':
      return { type: 'unaryExpr', op: expr.op, expr: nodeJson(expr.expr) };
    case 'selector':
      return { type: 'vectorSelector', ...selectorJson(expr) };
    case 'matrix':
      return {
        ...{ type: 'matrixSelector', range: milliseconds(expr.range) },
        ...selectorJson(expr.selector),
      };
    case 'subquery':
      return {
        ...{ type: 'subquery', expr: nodeJson(expr.expr), range: milliseconds(expr.range) },
        ...{ offset: milliseconds(expr.offset), step: milliseconds(expr.step) },
        ...atJson(expr.at),
      };
    case 'call': {
      const { name, args, minArgs, maxArgs, returns } = expr.func;
      const variadic = maxArgs < 0 ? -1 : maxArgs - minArgs;
      const func = { name, argTypes: args, variadic, returnType: returns };
      return { type: 'call', func, args: expr.args.map(nodeJson) };
    }
    case 'aggregate': {
      const { op, grouping, without } = expr;
      const param = expr.param === null ? null : nodeJson(expr.param);
      return { type: 'aggregation', op, expr: nodeJson(expr.expr), param, grouping, without };
    }
    case 'binary':
      return {
        ...{ type: 'binaryExpr', op: expr.op, lhs: nodeJson(expr.lhs), rhs: nodeJson(expr.rhs) },
        ...{ matching: matchingJson(expr), bool: expr.returnBool },
      };
  }
}

const SET_OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'unless']);

/** Null where a side is a scalar. */
function matchingJson({ op, lhs, rhs, matching }: Binary): Json | null {
  if (typeOf(lhs) !== 'vector' || typeOf(rhs) !== 'vector') return null;
  const { card, on, labels, include, fillLeft, fillRight } = matching;
  return {
    card: SET_OPERATORS.has(op) ? 'many-to-many' : card,
    ...{ labels, on, include, fillValues: { lhs: fillLeft, rhs: fillRight } },
  };
}

function selectorJson({ name, offset, matchers, at }: VectorSelector): Json {
  const shown = matchers.map((matcher) => ({
    ...{ name: matcher.name, value: matcher.value, type: matcher.op },
  }));
  return { name, offset: milliseconds(offset), matchers: shown, ...atJson(at) };
}

function atJson(at: AtModifier | null): Json {
  const isTime = at?.kind === 'time';
  return { timestamp: isTime ? at.time : null, startOrEnd: at === null || isTime ? null : at.kind };
}

function milliseconds(duration: DurationExpr | null): number {
  switch (duration?.kind) {
    case 'literal':
      return Math.round(duration.seconds * 1000);
    case 'negate':
      return -milliseconds(duration.operand);
    case 'paren':
      return milliseconds(duration.operand);
    default:
      return 0;
  }
}
