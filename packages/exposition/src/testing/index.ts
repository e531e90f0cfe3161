/** For tests: they run on sources, and the kernel must not be older than these. */
export { ensureKernel } from './kernel.js';
