/**
 * Slots of a tile to bytes and back, a block of slots a call: AssemblyScript. What it gives is
 * specified by the twin (`src/slot-twin.ts`, `src/column.ts`, `src/xor.ts`), to the byte; `src/tile.fuzz.ts`
 * compares them. No memory but the areas of `areas.ts`, no state between calls. The host
 * (`src/slot-wasm.ts`) reads the places of the areas from the exports.
 */
import {
  COUNT_MAX,
  ENDS_AT,
  FORMS_AT,
  KEPT_AT,
  OUT_AT,
  OUT_SIZE,
  STATES_AT,
  VALUES_AT,
} from './areas';
import { GIVEN_UP, encodeColumn } from './column';
import { weighAll } from './integers';
import { putVarint } from './put';

export * from './areas';
export { decodeSlot } from './decode';

/** Raised when areas, arguments or results change their meaning. */
export const VERSION: u32 = 2;

/** What stands in the block for a slot: `src/slot-block.ts`. */
const FORM_CONSTANT: u32 = 1;
const FORM_STATES: u32 = 2;
/** A slot's first byte where a state column comes before its values. */
const HAS_STATES: u32 = 128;
const STATE_VALUE: u32 = 1;

/** Bytes that a slot of so many entries takes at most: states, a near column, exclusive-or. */
function sizeMax(count: u32): u32 {
  return 24 * count + 128;
}

/**
 * Encodes slots of the block from `first` on, each `count` entries. The bytes go to OUT_AT on, where each
 * slot ends after that, to ENDS_AT on, from the first. Returns how many slots it did: fewer than asked for where the room
 * may not be enough, or where the next one is left to the twin. `kept`: for a tile that is kept long.
 */
export function encodeSlots(first: u32, slots: u32, count: u32, kept: bool): u32 {
  let at: u32 = OUT_AT;
  weighAll(kept);
  if (count > COUNT_MAX) return 0;
  for (let i: u32 = 0; i < slots; i++) {
    if (at + sizeMax(count) > OUT_AT + OUT_SIZE) return i;
    const slot = first + i;
    const values = VALUES_AT + ((slot * count) << 3);
    const form = <u32>load<u8>(FORMS_AT + slot);
    let end: u32;
    if (form == FORM_CONSTANT) end = encodeColumn(at, values, 1);
    else if (form == FORM_STATES) {
      end = encodeWithStates(at, values, STATES_AT + slot * count, count);
    } else end = encodeColumn(at, values, count);
    if (end == GIVEN_UP) return i;
    at = end;
    store<u32>(ENDS_AT + (i << 2), at - OUT_AT);
  }
  return slots;
}

/** The block stays as it is: the twin may have to do the slot. */
function encodeWithStates(to: u32, values: u32, states: u32, count: u32): u32 {
  let at = to;
  store<u8>(at++, HAS_STATES);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; ) {
    const state = <u32>load<u8>(states + i);
    const start = i;
    while (i < count && <u32>load<u8>(states + i) == state) {
      if (state == STATE_VALUE) store<u64>(KEPT_AT + (kept++ << 3), load<u64>(values + (i << 3)));
      i++;
    }
    at = putVarint(at, <u64>((i - start - 1) * 4 + state));
  }
  // None is missing after all: a slot of values only.
  if (kept == count) at = to;
  return encodeColumn(at, KEPT_AT, kept);
}
