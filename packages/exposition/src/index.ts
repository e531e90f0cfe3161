/** Exporter text to samples and back. */

/** Reads one body of text 0.0.4 into a sink. */
export { parseText } from './text-parser.js';
export type { ExpositionSink } from './text-parser.js';
/** Read names, labels and HELP out of what a sink was given. */
export { readSeries, unescapeHelp, unescapeQuoted } from './series-text.js';
/** Reads body after body of one target into slot columns. */
export { ScrapeParser } from './scrape-parser.js';
export type { ScrapeParserOptions, SeriesResolver } from './scrape-parser.js';
/** Which kernel reads bodies in this process. */
export { parseKernel } from './walkers.js';
export type { ScrapeColumns } from './slot-columns.js';
/** Writes text 0.0.4, and OpenMetrics. */
export { type FamilyEncoder, OpenMetricsEncoder, TextEncoder004 } from './text-encoder.js';
/** Writes a value as Go does. */
export { formatValue } from './float-text.js';
/** The other formats, behind the same names. */
export type { BodyReader } from './body-reader.js';
export { openMetricsReader, protobufReader } from './full-readers.js';
/** Protocol buffers as bytes. */
export { WireReader } from './protobuf-wire.js';
/** Names in other alphabets, for readers that know the old one only. */
export { ESCAPING_SCHEMES, escapeName, unescapeName } from './name-escaping.js';
export type { EscapingScheme } from './name-escaping.js';
