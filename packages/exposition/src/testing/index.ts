/** For tests: they run on sources, and the kernel must not be older than these. */
export { ensureKernel } from './kernel.js';
/** What an encoder reads label sets from. */
export { ListedLabels } from './listed-labels.js';
