/**
 * The text format 0.0.4, as Prometheus 3 reads it: bytes in, offsets and numbers out.
 */
import type { MetricType } from '@canopy/model';
import { LineKind, LineReader, terminated } from './line-reader.js';

/**
 * Takes in what `parseText` finds, in the order of the body. Offsets are bytes into `body` and
 * valid during the call only; copy what you keep. Throwing stops the parse.
 */
export interface ExpositionSink {
  /** A `# HELP` line. Name and text are as written: `unescapeQuoted` and `unescapeHelp` read them. */
  help(
    body: Uint8Array,
    nameStart: number,
    nameEnd: number,
    textStart: number,
    textEnd: number,
  ): void;
  /** A `# TYPE` line; `untyped` is `unknown`. */
  type(body: Uint8Array, nameStart: number, nameEnd: number, type: MetricType): void;
  /**
   * A sample line. The series is what stands before the value: `readSeries` reads it. `time` is
   * milliseconds since the epoch, NaN where the line has none. Any NaN is just NaN.
   */
  sample(
    body: Uint8Array,
    seriesStart: number,
    seriesEnd: number,
    value: number,
    time: number,
  ): void;
}

/**
 * Reads one whole body. What the sink was told before an error must not count. Time is linear in
 * the body's length; memory is the body, and a copy of it where it does not end with a newline.
 * @throws FormatError `line 12: expected value after metric, got "…"`
 */
export function parseText(body: Uint8Array, sink: ExpositionSink): void {
  const bytes = terminated(body);
  const reader = new LineReader();
  reader.open(bytes);
  for (let p = 0; p < bytes.length; p = reader.next) {
    const kind = reader.read(p);
    if (kind === LineKind.sample) {
      sink.sample(bytes, reader.seriesStart, reader.seriesEnd, reader.value, reader.time);
    } else if (kind === LineKind.help) {
      const { nameStart, nameEnd, textStart, textEnd } = reader;
      sink.help(bytes, nameStart, nameEnd, textStart, textEnd);
    } else if (kind === LineKind.type) {
      sink.type(bytes, reader.nameStart, reader.nameEnd, reader.metricType);
    }
  }
}
