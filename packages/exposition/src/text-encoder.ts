/**
 * Text 0.0.4 and OpenMetrics, written: what `/federate` answers. Lines are put together as bytes; the texts of labels
 * come by number and are escaped and encoded once, not once a line.
 */
import { type Family, type LabelNumbers, type MetricType, compareUtf8 } from '@canopy/model';
import { escapeHelp, escapeQuoted, familyName, formatSeries } from './escaping.js';
import { writeSeconds, writeValue, writeWhole } from './float-bytes.js';
import type { EscapingScheme } from './name-escaping.js';
import { NameKind, SPARE, TextPieces } from './text-pieces.js';

/** Bytes collected before they are to be taken. */
const CHUNK_BYTES = 61_440;
/** Most bytes a value and a time take, with what separates them. */
const NUMBER_BYTES_MAX = 80;

/** The format knows four types; all others go out as `untyped`. */
const TYPE_NAMES: Readonly<Partial<Record<MetricType, string>>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  summary: 'summary',
};

/**
 * Families and samples → bytes. Whoever fills it takes what was collected whenever `full`, and at the end;
 * a chunk is about 60 KiB, more where one line is longer.
 */
export abstract class FamilyEncoder {
  readonly #labels: LabelNumbers;
  readonly #pieces: TextPieces;
  readonly #always: string;
  /** As it stands behind another label; '' for none. */
  readonly #alwaysText: string;
  protected readonly escaping: EscapingScheme;
  #version = -1;
  #bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES + 4096);
  #words = new DataView(this.#bytes.buffer);
  #length = 0;

  /**
   * `always`: a series without this label gets it, empty; '' for none. `escaping`: how names outside the old alphabet
   * are written.
   */
  constructor(labels: LabelNumbers, always = '', escaping: EscapingScheme = 'allow-utf-8') {
    this.#labels = labels;
    this.#pieces = new TextPieces(always, escaping);
    this.#always = always;
    this.#alwaysText = always === '' ? '' : `,${always}=""`;
    this.escaping = escaping;
  }

  /** Writes the lines about the family; its samples follow. */
  abstract beginFamily(family: Family): void;
  /** Writes a space and the time, in milliseconds since the epoch; returns the place after it. */
  protected abstract writeTime(out: Buffer, at: number, time: number): number;
  /** What the format wants last. */
  protected abstract readonly ending: string;

  get full(): boolean {
    return this.#length >= CHUNK_BYTES;
  }

  /** What was collected; valid until the next call of anything. */
  take(): Buffer {
    const chunk = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return chunk;
  }

  /** Writes what the format wants last. */
  end(): void {
    this.append(this.ending);
  }

  /** Writes one sample line; `time` undefined for none. The label set is the one that `labels` knows by this number. */
  sample(series: number, value: number, time: number | undefined): void {
    this.#series(series);
    this.#reserve(NUMBER_BYTES_MAX);
    const out = this.#bytes;
    let at = this.#length;
    out[at++] = 0x20;
    at = writeValue(out, at, value);
    if (time !== undefined) at = this.writeTime(out, at, time);
    out[at++] = 0x0a;
    this.#length = at;
  }

  protected append(text: string): void {
    this.#reserve(3 * text.length);
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** A series as it stands in a sample line: `name{a="b"}`, or `{"my.name",a="b"}`. */
  #series(series: number): void {
    const labels = this.#labels;
    const pieces = this.#pieces;
    const count = labels.load(series);
    if (labels.version !== this.#version) {
      this.#version = labels.version;
      pieces.clear();
    }
    const { numbers } = labels;
    const begun = this.#length;
    const metricAt = this.#metricAt(count);
    if (metricAt === count) this.append('{""');
    else {
      pieces.metric(labels, numbers[metricAt + 1]);
      this.#copyPiece(0);
    }
    // 1 while the next label is the first behind `name{`: then it has no comma.
    let first = metricAt === count || pieces.kind === 1 ? 0 : 1;
    let isDue = this.#always !== '';
    for (let i = 0; i < count; i += 2) {
      if (i === metricAt) continue;
      pieces.name(labels, numbers[i]);
      if (pieces.kind === NameKind.escaped) {
        this.#length = begun;
        return this.append(this.#escapedSeries(count));
      }
      if (isDue && pieces.kind >= NameKind.always) {
        isDue = false;
        if (pieces.kind === NameKind.after) {
          this.append(this.#alwaysText.slice(first));
          first = 0;
          pieces.name(labels, numbers[i]);
        }
      }
      this.#copyPiece(first);
      first = 0;
      pieces.value(labels, numbers[i + 1]);
      this.#copyPiece(0);
    }
    if (isDue) this.append(this.#alwaysText.slice(first));
    this.#reserve(1);
    // A plain name alone has no braces.
    if (first === 1 && !isDue) this.#length--;
    else this.#bytes[this.#length++] = 0x7d;
  }

  /** The series that was loaded, where the names of its labels have to be seen together. */
  #escapedSeries(count: number): string {
    const { numbers } = this.#labels;
    const texts = Array.from({ length: count }, (_, i) => this.#labels.text(numbers[i]));
    let at = 0;
    while (at < count && compareUtf8(texts[at], this.#always) < 0) at += 2;
    if (this.#always !== '' && texts[at] !== this.#always) texts.splice(at, 0, this.#always, '');
    return formatSeries(texts, this.escaping);
  }

  /** Where `__name__` stands; `count` where it does not. */
  #metricAt(count: number): number {
    const { numbers } = this.#labels;
    for (let i = 0; i < count; i += 2) {
      this.#pieces.name(this.#labels, numbers[i]);
      if (this.#pieces.kind === NameKind.metric) return i;
    }
    return count;
  }

  /** Copies the piece that was asked for, but for its first `skipped` bytes. */
  #copyPiece(skipped: number): void {
    const { words, start, end } = this.#pieces;
    this.#reserve(end - start);
    const out = this.#words;
    const shift = this.#length - start - skipped;
    // Fast path: four bytes at a time, up to three too many; pieces are so short that a call of `set` costs more.
    for (let i = start + skipped; i < end; i += 4) {
      out.setUint32(i + shift, words.getUint32(i, true), true);
    }
    this.#length = end + shift;
  }

  #reserve(size: number): void {
    const needed = this.#length + size + SPARE;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(2 * needed);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#words = new DataView(grown.buffer);
  }
}

/** Text 0.0.4. */
export class TextEncoder004 extends FamilyEncoder {
  protected readonly ending = '';

  beginFamily({ name, type, help }: Pick<Family, 'name' | 'type' | 'help'>): void {
    const shown = familyName(name, this.escaping);
    if (help !== '') this.append(`# HELP ${shown} ${escapeHelp(help)}\n`);
    this.append(`# TYPE ${shown} ${TYPE_NAMES[type] ?? 'untyped'}\n`);
  }

  protected writeTime(out: Buffer, at: number, time: number): number {
    out[at++] = 0x20;
    return writeWhole(out, at, time);
  }
}

/**
 * OpenMetrics 1.0: types under their own names, units, times in seconds, `# EOF`. Which metric may
 * stand under which family is the caller's to know.
 */
export class OpenMetricsEncoder extends FamilyEncoder {
  protected readonly ending = '# EOF\n';

  beginFamily({ name, type, help, unit }: Family): void {
    const shown = familyName(name, this.escaping);
    this.append(`# TYPE ${shown} ${type}\n`);
    // A unit that the name does not end with makes the whole body an error.
    if (unit !== '' && name.endsWith(`_${unit}`)) this.append(`# UNIT ${shown} ${unit}\n`);
    if (help !== '') this.append(`# HELP ${shown} ${escapeQuoted(help)}\n`);
  }

  /** Readers cut `seconds * 1000` down to milliseconds; the shortest text of the quotient survives it. */
  protected writeTime(out: Buffer, at: number, time: number): number {
    out[at++] = 0x20;
    return writeSeconds(out, at, time);
  }
}
