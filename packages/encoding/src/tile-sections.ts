/** Sections of a tile, and those that say where its slots are. See tile.format.md, "Sections". */
import { encodeColumn } from './column.js';
import { ByteWriter } from './varint.js';

export const Section = { times: 1, slots: 2, offsets: 3, sizes: 4 } as const;
/** Slots whose sizes are one column. */
export const SIZES_AT_ONCE = 1024;

/** Where each slot ends; `size`: of all slots. */
export function writeOffsets(writer: ByteWriter, size: number, ends: Uint32Array): void {
  const width = size < 2 ** 8 ? 1 : size < 2 ** 16 ? 2 : size < 2 ** 24 ? 3 : 4;
  writer.u8(Section.offsets);
  writer.varint(ends.length * width);
  for (let slot = 0; slot < ends.length; slot++) {
    for (let shift = 0; shift < 8 * width; shift += 8) writer.u8((ends[slot] >>> shift) & 255);
  }
}

/** How many bytes each slot takes: smaller, and read as a whole. */
export function writeSizes(writer: ByteWriter, ends: Uint32Array): void {
  const all = new ByteWriter(ends.length + 64);
  const column = new ByteWriter(SIZES_AT_ONCE);
  for (let from = 0; from < ends.length; from += SIZES_AT_ONCE) {
    const part = ends.subarray(from, from + SIZES_AT_ONCE);
    const before = from === 0 ? 0 : ends[from - 1];
    const sizes = Float64Array.from(part, (end, i) => end - (i === 0 ? before : part[i - 1]));
    column.clear();
    encodeColumn(column, sizes, sizes.length, true);
    all.bytes(column.view());
  }
  writer.u8(Section.sizes);
  writer.bytes(all.view());
}
