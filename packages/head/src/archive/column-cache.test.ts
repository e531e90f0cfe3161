import { TileReader, encodeTile } from '@canopy/encoding';
import { expect, it } from 'vitest';
import { ColumnCache } from './column-cache.js';

const SLOTS = 100;
const COUNT = 50;

/** Slot s has `s + i`; the last slot a hole in the middle. */
function makeTile(): TileReader {
  const cells = SLOTS * COUNT;
  const states = new Uint8Array(cells).fill(1);
  states[cells - 20] = 0;
  return new TileReader(
    encodeTile({
      ...{ kind: 'aligned', slotCount: SLOTS, count: COUNT, states },
      times: Float64Array.from({ length: COUNT }, (_, i) => i),
      values: Float64Array.from({ length: cells }, (_, i) => Math.floor(i / COUNT) + (i % COUNT)),
    }),
  );
}

it('decodes a column once, and says where not all is values', () => {
  const tile = new ColumnCache().tile(makeTile());
  for (const slot of [7, 70, 8, 99]) {
    const column = tile.column(slot);
    expect(column.values[3]).toBe(slot + 3);
    expect(column.states === null).toBe(slot !== 99);
    expect(tile.column(slot)).toBe(column);
  }
  expect(tile.column(99).states?.[COUNT - 20]).toBe(0);
  expect(tile.column(99).states?.[COUNT - 19]).toBe(1);
});

it('keeps what was used last, within its bytes', () => {
  const bytesMax = 100_000;
  const cache = new ColumnCache(bytesMax);
  const readers = Array.from({ length: 5 }, makeTile);
  for (const reader of readers) {
    const tile = cache.tile(reader);
    for (let slot = 0; slot < SLOTS; slot++) tile.column(slot);
    // Used again and again, so it stays.
    cache.tile(readers[0]);
    cache.trim();
    expect(cache.bytes).toBeLessThanOrEqual(bytesMax);
  }
  const column = cache.tile(readers[0]).column(5);
  expect(cache.tile(readers[0]).column(5)).toBe(column);
  expect(cache.tile(readers[1]).bytes).toBe(0);
  expect([cache.admits(6_250), cache.admits(6_251)]).toEqual([true, false]);
});
