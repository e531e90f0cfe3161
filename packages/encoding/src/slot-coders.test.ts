import { expect, test } from 'vitest';
import { coderFor, tileKernel } from './slot-coders.js';
import { loadWasmCoder } from './slot-wasm.js';
import { ensureKernel } from './testing/index.js';

await ensureKernel();

test('tiles are coded by the kernel where it is built, long columns by the twin', () => {
  expect(tileKernel()).toEqual({ kernel: 'wasm', problem: '' });
  expect(coderFor(120).kernel).toBe('wasm');
  expect(coderFor(1 << 20).kernel).toBe('typescript');
});

test.each([
  [
    'missing',
    () => {
      throw new Error('ENOENT');
    },
    /ENOENT/,
  ],
  ['no WebAssembly', () => Uint8Array.of(1, 2, 3), /WebAssembly/],
  // An empty module: magic and version alone.
  ['of another version', () => Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0), /another version/],
])('a kernel that is %s is said, not thrown', (_name, read, expected) => {
  expect(loadWasmCoder(read)).toMatch(expected);
});
