import { invariant } from '@canopy/model';
import type { Walker } from '../walk-state.js';
import { TwinWalker } from '../walker-twin.js';
import { loadWasmWalker } from '../walker-wasm.js';
import { ensureKernel } from './kernel.js';

/** Both walkers, and the kernel's with windows so small that lines meet their ends. Filled by `ensureWalkers`. */
export const WALKERS: Array<{ readonly name: string; readonly walker: Walker }> = [];

/** @throws where the kernel cannot be built or loaded: tests must not run on the twin alone. */
export async function ensureWalkers(): Promise<void> {
  await ensureKernel();
  const kernel = loadWasmWalker();
  const small = loadWasmWalker({ windowMax: 48, windowMin: 16, rowsBefore: 0 });
  invariant(typeof kernel !== 'string' && typeof small !== 'string', `BUG: no kernel (${kernel})`);
  WALKERS.push(
    { name: 'the twin', walker: new TwinWalker() },
    { name: 'the kernel', walker: kernel },
    { name: 'the kernel in small windows', walker: small },
  );
}
