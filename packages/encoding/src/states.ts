/** States of a slot's entries: runs beside the column of its values. See tile.format.md, "Slot". */
import { SampleState } from '@canopy/model';
import type { ByteReader } from './varint.js';

/** Runs of states, until all of `count` entries have one. Returns how many are values, and how many are not `none`. */
export function readStates(
  reader: ByteReader,
  count: number,
  outStates: Uint8Array,
  offset: number,
): { values: number; present: number } {
  let values = 0;
  let present = 0;
  for (let i = 0; i < count; ) {
    const word = reader.varint();
    const state = word % 4;
    const length = Math.floor(word / 4) + 1;
    if (state > SampleState.stale || length > count - i) reader.fail('states out of range');
    outStates.fill(state, offset + i, offset + i + length);
    if (state === SampleState.value) values += length;
    if (state !== SampleState.none) present += length;
    i += length;
  }
  return { values, present };
}

/** The first `kept` entries are the values in order: moves each to its place, from the end on. */
export function spread(
  count: number,
  kept: number,
  outValues: Float64Array,
  bits: Uint32Array,
  states: Uint8Array,
  offset: number,
): void {
  let from = offset + kept - 1;
  for (let to = offset + count - 1; to >= offset; to--) {
    if (states[to] === SampleState.value) {
      // As halves, so that a NaN keeps its bits.
      bits[2 * to] = bits[2 * from];
      bits[2 * to + 1] = bits[2 * from + 1];
      from--;
    } else outValues[to] = 0;
  }
}
