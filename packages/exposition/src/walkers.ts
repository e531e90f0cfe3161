/**
 * The walkers of the process: one of each kind, made when first needed.
 */
import type { Walker } from './walk-state.js';
import { TwinWalker } from './walker-twin.js';
import { loadWasmWalker } from './walker-wasm.js';

let twin: Walker | undefined;
let loaded: { readonly walker: Walker; readonly problem: string } | undefined;

export function twinWalker(): Walker {
  twin ??= new TwinWalker();
  return twin;
}

/** The kernel's walker, or the twin where there is no kernel. */
export function loadedWalker(): Walker {
  return load().walker;
}

/** Which kernel reads bodies in this process, and why, where it is not the WebAssembly one. */
export function parseKernel(): {
  readonly kernel: 'wasm' | 'typescript';
  readonly problem: string;
} {
  const { walker, problem } = load();
  return { kernel: walker.kernel, problem };
}

function load(): { readonly walker: Walker; readonly problem: string } {
  if (loaded === undefined) {
    const found = loadWasmWalker();
    loaded =
      typeof found === 'string'
        ? { walker: twinWalker(), problem: found }
        : { walker: found, problem: '' };
  }
  return loaded;
}
