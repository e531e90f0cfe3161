/** What tests and benchmarks of other packages may use. */

/** Series in plain arrays behind the port Queryable. */
export { MemoryQueryable } from './memory.js';
/** Test scripts in Prometheus's load/eval language. */
export { type EvaluationOutcome, type MakeEngine, parseScript, runScript } from './script.js';
