/** The payload of a frame entry. See frame.format.md. */

/**
 * One aligned frame with what earlier frames said filled in. Arrays belong to the decoder, must
 * not be written to and are valid until its next call; both have `slotCount` entries.
 */
export interface AlignedFrame {
  readonly slotCount: number;
  /** SampleState of each slot in this frame. */
  readonly states: Uint8Array;
  /** 0 where the state is not `value`. */
  readonly values: Float64Array;
  /** Slots that are not the same as in the frame before. */
  readonly changed: number;
  /** Values and stale marks. */
  readonly samples: number;
}

/** Samples with times of their own, in the order they were written. Arrays are the caller's. */
export interface LooseFrame {
  readonly count: number;
  readonly slots: Uint32Array;
  readonly times: Float64Array;
  /** `value` or `stale`. */
  readonly states: Uint8Array;
  /** 0 where the state is not `value`. */
  readonly values: Float64Array;
}

export class FrameEncoder {
  /** Payload of one aligned frame; valid until the next call (encodeEntry copies it). */
  encodeAligned(
    _layoutVersion: number,
    _slotCount: number,
    _states: Uint8Array,
    _values: Float64Array,
    _key: boolean,
  ): Uint8Array {
    throw new Error('BUG: not there yet');
  }

  /** Payload of one loose frame, which needs no other; valid until the next call. */
  encodeLoose(
    _layoutVersion: number,
    _baseTime: number,
    _count: number,
    _slots: Uint32Array,
    _times: Float64Array,
    _states: Uint8Array,
    _values: Float64Array,
  ): Uint8Array {
    throw new Error('BUG: not there yet');
  }

  /** The frame encoded last will not be there: the next one must be a key frame. */
  forget(): void {}
}

export class FrameDecoder {
  /** @throws FormatError; then the next frame must be a key frame. */
  decodeAligned(_payload: Uint8Array, _key: boolean): AlignedFrame {
    throw new Error('BUG: not there yet');
  }

  /** @throws FormatError */
  decodeLoose(_payload: Uint8Array, _baseTime: number): LooseFrame {
    throw new Error('BUG: not there yet');
  }

  /** The next frame must be a key frame. */
  reset(): void {}
}

/** @throws FormatError */
export function frameLayoutVersion(_payload: Uint8Array): number {
  throw new Error('BUG: not there yet');
}
