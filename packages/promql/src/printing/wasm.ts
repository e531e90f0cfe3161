/** Printing by the WebAssembly kernel (`kernel/print.ts`). */
import { readFileSync } from 'node:fs';
import { type WasmKernel, loadKernel } from '@canopy/model';
import type { NumberPrinter } from './number-printer.js';

/** Beside the sources and beside what is compiled from them alike. */
const KERNEL = new URL('../../dist/kernel.wasm', import.meta.url);
const VERSION = 1;

interface KernelExports {
  printNumbers(count: number): number;
  printStamps(count: number): void;
  printPoints(count: number): number;
}

/** A printer over the kernel, or why there is none, in words. `read` gives the kernel's bytes. */
export function loadWasmPrinter(
  read: () => Uint8Array = () => readFileSync(KERNEL),
): WasmPrinter | string {
  return loadKernel<KernelExports, WasmPrinter>(read, VERSION, (kernel) => new WasmPrinter(kernel));
}

export class WasmPrinter implements NumberPrinter {
  readonly kernel = 'wasm';
  readonly countMax: number;
  readonly values: Float64Array;
  readonly ends: Uint32Array;
  readonly #exports: KernelExports;
  readonly #out: Uint8Array;
  readonly #times: Float64Array;
  /** What was stamped last. */
  #stamped: Float64Array = NO_TIMES;
  #from = 0;
  #to = 0;

  constructor(kernel: WasmKernel<KernelExports>) {
    const { memory: buffer, constant } = kernel;
    this.#exports = kernel.exports;
    this.countMax = constant('COUNT_MAX');
    this.values = new Float64Array(buffer, constant('VALUES_AT'), this.countMax);
    this.#times = new Float64Array(buffer, constant('TIMES_AT'), this.countMax);
    this.ends = new Uint32Array(buffer, constant('ENDS_AT'), this.countMax);
    this.#out = new Uint8Array(buffer, constant('OUT_AT'), constant('OUT_SIZE'));
    const [least, most] = [constant('POWER_MIN'), constant('POWER_MAX')];
    const powers = new BigUint64Array(buffer, constant('POWERS_AT'), 2 * (most - least + 1));
    for (let k = least; k <= most; k++) {
      const power = powerOfTen(k);
      powers[2 * (k - least)] = power >> 64n;
      powers[2 * (k - least) + 1] = power & 0xffff_ffff_ffff_ffffn;
    }
  }

  numbers(count: number): Uint8Array {
    return this.#out.subarray(0, this.#exports.printNumbers(count));
  }

  stamp(times: Float64Array, from: number, to: number): void {
    // Fast path: series of an answer mostly share their times.
    if (times === this.#stamped && from === this.#from && to === this.#to) return;
    this.#stamped = times;
    this.#from = from;
    this.#to = to;
    for (let i = from; i < to; i++) this.#times[i - from] = times[i];
    this.#exports.printStamps(to - from);
  }

  points(): Uint8Array {
    return this.#out.subarray(0, this.#exports.printPoints(this.#to - this.#from));
  }
}

const NO_TIMES = new Float64Array(0);

/** 10^k, times a power of two that makes 128 bits of it; rounded up. */
function powerOfTen(k: number): bigint {
  const ten = 10n ** BigInt(Math.abs(k));
  const bits = BigInt(ten.toString(2).length);
  if (k < 0) return ((1n << (127n + bits)) + ten - 1n) / ten;
  if (bits <= 128n) return ten << (128n - bits);
  const rest = bits - 128n;
  return (ten + (1n << rest) - 1n) >> rest;
}
