/** Numbers as bytes of Prometheus's JSON, many at a time: the kernel's way, or the twin's where there is none. */
import { TwinPrinter } from './twin.js';
import { loadWasmPrinter } from './wasm.js';

/**
 * Fill `values`, then print. Results are views, valid until the next call of any method; all users of the
 * process share a printer, so what is filled and what is printed of it must be one step.
 */
export interface NumberPrinter {
  readonly kernel: 'wasm' | 'typescript';
  /** Numbers of one call. */
  readonly countMax: number;
  readonly values: Float64Array;
  /** Where each number of `numbers` ends in its bytes. */
  readonly ends: Uint32Array;
  /** The first `count` values, spelt as by `formatFloat`, one after the other. */
  numbers(count: number): Uint8Array;
  /** Takes the times of points [from, to), in milliseconds: read at once unless they are those of the last call. */
  stamp(times: Float64Array, from: number, to: number): void;
  /** `[seconds,"value"],` for each of the values of the points that were stamped. */
  points(): Uint8Array;
}

let twin: NumberPrinter | undefined;
let loaded: { readonly printer: NumberPrinter; readonly problem: string } | undefined;

export function twinPrinter(): NumberPrinter {
  twin ??= new TwinPrinter();
  return twin;
}

/** The printer of the process. */
export const numberPrinter = (): NumberPrinter => load().printer;

/** Which kernel prints numbers in this process, and why, where it is not the WebAssembly one. */
export function printKernel(): {
  readonly kernel: 'wasm' | 'typescript';
  readonly problem: string;
} {
  const { printer, problem } = load();
  return { kernel: printer.kernel, problem };
}

function load(): { readonly printer: NumberPrinter; readonly problem: string } {
  if (loaded === undefined) {
    const found = loadWasmPrinter();
    loaded =
      typeof found === 'string'
        ? { printer: twinPrinter(), problem: found }
        : { printer: found, problem: '' };
  }
  return loaded;
}
