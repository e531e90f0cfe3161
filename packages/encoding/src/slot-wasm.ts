/**
 * Slots of a tile by the WebAssembly kernel (`kernel/tile.ts`). Its memory is fixed: blocks are filled in
 * place, bytes pass through.
 */
import { readFileSync } from 'node:fs';
import { type WasmKernel, loadKernel } from '@canopy/model';
import type { SlotBlock, SlotCoder } from './slot-block.js';
import { encodeBlockSlot } from './slot-twin.js';
import type { ByteReader, ByteWriter } from './varint.js';

/** Beside the sources and beside what is compiled from them alike. */
const KERNEL = new URL('../dist/kernel.wasm', import.meta.url);
const VERSION = 2;
/** Fewer bytes are quicker copied one by one. */
const COPY_BYTES_MIN = 96;

interface KernelExports {
  encodeSlots(first: number, slots: number, count: number, kept: boolean): number;
  decodeSlot(size: number, count: number): number;
}

/** A coder over the kernel, or why there is none, in words. `read` gives the kernel's bytes. */
export function loadWasmCoder(
  read: () => Uint8Array = () => readFileSync(KERNEL),
): WasmCoder | string {
  return loadKernel<KernelExports, WasmCoder>(read, VERSION, (kernel) => new WasmCoder(kernel));
}

export class WasmCoder implements SlotCoder {
  readonly kernel = 'wasm';
  readonly countMax: number;
  readonly #exports: KernelExports;
  readonly #block: SlotBlock;
  readonly #ends: Uint32Array;
  readonly #out: Uint8Array;
  /** The values that a decoding gives: of the length that was last asked for. */
  #decoded: Float64Array;

  constructor(kernel: WasmKernel<KernelExports>) {
    const { memory: buffer, constant } = kernel;
    const cells = constant('CELLS_MAX');
    this.#exports = kernel.exports;
    this.countMax = constant('COUNT_MAX');
    this.#block = {
      values: new Float64Array(buffer, constant('VALUES_AT'), cells),
      states: new Uint8Array(buffer, constant('STATES_AT'), cells),
      forms: new Uint8Array(buffer, constant('FORMS_AT'), cells),
    };
    this.#ends = new Uint32Array(buffer, constant('ENDS_AT'), cells);
    this.#out = new Uint8Array(buffer, constant('OUT_AT'), constant('OUT_SIZE'));
    this.#decoded = this.#block.values;
  }

  reserve(): SlotBlock {
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
    const done = this.#exports.encodeSlots(first, slots, count, kept);
    if (done === 0) {
      encodeBlockSlot(this.#block, first, count, writer, kept);
      ends[at] = writer.length;
      return 1;
    }
    const base = writer.length;
    for (let i = 0; i < done; i++) ends[at + i] = base + this.#ends[i];
    writer.raw(this.#out.subarray(0, this.#ends[done - 1]));
    return done;
  }

  decode(
    bytes: Uint8Array,
    reader: ByteReader,
    count: number,
    out: Float64Array,
    offset: number,
  ): boolean {
    const from = reader.position - 1;
    const size = reader.remaining + 1;
    if (size > this.#out.length) return false;
    if (size < COPY_BYTES_MIN) {
      for (let i = 0; i < size; i++) this.#out[i] = bytes[from + i];
    } else {
      this.#out.set(bytes.subarray(from, from + size));
    }
    if (this.#exports.decodeSlot(size, count) === 0) return false;
    if (this.#decoded.length !== count) this.#decoded = this.#block.values.subarray(0, count);
    out.set(this.#decoded, offset);
    reader.skip(size - 1);
    return true;
  }
}
