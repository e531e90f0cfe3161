/** For tests and benches of this and other packages. */

/** Seeded chance. */
export { type Rng, makeRng } from './random.js';
/** Values and groups that behave as exporters' do. */
export { SampleGroup, anyValue } from './samples.js';
/** Golden bytes of a format page. */
export { exampleBytes } from './example.js';
/** For tests that need the WebAssembly kernel. */
export { ensureKernel } from './kernel.js';
