import { expect, test } from 'vitest';
import { ScrapeParser, parseKernel } from './index.js';
import { ensureKernel } from './testing/kernel.js';
import { TwinWalker } from './walker-twin.js';
import { USUAL_WINDOWS, loadWasmWalker } from './walker-wasm.js';

await ensureKernel();

const OPTIONS = { resolver: { resolve: () => 0 }, honorTimestamps: true, maxSeries: 1 };

test('parsers use the kernel where it is built, and say so', () => {
  expect(parseKernel()).toEqual({ kernel: 'wasm', problem: '' });
  expect(new ScrapeParser(OPTIONS).kernel).toBe('wasm');
  expect(new ScrapeParser({ ...OPTIONS, walker: new TwinWalker() }).kernel).toBe('typescript');
});

test.each<[string, () => Uint8Array, RegExp]>([
  [
    'missing',
    () => {
      throw new Error('ENOENT: no such file');
    },
    /ENOENT/,
  ],
  ['cut off', () => Buffer.from('0061736d01', 'hex'), /WebAssembly|expected/],
  ['of another version', () => Buffer.from('0061736d01000000', 'hex'), /another version/],
])('a kernel that is %s is said, not thrown', (_name, read, expected) => {
  expect(loadWasmWalker(USUAL_WINDOWS, read)).toMatch(expected);
});
