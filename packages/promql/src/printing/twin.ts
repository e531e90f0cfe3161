/** Printing in TypeScript: what the kernel is compared with, and what is used without it. */
import { formatFloat, formatSeconds } from '../float.js';
import type { NumberPrinter } from './number-printer.js';

const COUNT_MAX = 1024;
/** Bytes of a point at most: `[` time `,"` value `"],`. */
const POINT_BYTES = 50;

export class TwinPrinter implements NumberPrinter {
  readonly kernel = 'typescript';
  readonly countMax = COUNT_MAX;
  readonly values = new Float64Array(COUNT_MAX);
  readonly ends = new Uint32Array(COUNT_MAX);
  #stamps: string[] = [];
  readonly #out = Buffer.alloc(COUNT_MAX * POINT_BYTES);

  numbers(count: number): Uint8Array {
    let text = '';
    for (let i = 0; i < count; i++) {
      text += formatFloat(this.values[i]);
      this.ends[i] = text.length;
    }
    return this.#write(text);
  }

  stamp(times: Float64Array, from: number, to: number): void {
    this.#stamps = Array.from(times.subarray(from, to), (time) => `[${formatSeconds(time)},"`);
  }

  points(): Uint8Array {
    let text = '';
    this.#stamps.forEach((stamp, i) => (text += `${stamp}${formatFloat(this.values[i])}"],`));
    return this.#write(text);
  }

  #write(text: string): Uint8Array {
    return this.#out.subarray(0, this.#out.write(text, 'latin1'));
  }
}
