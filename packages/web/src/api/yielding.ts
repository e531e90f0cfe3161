/**
 * Work on long lists that lets other work in between.
 */

/** Items handled between two yields; a few milliseconds of comparisons at most. */
const RUN = 4096;

export const letOthersRun = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Sorts like `toSorted` (stable), by merging short runs. Rejects when `signal` is aborted. */
export async function sortYielding<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
  signal: AbortSignal,
): Promise<T[]> {
  let from: T[] = [];
  for (let start = 0; start < items.length; start += RUN) {
    for (const item of items.slice(start, start + RUN).sort(compare)) from.push(item);
    if (items.length > RUN) await pause(signal);
  }
  for (let width = RUN; width < from.length; width *= 2) {
    const to: T[] = [];
    for (let start = 0; start < from.length; start += 2 * width) {
      const middle = Math.min(start + width, from.length);
      const end = Math.min(start + 2 * width, from.length);
      let left = start;
      let right = middle;
      while (left < middle || right < end) {
        const takeLeft = right >= end || (left < middle && compare(from[left], from[right]) <= 0);
        to.push(takeLeft ? from[left++] : from[right++]);
        if (to.length % RUN === 0) await pause(signal);
      }
    }
    from = to;
  }
  return from;
}

async function pause(signal: AbortSignal): Promise<void> {
  await letOthersRun();
  signal.throwIfAborted();
}
