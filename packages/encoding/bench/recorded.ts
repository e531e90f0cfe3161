/** Columns of real exporters, recorded by `record.ts` into a folder that CANOPY_RECORDED names. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TileColumns } from '../src/index.js';

/** A file an exporter: first line the times, then a line a series: its values, null where it has none. */
export async function recordedColumns(): Promise<Array<[name: string, columns: TileColumns]>> {
  return [];
}
