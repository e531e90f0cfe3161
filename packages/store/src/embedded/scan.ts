/** Walks over a table, some records at a time, so that the event loop goes on. */
import { keyAfter } from './keys.js';
import type { Table } from './table.js';

/** Records and bytes looked at in one go, between two turns of the event loop. */
const STEP_RECORDS = 1000;
export const STEP_BYTES = 8 * 1024 * 1024;

/**
 * Visits records from `start` to before `end` until `visit` says false. Value null: it fails its check, and the
 * key says nothing, so that one outside of the range is visited, too: it may be what is missing in it.
 * False where `visit` ended it.
 */
export async function scan(
  table: Table,
  start: Uint8Array,
  end: Uint8Array,
  visit: (key: Uint8Array, value: Buffer | null) => boolean,
): Promise<boolean> {
  let from = start;
  /** Damaged records after `from` that were visited. */
  let skipped = 0;
  for (; ; await nextTurn()) {
    let count = 0;
    let bytes = 0;
    const limit = STEP_RECORDS + skipped;
    let damaged = 0;
    for (const { key, value, byteLength } of table.records({ start: from, limit })) {
      if (value !== null && Buffer.compare(key, end) >= 0) return true;
      // A search that met a damaged key may begin too early.
      const isBefore = value !== null && Buffer.compare(key, from) < 0;
      const isKnown = value === null && ++damaged <= skipped;
      if (!isBefore && !isKnown && !visit(key, value)) return false;
      count++;
      bytes += byteLength;
      if (value !== null) {
        from = keyAfter(key);
        skipped = 0;
        damaged = 0;
      }
      if (count === limit || bytes > STEP_BYTES) break;
    }
    if (count < limit && bytes <= STEP_BYTES) return true;
    skipped = Math.max(skipped, damaged);
  }
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
