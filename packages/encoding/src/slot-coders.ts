/** The coders of the process: one of each kind, made when first needed. */
import type { SlotCoder } from './slot-block.js';
import { TwinCoder } from './slot-twin.js';
import { loadWasmCoder } from './slot-wasm.js';

let twin: SlotCoder | undefined;
let loaded: { readonly coder: SlotCoder; readonly problem: string } | undefined;

export function twinCoder(): SlotCoder {
  twin ??= new TwinCoder();
  return twin;
}

/** The quickest coder for slots of so many entries. */
export function coderFor(count: number): SlotCoder {
  const { coder } = load();
  return count <= coder.countMax ? coder : twinCoder();
}

/** Which kernel codes tiles in this process, and why, where it is not the WebAssembly one. */
export function tileKernel(): {
  readonly kernel: 'wasm' | 'typescript';
  readonly problem: string;
} {
  const { coder, problem } = load();
  return { kernel: coder.kernel, problem };
}

function load(): { readonly coder: SlotCoder; readonly problem: string } {
  if (loaded === undefined) {
    const found = loadWasmCoder();
    loaded =
      typeof found === 'string'
        ? { coder: twinCoder(), problem: found }
        : { coder: found, problem: '' };
  }
  return loaded;
}
