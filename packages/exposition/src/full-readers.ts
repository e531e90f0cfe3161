/** Readers of the formats that are read in full. */
import { type BodyReader, FullReader } from './body-reader.js';
import { OpenMetricsFormat } from './openmetrics-format.js';
import { ProtobufFormat } from './protobuf-format.js';
import type { ScrapeParserOptions } from './scrape-parser.js';

/** OpenMetrics 1.0 and 0.0.1 text of one target. */
export function openMetricsReader(options: ScrapeParserOptions): BodyReader {
  return new FullReader(options, new OpenMetricsFormat(options.keepBody));
}

/** Delimited `io.prometheus.client.MetricFamily` messages of one target. */
export function protobufReader(options: ScrapeParserOptions): BodyReader {
  return new FullReader(options, new ProtobufFormat());
}
