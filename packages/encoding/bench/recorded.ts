/** Columns of real exporters, as `record.ts` wrote them to the folder that CANOPY_RECORDED names. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SampleState } from '@canopy/model';
import type { TileColumns } from '../src/index.js';

/** A file an exporter: a line with the times, then one a series, null where it has no value. */
export function recordedColumns(): Array<[name: string, columns: TileColumns]> {
  const folder = process.env['CANOPY_RECORDED'];
  if (folder === undefined) {
    console.log('real exporters left out: CANOPY_RECORDED names no folder (bench/record.ts)');
    return [];
  }
  return readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl'))
    .map((file) => [
      file.replace('.jsonl', ''),
      columnsOf(readFileSync(join(folder, file), 'utf8')),
    ]);
}

function columnsOf(text: string): TileColumns {
  const [times, ...series] = text.split('\n').map((line) => JSON.parse(line) as number[]);
  const count = times.length;
  const slotCount = series.length;
  const states = new Uint8Array(slotCount * count);
  const values = new Float64Array(slotCount * count);
  series.forEach((row, slot) => {
    row.forEach((value: number | null, i) => {
      states[slot * count + i] = value === null ? SampleState.none : SampleState.value;
      values[slot * count + i] = value ?? 0;
    });
  });
  return { kind: 'aligned', slotCount, count, times: Float64Array.from(times), states, values };
}
