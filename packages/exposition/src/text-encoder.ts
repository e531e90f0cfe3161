/**
 * The text format 0.0.4, written: what `/federate` answers.
 */
import type { Family, Labels } from '@canopy/model';

/** Takes one chunk of text, at most 64 KiB, in UTF-8; it owns the bytes. */
export type ChunkSink = (chunk: Buffer) => void;

/** Writes families and samples as they come; chunks go to the sink as they fill. */
export class TextEncoder004 {
  constructor(_write: ChunkSink) {}
  /** Writes the HELP (where there is one) and TYPE lines; samples of the family follow. */
  beginFamily(_family: Pick<Family, 'name' | 'type' | 'help'>): void {}
  /** Writes one sample line. `time` in milliseconds since the epoch, undefined for none. */
  sample(_labels: Labels, _value: number, _time: number | undefined): void {}
  /** Hands what is left to the sink. The encoder may be used again. */
  flush(): void {}
}

/** A value as Go prints it (`strconv.FormatFloat(v, 'g', -1, 64)`): `1e+06`, `+Inf`, `NaN`. */
export function formatValue(value: number): string {
  return String(value);
}
