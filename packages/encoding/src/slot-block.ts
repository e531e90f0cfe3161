/** Slots on their way into a tile. */
import type { ByteReader, ByteWriter } from './varint.js';

/** What stands in a block for a slot. */
export const SlotForm = {
  /** An entry for each time, all of them values. */
  values: 0,
  /** Its first entry stands for all of them. */
  constant: 1,
  /** Entries with a state each. */
  states: 2,
} as const;

/** Columns of some slots, `count` entries each: entry i of slot s at `s * count + i`. */
export interface SlotBlock {
  readonly values: Float64Array;
  /** Read where the form says so. */
  readonly states: Uint8Array;
  /** One a slot: a `SlotForm`. */
  readonly forms: Uint8Array;
}

/** Encodes and decodes slots; all coders write the same bytes. One block each, not kept between calls. */
export interface SlotCoder {
  readonly kernel: 'wasm' | 'typescript';
  /** Entries a slot that it can encode. */
  readonly countMax: number;
  /** Its block, with room for at least one slot of `count` entries; valid until the next call of any method. */
  reserve(count: number): SlotBlock;
  /**
   * Appends slots `first` to `first + slots` of the block and notes where each ends, from `ends[at]` on. Returns how
   * many it did, at least one. `kept`: for a tile that is kept long.
   */
  encode(
    first: number,
    slots: number,
    count: number,
    writer: ByteWriter,
    ends: Uint32Array,
    at: number,
    kept: boolean,
  ): number;
  /**
   * Decodes the column that the rest of `reader` is, its first byte read already, to `count` values from
   * `out[offset]` on, and reads it to its end. False, with nothing read, where it is left to the twin.
   */
  decode(
    bytes: Uint8Array,
    reader: ByteReader,
    count: number,
    out: Float64Array,
    offset: number,
  ): boolean;
}
