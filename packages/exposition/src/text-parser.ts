/**
 * The text format 0.0.4, as Prometheus 3 reads it: bytes in, offsets and numbers out.
 */
import { FormatError, type Labels, type MetricType } from '@canopy/model';

/**
 * Takes in what `parseText` finds, in the order of the body. Offsets are bytes into `body` and
 * valid during the call only; copy what you keep. Throwing stops the parse.
 */
export interface ExpositionSink {
  /** A `# HELP` line. The text is as written: `unescapeHelp` reads it. */
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

/** @throws FormatError `line 12: expected value after metric, got "…"` */
export function parseText(_body: Uint8Array, _sink: ExpositionSink): void {
  throw new FormatError('text parser is being written');
}

/**
 * Label pairs of one series text, as written (not sorted), `__name__` included, pairs with an
 * empty value left out.
 * @throws FormatError
 */
export function readSeries(_body: Uint8Array, _start: number, _end: number): Labels {
  throw new FormatError('text parser is being written');
}
