/** Several tiles of one aligned group as one longer tile: what stands once a series stands once. */
import { SampleState, invariant } from '@canopy/model';
import { SlotForm } from './slot-block.js';
import { AlignedTileEncoder, type TileReader } from './tile.js';

export class TileJoin {
  readonly #parts: readonly TileReader[];
  readonly #encoder: AlignedTileEncoder;
  readonly #count: number;
  /** Of the slots that are encoded next: decoding may not touch the encoder's block. */
  readonly #values: Float64Array;
  readonly #states: Uint8Array;
  readonly #forms: Uint8Array;

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
    this.#count = count;
    this.#encoder = new AlignedTileEncoder(
      Math.max(...parts.map((part) => part.slotCount)),
      times,
      null,
      true,
    );
    const { slotsAtOnce } = this.#encoder;
    this.#values = new Float64Array(count * slotsAtOnce);
    this.#states = new Uint8Array(count * slotsAtOnce);
    this.#forms = new Uint8Array(slotsAtOnce);
  }

  /**
   * Joins up to `slotsMax` more slots; the tile, fresh bytes, when all are done.
   * @throws FormatError where one of the parts is damaged.
   */
  step(slotsMax: number): Uint8Array | null {
    const encoder = this.#encoder;
    const end = Math.min(encoder.slotCount, encoder.slots + slotsMax);
    while (encoder.slots < end) {
      const slots = Math.min(encoder.slotsAtOnce, end - encoder.slots);
      for (let i = 0; i < slots; i++) this.#read(encoder.slots + i, i);
      const { block } = encoder;
      const cells = slots * this.#count;
      block.values.set(this.#values.subarray(0, cells));
      block.states.set(this.#states.subarray(0, cells));
      block.forms.set(this.#forms.subarray(0, slots));
      encoder.add(slots);
    }
    return encoder.slots === encoder.slotCount ? encoder.finish() : null;
  }

  #read(slot: number, at: number): void {
    let offset = at * this.#count;
    let allValues = true;
    for (const part of this.#parts) {
      if (slot < part.slotCount) {
        const summary = part.readSlot(slot, this.#values, this.#states, offset);
        if (!summary.statesNull) allValues = false;
      } else {
        this.#states.fill(SampleState.none, offset, offset + part.count);
        this.#values.fill(0, offset, offset + part.count);
        allValues = part.count === 0 && allValues;
      }
      offset += part.count;
    }
    this.#forms[at] = allValues ? SlotForm.values : SlotForm.states;
  }
}
