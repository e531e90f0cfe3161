/**
 * Trees to text, as Prometheus prints them (promql/parser/printer.go, prettier.go): on one line
 * where
 * that is short enough, otherwise an operand a line, indented.
 */
import {
  METRIC_NAME,
  asDuration,
  formatDuration,
  isLegacyLabelName,
  isLegacyMetricName,
} from '@canopy/model';
import { formatFloatG } from '../float.js';
import type { Aggregate, Binary, Call, DurationExpr, Expr, Shift, VectorSelector } from './ast.js';
import { parseQuery } from './parse.js';
import { quote } from './strings.js';

/** Longer expressions are split. */
const LINE_LENGTH_MAX = 100;

/**
 * @throws CanopyError `bad_data` for a text that is no query.
 */
export function formatQuery(query: string | Expr): string {
  return pretty(typeof query === 'string' ? parseQuery(query) : query, 0);
}

/** On one line. */
export function printExpr(node: Expr): string {
  switch (node.kind) {
    case 'number':
      return printNumber(node.value, node.text);
    case 'string':
      return quote(node.value);
    case 'selector':
      return printSelector(node) + printExtension(node) + printShift(node);
    case 'matrix': {
      const { selector } = node;
      const range = `[${printDuration(node.range)}]`;
      return printSelector(selector) + range + printExtension(selector) + printShift(selector);
    }
    case 'subquery': {
      const step = node.step === null ? '' : printDuration(node.step);
      return `${printExpr(node.expr)}[${printDuration(node.range)}:${step}]${printShift(node)}`;
    }
    case 'call':
      return `${node.func.name}(${node.args.map((_arg, i) => printArgument(node, i)).join(', ')})`;
    case 'aggregate': {
      const param = node.param === null ? '' : `${printExpr(node.param)}, `;
      return `${printAggregateHead(node)}(${param}${printExpr(node.expr)})`;
    }
    case 'binary':
      return `${printExpr(node.lhs)} ${printOperator(node)} ${printExpr(node.rhs)}`;
    case 'unary':
      return node.op + printExpr(node.expr);
    case 'paren':
      return `(${printExpr(node.expr)})`;
  }
}

/** The second argument of info() has its name, where it has one, within the braces. */
function printArgument({ func, args }: Call, i: number): string {
  const arg = args[i];
  if (func.name !== 'info' || i === 0 || arg.kind !== 'selector') return printExpr(arg);
  const matchers = arg.matchers.map(({ name, op, value }) => printLabel(name) + op + quote(value));
  return `{${matchers.join(',')}}${printShift(arg)}`;
}

function printNumber(value: number, text: string): string {
  // A duration stays one: `5m` says more than 300.
  if (/^-?[0-9]+(?:ms|[smhdwy])/.test(text)) {
    const duration = formatDuration(asDuration(Math.round(Math.abs(value) * 1000)));
    return value < 0 ? `-${duration}` : duration;
  }
  return formatFloatG(value);
}

const printLabel = (name: string): string => (isLegacyLabelName(name) ? name : quote(name));

/** Words that are no name where they stand bare: numbers, and keywords that the grammar reserves. */
const RESERVED = /^(?:inf|nan|bool|on|ignoring|group_left|group_right|atan2)$/i;

function printSelector({ name, matchers }: VectorSelector): string {
  // A name before the braces allows no other matcher on it within them: several are spelled out.
  const named = matchers.filter((matcher) => matcher.name === METRIC_NAME);
  const isOnly = named.length === 1 && named[0].op === '=' && named[0].value === name;
  const isShort = isOnly && name !== '' && !RESERVED.test(name);
  const isBare = isShort && isLegacyMetricName(name);
  const parts = isShort && !isBare ? [quote(name)] : [];
  for (const matcher of matchers) {
    if (isShort && matcher.name === METRIC_NAME) continue;
    parts.push(printLabel(matcher.name) + matcher.op + quote(matcher.value));
  }
  if (isBare) return parts.length === 0 ? name : `${name}{${parts.join(',')}}`;
  return `{${parts.join(',')}}`;
}

const printExtension = ({ extension }: VectorSelector): string =>
  extension === null ? '' : ` ${extension}`;

function printShift({ at, offset }: Shift): string {
  let text = '';
  if (at !== null)
    text += at.kind === 'time' ? ` @ ${(at.time / 1000).toFixed(3)}` : ` @ ${at.kind}()`;
  if (offset !== null) text += ` offset ${printDuration(offset)}`;
  return text;
}

function printDuration(node: DurationExpr, within = false): string {
  switch (node.kind) {
    case 'literal':
      // Within an expression `2` may be a factor; alone it is seconds.
      return within && !/[a-z]$/.test(node.text)
        ? formatFloatG(node.seconds)
        : formatDuration(asDuration(Math.round(node.seconds * 1000)));
    case 'step':
    case 'range':
      return `${node.kind}()`;
    case 'negate':
      return `-${printDuration(node.operand, within)}`;
    case 'paren':
      return `(${printDuration(node.operand, true)})`;
    case 'binary': {
      const left = printDuration(node.lhs, true);
      const right = printDuration(node.rhs, true);
      const isCall = node.op === 'min_of' || node.op === 'max_of';
      return isCall ? `${node.op}(${left}, ${right})` : `${left} ${node.op} ${right}`;
    }
  }
}

function printAggregateHead(node: Aggregate): string {
  const names = node.grouping.map(printLabel).join(', ');
  if (node.without) return `${node.op} without (${names}) `;
  return node.grouping.length > 0 ? `${node.op} by (${names}) ` : node.op;
}

function printOperator(node: Binary): string {
  const { matching } = node;
  const names = (labels: readonly string[]): string => labels.map(printLabel).join(', ');
  let text: string = node.op;
  if (node.returnBool) text += ' bool';
  if (matching.labels.length > 0 || matching.on) {
    text += ` ${matching.on ? 'on' : 'ignoring'} (${names(matching.labels)})`;
  } else if (matching.card !== 'one-to-one') text += ' ignoring ()';
  if (matching.card !== 'one-to-one') {
    const side = matching.card === 'many-to-one' ? 'group_left' : 'group_right';
    text += ` ${side} (${names(matching.include)})`;
  }
  const { fillLeft, fillRight } = matching;
  if (fillLeft !== null && fillLeft === fillRight)
    return `${text} fill (${formatFloatG(fillLeft)})`;
  if (fillLeft !== null) text += ` fill_left (${formatFloatG(fillLeft)})`;
  if (fillRight !== null) text += ` fill_right (${formatFloatG(fillRight)})`;
  return text;
}

const indent = (level: number): string => '  '.repeat(level);

function pretty(node: Expr, level: number): string {
  const line = printExpr(node);
  if (line.length <= LINE_LENGTH_MAX) return indent(level) + line;
  switch (node.kind) {
    case 'aggregate': {
      const param = node.param === null ? '' : `${pretty(node.param, level + 1)},\n`;
      const body = `${param}${pretty(node.expr, level + 1)}`;
      return `${indent(level)}${printAggregateHead(node)}(\n${body}\n${indent(level)})`;
    }
    case 'binary': {
      const left = pretty(node.lhs, level + 1);
      const right = pretty(node.rhs, level + 1);
      return `${left}\n${indent(level)}${printOperator(node)}\n${right}`;
    }
    case 'call': {
      if (node.args.length === 0) return indent(level) + line;
      const args = node.args
        .map((arg, i) =>
          arg.kind === 'selector'
            ? indent(level + 1) + printArgument(node, i)
            : pretty(arg, level + 1),
        )
        .join(',\n');
      return `${indent(level)}${node.func.name}(\n${args}\n${indent(level)})`;
    }
    case 'paren':
      return `${indent(level)}(\n${pretty(node.expr, level + 1)}\n${indent(level)})`;
    case 'subquery': {
      const step = node.step === null ? '' : printDuration(node.step);
      return `${pretty(node.expr, level)}[${printDuration(node.range)}:${step}]${printShift(node)}`;
    }
    case 'unary':
      return `${indent(level)}${node.op}${pretty(node.expr, level).trimStart()}`;
    default:
      return indent(level) + line;
  }
}
