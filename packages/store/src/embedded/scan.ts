/** Walks over a table, some records at a time, so that the event loop goes on. */
import { keyAfter } from './keys.js';
import type { Table } from './tables.js';

/** Records and bytes looked at in one go, between two turns of the event loop. */
const STEP_RECORDS = 1000;
export const STEP_BYTES = 8 * 1024 * 1024;

/** Visits records from `start` to before `end` until `visit` says false. */
export async function scan(
  table: Table,
  start: Uint8Array,
  end: Uint8Array,
  visit: (key: Uint8Array, value: Buffer) => boolean,
): Promise<void> {
  for (let from = start; ; await nextTurn()) {
    let count = 0;
    let bytes = 0;
    for (const { key, value } of table.getRange({ start: from, end, limit: STEP_RECORDS })) {
      if (!visit(key, value)) return;
      count++;
      bytes += value.length;
      if (count === STEP_RECORDS || bytes > STEP_BYTES) {
        from = keyAfter(key);
        break;
      }
    }
    if (count < STEP_RECORDS && bytes <= STEP_BYTES) return;
  }
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
