/**
 * The slots of a tile in TypeScript: the specification of the kernel, the fallback where there is
 * none, and what does the slots that the kernel leaves.
 */
import { SampleState } from '@canopy/model';
import { bitsOf, setNormalNan } from './bits.js';
import { encodeColumn } from './column.js';
import { ENTRIES_MAX } from './limits.js';
import { type SlotBlock, type SlotCoder, SlotForm } from './slot-block.js';
import type { ByteWriter } from './varint.js';

/** A slot's first byte where a state column comes before its values; no column begins with it. */
export const HAS_STATES = 128;
/** Cells of the block; more where one slot has more entries. */
const CELLS = 1 << 14;

let scratch = new Float64Array(256);
let scratchBits = bitsOf(scratch);

export class TwinCoder implements SlotCoder {
  readonly kernel = 'typescript';
  readonly countMax = ENTRIES_MAX;
  #block = newBlock(CELLS);

  reserve(count: number): SlotBlock {
    // What one long column needed is given back.
    const cells = Math.max(CELLS, count);
    if (this.#block.values.length !== cells) this.#block = newBlock(cells);
    return this.#block;
  }

  encode(
    first: number,
    slots: number,
    count: number,
    writer: ByteWriter,
    ends: Uint32Array,
    at: number,
    kept: boolean,
  ): number {
    for (let i = 0; i < slots; i++) {
      encodeBlockSlot(this.#block, first + i, count, writer, kept);
      ends[at + i] = writer.length;
    }
    return slots;
  }

  decode(): boolean {
    return false;
  }
}

function newBlock(cells: number): SlotBlock {
  return {
    values: new Float64Array(cells),
    states: new Uint8Array(cells),
    forms: new Uint8Array(CELLS),
  };
}

/** Appends slot `slot` of a block. */
export function encodeBlockSlot(
  { values, states, forms }: SlotBlock,
  slot: number,
  count: number,
  writer: ByteWriter,
  kept: boolean,
): void {
  const from = slot * count;
  const form = forms[slot];
  if (form === SlotForm.states) encodeSlot(writer, states, values, from, count, kept);
  else encodeValues(writer, values, from, form === SlotForm.constant ? 1 : count, kept);
}

function encodeValues(
  writer: ByteWriter,
  values: Float64Array,
  from: number,
  count: number,
  kept: boolean,
): void {
  reserveScratch(count);
  for (let i = 0; i < count; i++) {
    scratch[i] = values[from + i];
    if (scratch[i] !== scratch[i]) setNormalNan(scratchBits, i);
  }
  encodeColumn(writer, scratch, count, kept);
}

function reserveScratch(count: number): void {
  if (scratch.length >= count) return;
  scratch = new Float64Array(2 * count);
  scratchBits = bitsOf(scratch);
}

/** Appends a slot: entries `from` to `from + length` of columns. */
export function encodeSlot(
  writer: ByteWriter,
  states: Uint8Array,
  values: Float64Array,
  from: number,
  length: number,
  kept = false,
): void {
  reserveScratch(length);
  let entries = 0;
  for (let i = from; i < from + length; i++) {
    if (states[i] !== SampleState.value) continue;
    scratch[entries] = values[i];
    if (values[i] !== values[i]) setNormalNan(scratchBits, entries);
    entries++;
  }
  const allValues = entries === length;
  if (!allValues) {
    writer.u8(HAS_STATES);
    writeStates(writer, states, from, length);
  }
  encodeColumn(writer, scratch, entries, kept);
}

/** Runs of one state each: (length - 1) * 4 + state. */
function writeStates(writer: ByteWriter, states: Uint8Array, from: number, length: number): void {
  for (let i = 0; i < length; ) {
    const state = states[from + i];
    const start = i;
    while (i < length && states[from + i] === state) i++;
    writer.varint((i - start - 1) * 4 + state);
  }
}
