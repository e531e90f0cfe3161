/** Builds `dist/kernel.wasm` where it is stale: `node packages/exposition/kernel/build.mjs`. `npm run build` does it. */
import { kernelOf } from '../../model/kernel/kernel-build.mjs';

export const kernel = await kernelOf(import.meta.url, 'walk.ts', 8);
