import { SampleState } from '@canopy/model';
import { expect, it } from 'vitest';
import { TileJoin } from './tile-join.js';
import { TileReader, encodeTile } from './tile.js';

/** Rows of one tile: a time, then an entry a slot; undefined is none, 's' stale. */
type Row = readonly [time: number, ...entries: Array<number | 's' | undefined>];

function tile(slotCount: number, rows: readonly Row[], kept = false): Uint8Array {
  const count = rows.length;
  const values = new Float64Array(slotCount * count);
  const states = new Uint8Array(slotCount * count);
  rows.forEach(([, ...entries], i) => {
    entries.forEach((entry, slot) => {
      const at = slot * count + i;
      if (entry === undefined) return;
      states[at] = entry === 's' ? SampleState.stale : SampleState.value;
      if (entry !== 's') values[at] = entry;
    });
  });
  const times = Float64Array.from(rows, ([time]) => time);
  return encodeTile({ kind: 'aligned', slotCount, count, times, values, states }, null, kept);
}

it('gives the bytes that one tile over all rows would have', () => {
  const check = (parts: ReadonlyArray<readonly Row[]>, slotCounts: number[]) => {
    const tiles = parts.map((rows, i) => tile(slotCounts[i], rows));
    const join = new TileJoin(tiles.map((bytes) => new TileReader(bytes)));
    let bytes: Uint8Array | null = null;
    while (bytes === null) bytes = join.step(1);
    expect(Buffer.from(bytes).toString('hex')).toBe(
      Buffer.from(tile(Math.max(...slotCounts), parts.flat(), true)).toString('hex'),
    );
  };
  check([[[10, 1, 2]], [[20, 3, 4]]], [2, 2]);
  check([[[10, 1]], [[20, 3, 4]]], [1, 2]); // a slot that came later
  check(
    [
      [
        [10, 1, 's'],
        [20, Number.NaN, undefined],
      ],
      [[30, -0, 0.1]],
      [
        [40, 's', 7],
        [50, Number.POSITIVE_INFINITY, undefined],
      ],
    ],
    [2, 2, 2],
  );
  check([[[10, 1]]], [1]);
});
