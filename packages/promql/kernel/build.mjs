/** Builds `dist/kernel.wasm` where it is stale: `node packages/promql/kernel/build.mjs`. `npm run build` does it. */
import { kernelOf } from '../../model/kernel/kernel-build.mjs';

export const kernel = await kernelOf(import.meta.url, 'print.ts', 2);
