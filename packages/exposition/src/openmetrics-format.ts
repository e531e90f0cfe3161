/**
 * OpenMetrics 1.0, as Prometheus 3 reads it (model/textparse, openmetricslex.l and openmetricsparse.go): one
 * space between things and nowhere else, `# EOF` at the end, times in seconds. `_created` lines are samples
 * like others. Towards an error it differs where Prometheus lets pass what it refuses on appending: a NUL outside of
 * label values and HELP, invalid UTF-8 in names, empty names, a label given twice; and an unquoted metric name in braces.
 */
import { isUtf8 } from 'node:buffer';
import { FormatError, type Labels, type MetricType } from '@canopy/model';
import type { BodyFormat, FormatSink } from './body-reader.js';
import { commonPrefix } from './common-prefix.js';
import { canonicalBound, parseFloatText, readPlainNumber } from './float-text.js';
import { nameCharTable } from './name-chars.js';
import { SampleLines } from './sample-lines.js';
import { readSeries, unescapeQuoted } from './series-text.js';

const NAME_START = 1;
const NAME = 2;
const LABEL_START = 4;
const LABEL = 8;
const CHARS = nameCharTable();

const NEWLINE = 10;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const COMMA = 44;
const EQUAL = 61;
const BACKSLASH = 92;
const BRACE_OPEN = 123;
const BRACE_CLOSE = 125;

const TYPES: ReadonlySet<string> = new Set<MetricType>([
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
  'unknown',
]);
const INT64_MAX = 2 ** 63;
/** Bytes of the offending text that an error message shows. */
const SHOWN_BYTES_MAX = 60;
const NO_BYTES = new Uint8Array(0);
const NO_EOF = 'data does not end with # EOF';

/** Lines of the body being read. Shared: reading a body is one synchronous call. */
const lines = new SampleLines();
/** Lines beyond this are given back after the body that needed them. */
const SHARED_LINES_MAX = 1 << 20;

export class OpenMetricsFormat implements BodyFormat {
  /** What `readPlainNumber` read last. */
  value = 0;
  #body: Uint8Array = NO_BYTES;
  #text: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(NO_BYTES.buffer);
  #lineStart = 0;
  #seriesEnd = 0;
  #time = NaN;
  #exemplar = 0;
  /** Of the last TYPE line, whatever its family, as in Prometheus. */
  #type: MetricType = 'unknown';
  /** The last body that counts, its sample lines, and which of them is the next to look at. */
  #kept: Uint8Array = NO_BYTES;
  #keptView: DataView = new DataView(NO_BYTES.buffer);
  readonly #keptLines = new SampleLines();
  #place = 0;
  readonly keep: (() => void) | undefined;

  /** `keepBody` false: nothing is remembered of a body, and each is read in full. */
  constructor(keepBody = true) {
    if (keepBody) this.keep = () => this.#keepBody();
  }

  read(body: Uint8Array, sink: FormatSink): void {
    this.#open(body);
    this.#type = 'unknown';
    this.#place = 0;
    lines.clear();
    let p = 0;
    while (p >= 0) {
      this.#lineStart = p;
      if (p >= body.length) this.#fail(NO_EOF, p);
      if (body[p] === HASH) p = this.#readMeta(p, sink);
      else {
        const next = this.#place < this.#keptLines.count ? this.#readAgain(p, sink) : -1;
        p = next < 0 ? this.#readSample(p, sink) : next;
      }
    }
  }

  labels(): Labels {
    const labels = readSeries(this.#body, this.#lineStart, this.#seriesEnd);
    if (this.#type === 'histogram') return withBound(labels, 'le');
    return this.#type === 'summary' ? withBound(labels, 'quantile') : labels;
  }

  close(): void {
    this.#open(NO_BYTES);
    if (lines.starts.length > SHARED_LINES_MAX) lines.release();
  }

  #keepBody(): void {
    const size = this.#body.length;
    if (size > this.#kept.length || this.#kept.length > 2 * size + 4096) {
      this.#kept = new Uint8Array(size + (size >> 4));
      this.#keptView = new DataView(this.#kept.buffer);
    }
    this.#kept.set(this.#body);
    this.#keptLines.copyFrom(lines);
  }

  /**
   * Fast path: reads a line beside the one that stood here in the last body. Where the series and what
   * follows it are the same bytes, it is the same series; equal lines are not read at all. Returns the offset of the
   * next line, -1 where the line must be read in full.
   */
  #readAgain(start: number, sink: FormatSink): number {
    const place = this.#place;
    const { starts, lengths, prefixes, values, exemplars } = this.#keptLines;
    const length = lengths[place];
    const prefix = prefixes[place];
    const limit = Math.min(length, this.#body.length - start);
    const same = commonPrefix(this.#view, start, this.#keptView, starts[place], limit);
    // The space after a series ends it.
    if (same <= prefix) return -1;
    let end = start + length;
    if (same === length) {
      this.value = values[place];
      this.#time = this.#keptLines.timeOf(place);
      this.#exemplar = exemplars[place];
    } else end = this.#readRest(start + prefix);
    if (!sink.again(place, this.value, this.#time)) return -1;
    if (this.#exemplar === 1) sink.exemplar();
    lines.add(start, end - start, prefix, this.value, this.#time, this.#exemplar);
    this.#place = place + 1;
    return end;
  }

  #open(body: Uint8Array): void {
    this.#body = body;
    this.#text = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  /** Returns the offset of the next line, -1 after `# EOF`. */
  #readMeta(start: number, sink: FormatSink): number {
    const body = this.#body;
    const word = this.#text.toString('latin1', start, start + 7);
    if (word.startsWith('# EOF')) {
      const end = body[start + 5] === NEWLINE ? start + 6 : start + 5;
      if (end !== body.length) this.#fail('unexpected data after # EOF', end);
      return -1;
    }
    const keyword = word.slice(2, 6);
    const known = keyword === 'HELP' || keyword === 'TYPE' || keyword === 'UNIT';
    if (!known || word[1] !== ' ' || word[6] !== ' ') {
      this.#fail('expected a valid start token', start, start + 7);
    }
    const nameStart = start + 7;
    const nameEnd = this.#skipName(nameStart, keyword);
    const end = body.indexOf(NEWLINE, nameEnd);
    if (body[nameEnd] !== SPACE || end < 0) this.#fail(`expected text in ${keyword}`, nameEnd);
    const name = this.#nameText(nameStart, nameEnd);
    this.#takeMeta(keyword, name, nameEnd + 1, end, sink);
    return end + 1;
  }

  #takeMeta(keyword: string, name: string, start: number, end: number, sink: FormatSink): void {
    if (keyword === 'HELP') this.#checkUtf8(start, end, 'help text is not a valid utf8 string');
    // Types are short; a long text is none.
    const text = this.#text.toString('utf8', start, end);
    if (keyword === 'TYPE') {
      if (!TYPES.has(text)) this.#fail('invalid metric type', start, end);
      this.#type = text as MetricType;
      sink.type(name, this.#type);
    } else if (keyword === 'HELP') {
      sink.help(name, unescapeQuoted(text));
    } else {
      if (text !== '' && !name.endsWith(`_${text}`)) {
        this.#fail(`unit not a suffix of metric ${JSON.stringify(name)}`, start, end);
      }
      sink.unit(name, text);
    }
  }

  /** Returns the offset after the family's name. */
  #skipName(start: number, keyword: string): number {
    const body = this.#body;
    const expected = `expected metric name after ${keyword}`;
    if (body[start] === QUOTE) {
      const end = this.#skipQuoted(start, true, expected);
      if (end === start + 2) this.#fail('empty name', start, end);
      return end;
    }
    if ((CHARS[body[start]] & NAME_START) === 0) this.#fail(expected, start);
    let p = start + 1;
    while ((CHARS[body[p]] & NAME) !== 0) p++;
    return p;
  }

  #nameText(start: number, end: number): string {
    if (this.#body[start] !== QUOTE) return this.#text.toString('latin1', start, end);
    return unescapeQuoted(this.#text.toString('utf8', start + 1, end - 1));
  }

  /** Reads a line in full. Returns the offset of the next one. */
  #readSample(start: number, sink: FormatSink): number {
    const body = this.#body;
    let p = start;
    const named = (CHARS[body[p]] & NAME_START) !== 0;
    if (named) while ((CHARS[body[p]] & NAME) !== 0) p++;
    else if (body[p] !== BRACE_OPEN) this.#fail('expected a valid start token', p);
    if (body[p] === BRACE_OPEN) p = this.#readLabels(p + 1, named, false);
    this.#seriesEnd = p;
    const end = this.#readRest(p);
    const { value } = this;
    const place = sink.sample(body, this.#view, start, p, value, this.#time);
    if (this.#exemplar === 1) sink.exemplar();
    lines.add(start, end - start, p - start, value, this.#time, this.#exemplar);
    // Where that series stood in the last body is where the walk goes on.
    if (place >= 0) this.#place = place + 1;
    return end;
  }

  /** Reads what follows a series: value, time, exemplar. Returns the offset of the next line. */
  #readRest(start: number): number {
    const body = this.#body;
    let p = this.#readNumber(start, 'expected value after metric');
    const { value } = this;
    this.#time = NaN;
    this.#exemplar = 0;
    if (body[p] === SPACE && !this.#exemplarAt(p)) {
      p = this.#readNumber(p, 'expected timestamp');
      this.#time = this.#milliseconds(p);
    }
    if (this.#exemplarAt(p)) {
      p = this.#readExemplar(p);
      this.#exemplar = 1;
    }
    if (body[p] !== NEWLINE) {
      if (p >= body.length) this.#fail(NO_EOF, p);
      this.#fail('expected next entry after timestamp', p);
    }
    this.value = value;
    return p + 1;
  }

  /** The number read last, in seconds, as whole milliseconds. `end` is the offset after it. */
  #milliseconds(end: number): number {
    // Truncated as in Prometheus; adding 0 makes -0 a plain 0.
    const time = Math.trunc(this.value * 1000) + 0;
    if (!(Math.abs(time) < INT64_MAX)) this.#fail('invalid timestamp', this.#lineStart, end);
    return time;
  }

  #exemplarAt(p: number): boolean {
    const body = this.#body;
    return (
      body[p] === SPACE &&
      body[p + 1] === HASH &&
      body[p + 2] === SPACE &&
      body[p + 3] === BRACE_OPEN
    );
  }

  /** Reads ` # {…} value [time]`; returns the offset after it. */
  #readExemplar(start: number): number {
    let p = this.#readLabels(start + 4, true, true);
    p = this.#readNumber(p, 'expected value after exemplar labels');
    if (this.#body[p] !== SPACE) return p;
    p = this.#readNumber(p, 'expected exemplar timestamp');
    this.#milliseconds(p);
    return p;
  }

  /** Reads what stands between braces; returns the offset after the closing one. */
  #readLabels(start: number, namedBefore: boolean, exemplar: boolean): number {
    const body = this.#body;
    let named = namedBefore;
    let p = start;
    while (body[p] !== BRACE_CLOSE) {
      const nameStart = p;
      const quoted = body[p] === QUOTE;
      if (quoted) p = this.#skipQuoted(p, !exemplar, 'expected label name');
      else if ((CHARS[body[p]] & LABEL_START) === 0) this.#fail('expected label name', p);
      else while ((CHARS[body[p]] & LABEL) !== 0) p++;
      if (quoted && p - nameStart === 2) this.#fail('empty name', nameStart, p);
      const after = body[p];
      // A quoted string by itself is the metric's name.
      if (quoted && !exemplar && (after === COMMA || after === BRACE_CLOSE)) {
        if (named) this.#fail('metric name already set', nameStart, p);
        named = true;
        if (after === COMMA) p++;
        continue;
      }
      if (after !== EQUAL) this.#fail('expected equal', p);
      if (body[p + 1] !== QUOTE) this.#fail('expected label value', p + 1);
      p = this.#skipQuoted(p + 1, false, 'expected label value');
      if (body[p] === COMMA) p++;
      else if (body[p] !== BRACE_CLOSE) this.#fail('expected comma or brace close', p);
    }
    if (!named) this.#fail('metric name not set', start - 1);
    return p + 1;
  }

  /** Returns the offset after the string that starts with the quote at `start`. */
  #skipQuoted(start: number, newlines: boolean, expected: string): number {
    const body = this.#body;
    const end = body.length;
    let seen = 0;
    let p = start + 1;
    for (; p < end; p++) {
      const c = body[p];
      if (c === QUOTE) {
        if (seen >= 0x80) this.#checkUtf8(start + 1, p, 'invalid UTF-8 in quoted string');
        return p + 1;
      }
      seen |= c;
      if (c === BACKSLASH) {
        p++;
        if (p >= end || body[p] === NEWLINE) break;
        seen |= body[p];
      } else if (c === NEWLINE && !newlines) break;
    }
    return this.#fail(`${expected}: string is not closed`, start, Math.min(p, end));
  }

  /** Reads a space and the number after it into `value`; returns the offset after it. */
  #readNumber(start: number, expected: string): number {
    const body = this.#body;
    if (body[start] !== SPACE) this.#fail(expected, start);
    const first = start + 1;
    let p = readPlainNumber(body, first, this);
    if (p >= 0 && (body[p] === SPACE || body[p] === NEWLINE)) return p;
    for (p = first; p < body.length && body[p] !== SPACE && body[p] !== NEWLINE; ) p++;
    if (p === first) this.#fail(expected, p);
    const value = parseFloatText(this.#text.toString('latin1', first, p));
    if (typeof value === 'string') this.#fail(value, first, p);
    else this.value = value;
    return p;
  }

  #checkUtf8(start: number, end: number, message: string): void {
    if (!isUtf8(this.#body.subarray(start, end))) this.#fail(message, start, end);
  }

  /** Cold path: says where and what. */
  #fail(message: string, at: number, end = at + 1): never {
    let line = 1;
    for (let p = 0; p < this.#lineStart; p++) if (this.#body[p] === NEWLINE) line++;
    if (at >= this.#body.length) throw new FormatError(`line ${line}: ${message}`);
    const clipped = this.#text.toString('utf8', at, Math.min(end, at + SHOWN_BYTES_MAX));
    const more = end - at > SHOWN_BYTES_MAX ? '…' : '';
    throw new FormatError(`line ${line}: ${message}, got ${JSON.stringify(clipped + more)}`);
  }
}

function withBound(labels: Labels, name: string): Labels {
  for (let i = 2; i < labels.length; i += 2) {
    if (labels[i] === name) return labels.with(i + 1, canonicalBound(labels[i + 1]));
  }
  return labels;
}
