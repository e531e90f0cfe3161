/** Words and ports that every other package speaks. */
export * from './clock.js';
export * from './errors.js';
export * from './hierarchy.js';
export * from './journal.js';
export * from './labels.js';
export * from './last-samples.js';
export * from './ledger.js';
export * from './ledger-report.js';
export * from './matcher.js';
export * from './metric.js';
export * from './query.js';
export * from './regexp.js';
export * from './store.js';
export * from './target.js';
export * from './turns.js';
export * from './units.js';
export * from './wasm-kernel.js';
