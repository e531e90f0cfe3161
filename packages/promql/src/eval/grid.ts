/** The times at which an expression is worked out. */
import type { AtModifier, DurationExpr, Shift, Subquery } from '../syntax/ast.js';
import { durationMilliseconds } from '../syntax/duration-value.js';
import { CanopyError } from '@canopy/model';

/** Evenly spaced times in ms: `start + k * step` for k < `count`; a step of 0 repeats one time. */
export interface Grid {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** What durations and `@` refer to: the query as it was asked. */
export interface QueryFrame {
  readonly start: number;
  readonly end: number;
  /** 0 in an instant query. */
  readonly step: number;
  readonly lookback: number;
  readonly defaultSubqueryStep: number;
}

export const gridEnd = (grid: Grid): number => grid.start + (grid.count - 1) * grid.step;

export function sameGrid(a: Grid, b: Grid): boolean {
  return a.start === b.start && a.step === b.step && a.count === b.count;
}

/** A duration in ms. */
export function durationMs(expr: DurationExpr, frame: QueryFrame): number {
  return durationMilliseconds(expr, {
    stepSeconds: frame.step / 1000,
    rangeSeconds: (frame.end - frame.start) / 1000,
  });
}

/** The range of a selector or the step of a subquery: more than nothing. */
export function positiveDurationMs(expr: DurationExpr, frame: QueryFrame): number {
  const ms = durationMs(expr, frame);
  if (ms <= 0) throw new CanopyError('bad_data', 'duration must be greater than 0');
  return ms;
}

export function atTime(at: AtModifier, frame: QueryFrame): number {
  return at.kind === 'time' ? at.time : at.kind === 'start' ? frame.start : frame.end;
}

/** The times a selector looks at when its expression is worked out at those of `grid`. */
export function shiftGrid(shift: Shift, grid: Grid, frame: QueryFrame): Grid {
  const offset = shift.offset === null ? 0 : durationMs(shift.offset, frame);
  if (shift.at === null) return offset === 0 ? grid : { ...grid, start: grid.start - offset };
  return { start: atTime(shift.at, frame) - offset, step: 0, count: grid.count };
}

/** The times a subquery's expression is worked out at: multiples of its step, and their windows. */
export interface SubqueryGrid {
  readonly inner: Grid;
  /** The windows' right ends. */
  readonly refs: Grid;
  readonly rangeMs: number;
}

export function subqueryGrid(node: Subquery, grid: Grid, frame: QueryFrame): SubqueryGrid {
  const rangeMs = positiveDurationMs(node.range, frame);
  const step =
    node.step === null ? frame.defaultSubqueryStep : positiveDurationMs(node.step, frame);
  const refs = shiftGrid(node, grid, frame);
  const before = refs.start - rangeMs;
  // The window is open to the left: a multiple that falls on its start is outside.
  const start = Math.floor(before / step) * step + step;
  const count = Math.max(0, Math.floor((gridEnd(refs) - start) / step) + 1);
  return { inner: { start, step, count }, refs, rangeMs };
}
