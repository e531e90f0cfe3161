/** Sorting that lets others run. */
import type { Budget } from './budget.js';

/** Sorted at once; longer lists are merged from such runs. */
const RUN_LENGTH = 2048;
/** Work units of one comparison. */
const COMPARE_WORK = 100;

/** The items in order; equal ones keep theirs. Uses `items` as room to work. */
export async function sortInTurns<T>(
  items: T[],
  compare: (a: T, b: T) => number,
  budget: Budget,
): Promise<T[]> {
  if (items.length <= RUN_LENGTH) return items.sort(compare);
  let from: T[] = [];
  for (let at = 0; at < items.length; at += RUN_LENGTH) {
    for (const item of items.slice(at, at + RUN_LENGTH).sort(compare)) from.push(item);
    if (budget.due(RUN_LENGTH * COMPARE_WORK * 10)) await budget.pause();
  }
  let to = items;
  for (let width = RUN_LENGTH; width < items.length; width *= 2) {
    for (let start = 0; start < from.length; start += 2 * width) {
      await merge(from, to, start, width, compare, budget);
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Merges `from[start, start + width)` and the run after it into the same place of `to`. */
async function merge<T>(
  from: readonly T[],
  to: T[],
  start: number,
  width: number,
  compare: (a: T, b: T) => number,
  budget: Budget,
): Promise<void> {
  const middle = Math.min(start + width, from.length);
  const end = Math.min(start + 2 * width, from.length);
  // Fast path: runs that are in order already, as results of selectors are.
  if (middle === end || compare(from[middle - 1], from[middle]) <= 0) {
    for (let at = start; at < end; at++) to[at] = from[at];
    if (budget.due(end - start)) await budget.pause();
    return;
  }
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takesLeft = right >= end || (left < middle && compare(from[left], from[right]) <= 0);
    to[at] = takesLeft ? from[left++] : from[right++];
    if (budget.due(COMPARE_WORK)) await budget.pause();
  }
}
