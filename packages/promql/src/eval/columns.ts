/**
 * What expressions are worked out to: all series at all steps at once, as two columns. Row `i`
 * stands in entries `[i * steps, (i + 1) * steps)`. An instant query is one step.
 */
import type { Labels } from '@canopy/model';

export interface Columns {
  readonly steps: number;
  /** One for each row; for rows without any presence too. */
  labels: Labels[];
  values: Float64Array;
  /**
   * 1 where there is a value (NaN is one), 0 where there is none. Same bytes as SampleState's
   * first two.
   */
  present: Uint8Array;
  /** Samples counted against the query's limit. */
  held: number;
}

export function emptyColumns(steps: number): Columns {
  return { steps, labels: [], values: new Float64Array(0), present: new Uint8Array(0), held: 0 };
}

export function rowIsEmpty(columns: Columns, row: number): boolean {
  const { present, steps } = columns;
  const end = (row + 1) * steps;
  for (let i = row * steps; i < end; i++) if (present[i] !== 0) return false;
  return true;
}

/** Moves row `from` to row `to` (of the same columns). */
export function moveRow(columns: Columns, from: number, to: number): void {
  if (from === to) return;
  const { steps, values, present, labels } = columns;
  values.copyWithin(to * steps, from * steps, (from + 1) * steps);
  present.copyWithin(to * steps, from * steps, (from + 1) * steps);
  labels[to] = labels[from];
}

/** Keeps the first `rows` rows. */
export function truncateRows(columns: Columns, rows: number): void {
  if (columns.labels.length === rows) return;
  columns.labels.length = rows;
  columns.values = columns.values.subarray(0, rows * columns.steps);
  columns.present = columns.present.subarray(0, rows * columns.steps);
}

/** Drops rows that have no value at any step; the others keep their order. */
export function dropEmptyRows(columns: Columns): Columns {
  let kept = 0;
  for (let row = 0; row < columns.labels.length; row++) {
    if (rowIsEmpty(columns, row)) continue;
    moveRow(columns, row, kept++);
  }
  truncateRows(columns, kept);
  return columns;
}

/** Fast path: bytes of 0 and 1, four at a time (× 5 for 3 M); 255 of them cannot carry over. */
export function countPresent(present: Uint8Array): number {
  let count = 0;
  let i = 0;
  for (; i < present.length && ((present.byteOffset + i) & 3) !== 0; i++) count += present[i];
  const wordCount = (present.length - i) >> 2;
  // None: where the entries end before a multiple of four, a view may not start.
  const words =
    wordCount > 0
      ? new Uint32Array(present.buffer, present.byteOffset + i, wordCount)
      : new Uint32Array(0);
  for (let from = 0; from < words.length; from += 255) {
    const to = Math.min(words.length, from + 255);
    let lanes = 0;
    for (let w = from; w < to; w++) lanes += words[w];
    count += (lanes & 255) + ((lanes >>> 8) & 255) + ((lanes >>> 16) & 255) + (lanes >>> 24);
  }
  for (i += words.length * 4; i < present.length; i++) count += present[i];
  return count;
}

/** 1 at each step where any row has a value. */
export function stepsWithAny(columns: Columns): Uint8Array {
  const { steps, present } = columns;
  const any = new Uint8Array(steps);
  for (let at = 0, k = 0; at < present.length; at++) {
    any[k] |= present[at];
    if (++k === steps) k = 0;
  }
  return any;
}
