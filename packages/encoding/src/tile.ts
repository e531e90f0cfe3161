/** The columns of one group over a run of frames, compressed slot by slot. See tile.format.md. */

/**
 * Columns to encode; read during the call only. Aligned: `count` shared times, entry i of slot s
 * at `s * count + i`. Loose: times lie slot by slot too, and slot s has `lengths[s]` entries from
 * `s * count` on.
 */
export interface TileColumns {
  readonly kind: 'aligned' | 'loose';
  readonly slotCount: number;
  readonly count: number;
  /** Ascending (within a slot where loose). */
  readonly times: Float64Array;
  readonly states: Uint8Array;
  /** What stands where the state is not `value` is not kept. */
  readonly values: Float64Array;
  /** Loose only. */
  readonly lengths?: Uint32Array;
}

export interface SlotSummary {
  /** Entries that are not `none`. */
  readonly present: number;
  /** Every entry is a value. */
  readonly statesNull: boolean;
}

/** Columns of one slot, the caller's own. */
export interface LooseSlot {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly states: Uint8Array;
  readonly statesNull: boolean;
}

/** Fresh bytes. */
export function encodeTile(_columns: TileColumns): Uint8Array {
  throw new Error('BUG: not there yet');
}

/** Reads single slots out of an encoded tile, whose bytes it keeps. */
export class TileReader {
  readonly kind: 'aligned' | 'loose' = 'aligned';
  readonly slotCount: number = 0;
  /** Entries of a slot; loose: of the longest. */
  readonly count: number = 0;
  /** Times of the oldest and newest entry, inclusive; with no entries 0 and 0. */
  readonly minTime: number = 0;
  readonly maxTime: number = 0;

  /** @throws FormatError for bytes that are not a tile or have a wrong checksum. */
  constructor(_bytes: Uint8Array) {
    throw new Error('BUG: not there yet');
  }

  /** The shared times of an aligned tile: one array for all calls, not to be written to. */
  times(): Float64Array {
    throw new Error('BUG: not there yet');
  }

  /**
   * Decodes a slot of an aligned tile into `count` entries of the out arrays from `offset` on;
   * values are 0 where the state is not `value`.
   * @throws FormatError
   */
  readSlot(
    _slot: number,
    _outValues: Float64Array,
    _outStates: Uint8Array,
    _offset: number,
  ): SlotSummary {
    throw new Error('BUG: not there yet');
  }

  /**
   * Decodes a slot of a loose tile.
   * @throws FormatError
   */
  readLooseSlot(_slot: number): LooseSlot {
    throw new Error('BUG: not there yet');
  }
}
