/** Several tiles of one aligned group as one longer tile: what stands once a series stands once. */
import { SampleState, invariant } from '@canopy/model';
import { AlignedTileEncoder, type TileReader } from './tile.js';

export class TileJoin {
  readonly #parts: readonly TileReader[];
  readonly #encoder: AlignedTileEncoder;
  readonly #values: Float64Array;
  readonly #states: Uint8Array;

  /** `parts`: aligned, in order of time. */
  constructor(parts: readonly TileReader[]) {
    this.#parts = parts;
    const count = parts.reduce((sum, part) => sum + part.count, 0);
    const times = new Float64Array(count);
    let offset = 0;
    for (const part of parts) {
      invariant(part.kind === 'aligned', 'BUG: a loose tile among those to join');
      times.set(part.times(), offset);
      offset += part.count;
    }
    this.#encoder = new AlignedTileEncoder(Math.max(...parts.map((p) => p.slotCount)), times);
    this.#values = new Float64Array(count);
    this.#states = new Uint8Array(count);
  }

  /**
   * Joins up to `slotsMax` more slots; the tile, fresh bytes, when all are done.
   * @throws FormatError where one of the parts is damaged.
   */
  step(slotsMax: number): Uint8Array | null {
    const encoder = this.#encoder;
    const end = Math.min(encoder.slotCount, encoder.slots + slotsMax);
    while (encoder.slots < end) {
      let offset = 0;
      for (const part of this.#parts) {
        if (encoder.slots < part.slotCount) {
          part.readSlot(encoder.slots, this.#values, this.#states, offset);
        } else this.#states.fill(SampleState.none, offset, offset + part.count);
        offset += part.count;
      }
      encoder.add(this.#states, this.#values);
    }
    return encoder.slots === encoder.slotCount ? encoder.finish() : null;
  }
}
