/** What a duration expression comes to. */
import { CanopyError } from '@canopy/model';
import type { DurationExpr } from './ast.js';

/** What `step()` and `range()` stand for; seconds. */
export interface DurationContext {
  readonly stepSeconds: number;
  readonly rangeSeconds: number;
}

/** Whether it is the same in every query. */
export function isConstantDuration(expr: DurationExpr): boolean {
  switch (expr.kind) {
    case 'literal':
      return true;
    case 'step':
    case 'range':
      return false;
    case 'negate':
    case 'paren':
      return isConstantDuration(expr.operand);
    case 'binary':
      return isConstantDuration(expr.lhs) && isConstantDuration(expr.rhs);
  }
}

/** @throws CanopyError `bad_data` for a division by zero. */
export function durationSeconds(expr: DurationExpr, context: DurationContext): number {
  switch (expr.kind) {
    case 'literal':
      return expr.seconds;
    case 'step':
      return context.stepSeconds;
    case 'range':
      return context.rangeSeconds;
    case 'negate':
      return -durationSeconds(expr.operand, context);
    case 'paren':
      return durationSeconds(expr.operand, context);
    case 'binary': {
      const left = durationSeconds(expr.lhs, context);
      const right = durationSeconds(expr.rhs, context);
      return OPERATORS[expr.op](left, right);
    }
  }
}

const OPERATORS: Readonly<Record<string, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / nonZero(right, 'division'),
  '%': (left, right) => left % nonZero(right, 'modulo'),
  '^': (left, right) => left ** right,
  min_of: Math.min,
  max_of: Math.max,
};

function nonZero(value: number, what: string): number {
  if (value === 0) throw new CanopyError('bad_data', `${what} by zero`);
  return value;
}

/** The same in milliseconds, fractions of them cut. NaN and what is too large are refused. */
export function durationMilliseconds(expr: DurationExpr, context: DurationContext): number {
  const ms = Math.trunc(Math.round(durationSeconds(expr, context) * 1e9) / 1e6);
  if (!(Math.abs(ms) <= DURATION_MS_MAX)) {
    throw new CanopyError('bad_data', 'duration out of range');
  }
  return ms;
}

/** 2^63 nanoseconds, about 292 years: the most Go's durations hold. */
const DURATION_MS_MAX = 2 ** 63 / 1e6;
