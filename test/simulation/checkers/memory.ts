/**
 * What is bounded is within its bound: pages by their budget, readers by their number, what waits for a store by a
 * second's worth once it answers; and when nobody asks, no snapshot is open.
 *
 * Does not check: bytes of the process (many share one here; test/bench measures them).
 */
import type { Checker } from './outcome.js';

const READERS_MAX = 64;
const QUEUE_BYTES_MAX = 256 * 1024;
/** Layouts, one entry at least, the report and what goes with it come on top of the budget of entries. */
const PAGE_REST_BYTES = 256 * 1024;

export const memory: Checker = ({ hierarchy, history, levels }) => {
  const faults: string[] = [];
  const limit = hierarchy.plan.pageBytes + PAGE_REST_BYTES;
  if (history.pageBytesMax > limit) faults.push(`a page of ${history.pageBytesMax} bytes`);
  for (const { machine } of levels) {
    const { name, process } = machine;
    if (process === undefined) continue;
    const { openSnapshots } = process.head.stats;
    if (openSnapshots > 0) faults.push(`${name}: ${openSnapshots} snapshots are open`);
    const queued = process.journal?.stats.queueBytes ?? 0;
    if (queued > QUEUE_BYTES_MAX) faults.push(`${name}: ${queued} bytes wait for the store`);
    const readers = process.frames?.readers().length ?? 0;
    if (readers > READERS_MAX) faults.push(`${name}: ${readers} readers`);
  }
  return faults;
};
