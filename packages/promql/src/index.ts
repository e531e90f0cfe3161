/** Query text to tree to plan to values, over a Queryable. */

/** The engine and its options. */
export { type ActiveQueries, Engine, type EngineFeatures, type EngineOptions } from './engine.js';
export { type EngineTotals, NO_STATS } from './stats.js';
/** A number in the notation of Prometheus's JSON: shortest form, `NaN`, `+Inf`, `-Inf`. */
export { formatFloat } from './float.js';
/** The same without exponents: the value of a scalar result. */
export { formatFloatPlain } from './float.js';
/** Milliseconds as seconds: `1500` → `1.500`. */
export { formatSeconds } from './float.js';
/** Many numbers, or points, as bytes of Prometheus's JSON. */
export { type NumberPrinter, numberPrinter, printKernel } from './printing/number-printer.js';
/** Text to typed tree. */
export { parseQuery, parseSelector } from './syntax/parse.js';
/** Text or tree to text. */
export { formatQuery } from './syntax/format.js';
/** The tree. */
export { typeOf } from './syntax/ast.js';
export type * from './syntax/ast.js';
