/** Exporter text to samples and back. */

/** Reads one body of text 0.0.4 into a sink. */
export { parseText, readSeries } from './text-parser.js';
export type { ExpositionSink } from './text-parser.js';
/** Reads body after body of one target into slot columns. */
export { ScrapeParser } from './scrape-parser.js';
export type { ScrapeColumns, ScrapeParserOptions, SeriesResolver } from './scrape-parser.js';
/** Writes text 0.0.4. */
export { TextEncoder004, formatValue } from './text-encoder.js';
export type { ChunkSink } from './text-encoder.js';
