/** What the log says where a WebAssembly kernel is missing: the fallbacks are as right and slower. */
import { tileKernel } from '@canopy/encoding';
import { printKernel } from '@canopy/promql';
import type { Log } from '../log.js';

export function sayKernels(log: Log): void {
  const tiles = tileKernel();
  if (tiles.kernel !== 'wasm') {
    const { problem } = tiles;
    log('warn', 'tiles are encoded without the WebAssembly kernel, at four times the cost', {
      problem,
    });
  }
  const numbers = printKernel();
  if (numbers.kernel !== 'wasm') {
    const { problem } = numbers;
    log('warn', 'answers are printed without the WebAssembly kernel, at three times the cost', {
      problem,
    });
  }
}
