/**
 * Aggregations that pick rows and leave them as they are: topk, bottomk, limitk, limit_ratio.
 */
import { type Labels, labelsKey } from '@canopy/model';
import { type Budget, LABELS_WORK, ROW_WORK } from '../eval/budget.js';
import type { Columns } from '../eval/columns.js';
import { rowsByNumber } from './grouping.js';

/** Row numbers of the picks of one group at one step, best first. */
type Pick = (rows: readonly number[], valueOf: (row: number) => number, k: number) => number[];

/** NaN comes last, whichever way. */
function ranked(sign: 1 | -1): Pick {
  return (rows, valueOf, k) => {
    // Before: does `a` rank before `b`? Equal values keep their order.
    const compare = (a: number, b: number): number => {
      const x = valueOf(a);
      const y = valueOf(b);
      if (Number.isNaN(x)) return Number.isNaN(y) ? 0 : 1;
      if (Number.isNaN(y)) return -1;
      return x === y ? 0 : x > y === (sign === 1) ? -1 : 1;
    };
    if (k >= rows.length) return [...rows].sort(compare);
    return smallest(rows, k, compare);
  };
}

/** The first `k` by `compare`, in order, without sorting the rest: a bounded heap, worst on top. */
function smallest(
  rows: readonly number[],
  k: number,
  compare: (a: number, b: number) => number,
): number[] {
  const heap: number[] = [];
  const worse = (i: number, j: number): boolean => compare(heap[i], heap[j]) > 0;
  const swap = (i: number, j: number): void => {
    const held = heap[i];
    heap[i] = heap[j];
    heap[j] = held;
  };
  for (const row of rows) {
    if (heap.length < k) {
      heap.push(row);
      for (let i = heap.length - 1; i > 0; ) {
        const parent = (i - 1) >> 1;
        if (!worse(i, parent)) break;
        swap(i, parent);
        i = parent;
      }
    } else if (compare(row, heap[0]) < 0) {
      heap[0] = row;
      for (let i = 0; ; ) {
        let worst = i;
        for (const child of [2 * i + 1, 2 * i + 2]) {
          if (child < k && worse(child, worst)) worst = child;
        }
        if (worst === i) break;
        swap(i, worst);
        i = worst;
      }
    }
  }
  return heap.sort(compare);
}

const PICKS: Readonly<Record<string, Pick>> = {
  topk: ranked(1),
  bottomk: ranked(-1),
  limitk: (rows, _valueOf, k) => rows.slice(0, k),
};

/**
 * Clears what is not picked. Returns the order of rows at a single step (best first, group by
 * group), which an instant query keeps.
 */
export async function pickRows(
  op: 'topk' | 'bottomk' | 'limitk',
  input: Columns,
  groupOf: Int32Array,
  groupCount: number,
  ks: Float64Array,
  budget: Budget,
): Promise<number[]> {
  const { steps, values, present } = input;
  const rowsOf = await rowsByNumber(groupOf, groupCount, budget);
  const order: number[] = [];
  const candidates: number[] = [];
  for (const rows of rowsOf) {
    for (let step = 0; step < steps; step++) {
      candidates.length = 0;
      for (const row of rows) if (present[row * steps + step] !== 0) candidates.push(row);
      const k = Math.trunc(ks[step]);
      const picked = k < 1 ? [] : PICKS[op](candidates, (row) => values[row * steps + step], k);
      if (picked.length < candidates.length) {
        for (const row of candidates) present[row * steps + step] = 0;
        for (const row of picked) present[row * steps + step] = 1;
      }
      if (steps === 1) for (const row of picked) order.push(row);
      if (budget.due(ROW_WORK + candidates.length * 50)) await budget.pause();
    }
  }
  return order;
}

/**
 * Keeps the share `ratios[k]` of series, always the same ones; a negative ratio keeps the others.
 */
export async function pickRatio(
  input: Columns,
  ratios: Float64Array,
  budget: Budget,
): Promise<void> {
  const { steps, present, labels } = input;
  for (let row = 0; row < labels.length; row++) {
    const place = placeOf(labels[row]);
    for (let k = 0; k < steps; k++) {
      const ratio = Math.min(1, Math.max(-1, ratios[k]));
      const keep = ratio >= 0 ? place < ratio : place >= 1 + ratio;
      if (!keep) present[row * steps + k] = 0;
    }
    if (budget.due(LABELS_WORK + steps)) await budget.pause();
  }
}

/** A series' fixed place in [0, 1): FNV-1a over its labels, with a final mix. */
function placeOf(labels: Labels): number {
  const key = labelsKey(labels);
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
