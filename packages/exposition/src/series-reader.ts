/**
 * Labels of series texts, one after another of a body: the same as `readSeries` gives, without making
 * again the strings that a text has in common with the one before.
 */
import { type Labels, METRIC_NAME } from '@canopy/model';
import { commonPrefix } from './common-prefix.js';
import { canonicalBound } from './float-text.js';
import { readSeries, unescapeQuoted } from './series-text.js';
import { ShortStrings } from './short-strings.js';

const TAB = 9;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const EQUAL = 61;
const BACKSLASH = 92;
const BRACE_OPEN = 123;
const BRACE_CLOSE = 125;
/** Series with more labels are read by `readSeries`. */
const PAIRS_MAX = 32;

const NO_BYTES: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = new DataView(new ArrayBuffer(0));

export class SeriesReader {
  readonly #strings = new ShortStrings();
  #body = NO_BYTES;
  #view: DataView = NO_VIEW;
  #text: Buffer = Buffer.alloc(0);
  /** Series read last, -1 for none, and its length. */
  #last = -1;
  #lastLength = 0;
  #lastLabels: Labels = [];
  /** Offset after each pair of it, counted from its start. */
  readonly #ends = new Uint32Array(PAIRS_MAX);
  /** Hash of the text that `#plainEnd` or `#valueEnd` went over, and whether it is more than plain ASCII. */
  #hash = 0;
  #isOdd = false;

  /** `body` stays as it is while it is read. */
  open(body: Uint8Array, view: DataView): void {
    this.#body = body;
    this.#view = view;
    this.#text = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.#last = -1;
  }

  close(): void {
    this.open(NO_BYTES, NO_VIEW);
    this.#lastLabels = [];
  }

  /**
   * Labels of the series text `[start, end)`, which the lexer has let pass; blanks before it are left out.
   * @throws FormatError as `readSeries` does.
   */
  read(start: number, end: number): Labels {
    const labels = this.#readPlain(start, end);
    if (labels === undefined) {
      this.#last = -1;
      return readSeries(this.#body, start, end);
    }
    this.#last = start;
    this.#lastLength = end - start;
    this.#lastLabels = labels;
    return labels;
  }

  /** Number of leading pairs that the text at `start` has in common with the series read last. */
  #sharedPairs(start: number, end: number): number {
    if (this.#last < 0) return 0;
    const length = Math.min(end - start, this.#lastLength);
    const shared = commonPrefix(this.#view, start, this.#view, this.#last, length);
    let pairs = this.#lastLabels.length >> 1;
    while (pairs > 0 && this.#ends[pairs - 1] > shared) pairs--;
    return pairs;
  }

  /** Undefined where there are blanks, quoted names or doubled ones, or very many labels. */
  #readPlain(start: number, end: number): Labels | undefined {
    const body = this.#body;
    const ends = this.#ends;
    let pairs = this.#sharedPairs(start, end);
    let p = pairs > 0 ? start + ends[pairs - 1] : start;
    const labels = pairs > 0 ? this.#lastLabels.slice() : [METRIC_NAME, ''];
    if (pairs === 0) {
      p = this.#plainEnd(start, end, BRACE_OPEN);
      if (p === start || (p < end && body[p] !== BRACE_OPEN)) return undefined;
      labels[1] = this.#strings.of(this.#text, start, p, this.#hash);
      if (p < end) p++;
      // Without a brace, nothing says that the name ends here in another text.
      ends[0] = p < end ? p - start : 0xffffffff;
      pairs = 1;
    }
    while (p < end && body[p] !== BRACE_CLOSE) {
      if (body[p] === COMMA) {
        p++;
        continue;
      }
      if (pairs === PAIRS_MAX) return undefined;
      const nameEnd = this.#plainEnd(p, end, EQUAL);
      if (body[nameEnd] !== EQUAL || body[nameEnd + 1] !== QUOTE) return undefined;
      const name = this.#strings.of(this.#text, p, nameEnd, this.#hash);
      for (let i = 0; i < 2 * pairs; i += 2) if (labels[i] === name) return undefined;
      const valueStart = nameEnd + 2;
      const valueEnd = this.#valueEnd(valueStart);
      labels[2 * pairs] = name;
      labels[2 * pairs + 1] = this.#isOdd
        ? unescapeQuoted(this.#text.toString('utf8', valueStart, valueEnd))
        : this.#strings.of(this.#text, valueStart, valueEnd, this.#hash);
      p = valueEnd + 1;
      ends[pairs++] = p - start;
    }
    labels.length = 2 * pairs;
    return labels;
  }

  /** End of the name at `start`: the byte `terminator`, a blank, a quote, or `end`. */
  #plainEnd(start: number, end: number, terminator: number): number {
    const body = this.#body;
    let hash = 0;
    let p = start;
    for (; p < end; p++) {
      const c = body[p];
      if (c === terminator || c === SPACE || c === TAB || c === QUOTE || c === BRACE_CLOSE) break;
      hash = (Math.imul(hash, 31) + c) | 0;
    }
    this.#hash = hash;
    return p;
  }

  /** Offset of the closing quote of the string that has its first byte at `start`. */
  #valueEnd(start: number): number {
    const body = this.#body;
    let hash = 0;
    let seen = 0;
    let isOdd = false;
    let p = start;
    for (let c = body[p]; c !== QUOTE; c = body[++p]) {
      if (c === BACKSLASH) {
        isOdd = true;
        c = body[++p];
      }
      seen |= c;
      hash = (Math.imul(hash, 31) + c) | 0;
    }
    this.#hash = hash;
    this.#isOdd = isOdd || seen >= 0x80;
    return p;
  }
}

/** Labels with the bound in label `name`, where there is one, spelt as OpenMetrics does. */
export function withCanonicalBound(labels: Labels, name: string): Labels {
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] !== name) continue;
    const bound = canonicalBound(labels[i + 1]);
    return bound === labels[i + 1] ? labels : labels.with(i + 1, bound);
  }
  return labels;
}
