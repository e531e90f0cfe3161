/**
 * Body after body of one target, read as differences: an equal line is not read again; of a line
 * equal up to its value, only the number; the lexer sees the rest. Lines that came, went or moved
 * are found by their series text, and the walk goes on from where that stood in the last body.
 */
import { CanopyError, type Family, invariant } from '@canopy/model';
import { FamilyTable } from './family-table.js';
import { KeptBody } from './kept-body.js';
import { LineKind, LineReader, terminated } from './line-reader.js';
import {
  COMMENTS,
  LineTable,
  NO_SAMPLE,
  READ_AGAIN,
  READ_IN_FULL,
  ROWS_KEPT_MAX,
  VALUE_NOT_APART,
} from './line-table.js';
import { SeriesHash } from './series-hash.js';
import { SeriesIndex, TextPlace, type Texts } from './series-index.js';
import { SeriesReader, withCanonicalBound } from './series-reader.js';
import { unescapeHelp, unescapeQuoted } from './series-text.js';
import { type ScrapeColumns, SlotColumns } from './slot-columns.js';
import type { ScrapeParserOptions, SeriesResolver } from './scrape-options.js';
import type { Walker } from './walk-state.js';
import { loadedWalker } from './walkers.js';

export type { ScrapeParserOptions, SeriesResolver } from './scrape-options.js';

/** Rows of the body being read. Shared by all parsers: reading a body is one synchronous call. */
const rows = new LineTable();
const reader = new LineReader();
const seriesHash = new SeriesHash();
const seriesReader = new SeriesReader();
let busy = false;

const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const HASH = 35;
const BRACE_CLOSE = 125;
const NO_BYTES: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = new DataView(new ArrayBuffer(0));

/** Parser of one target. Not for concurrent use. */
export class ScrapeParser implements Texts {
  readonly #resolver: SeriesResolver;
  readonly #honorTimestamps: boolean;
  readonly #maxSeries: number;
  readonly #index = new SeriesIndex();
  readonly #families: FamilyTable;
  readonly #columns = new SlotColumns();
  readonly #lines = new LineTable();
  /** Number of the running or last parse, refused ones included. */
  #parse = 0;
  /** Number of the parse that made the last body. */
  #lastParse = 0;
  /** Whether every row of the last body has its place in this one, and no other has. */
  #inStep = false;
  #samples = 0;
  /** Whether the next line that is not where it was may well be one that was elsewhere. */
  #expectsKnown = false;
  /** Whether the columns still are what the last body gave. */
  #columnsStand = false;
  /** Whether there is something that `forget` has not looked at. */
  #isForgetDue = true;
  /** Where no body is kept: families that the last one described. */
  readonly #described = new Set<string>();
  readonly #keepsBody: boolean;
  readonly #walker: Walker;
  /** What `#familyOf` answered last, '' for nothing. */
  #familyName = '';
  #family: Family | undefined;
  readonly #kept = new KeptBody();

  /** For the index only. */
  newBody = NO_BYTES;
  newView = NO_VIEW;

  constructor(options: ScrapeParserOptions) {
    this.#resolver = options.resolver;
    this.#honorTimestamps = options.honorTimestamps;
    this.#maxSeries = options.maxSeries;
    this.#keepsBody = options.keepBody !== false;
    this.#walker = options.walker ?? loadedWalker();
    this.#families = new FamilyTable(options.maxSeries);
  }

  /** What walks equal lines: the WebAssembly kernel, or, where it cannot be had, TypeScript. */
  get kernel(): 'wasm' | 'typescript' {
    return this.#walker.kernel;
  }

  get lastBody(): Uint8Array {
    return this.#kept.bytes;
  }

  get lastView(): DataView {
    return this.#kept.view;
  }

  get lastStarts(): Uint32Array {
    return this.#lines.starts;
  }

  get newStarts(): Uint32Array {
    return rows.starts;
  }

  /**
   * Reads one body, which may be reused after the call.
   * @throws FormatError, `limit`, or what the resolver throws: nothing of the scrape counts.
   */
  parse(body: Uint8Array): ScrapeColumns {
    invariant(!busy, 'BUG: a scrape parser was called from a resolver');
    if (this.#index.count > this.#maxSeries) this.#retain((entry) => this.#inLastBody(entry));
    const entriesBefore = this.#index.count;
    busy = true;
    this.#open(terminated(body));
    let done = false;
    try {
      this.#walk();
      this.#takeOver();
      done = true;
    } finally {
      if (!done) {
        this.#index.truncate(entriesBefore);
        this.#distrustComments();
      }
      this.#close();
      busy = false;
    }
    const { describe } = this.#resolver;
    if (describe) this.#families.describeChanged((family) => describe.call(this.#resolver, family));
    return this.#columns;
  }

  /** The caller has renumbered its slots: new slot = map[old slot], -1 forgets the series. */
  renumber(map: Int32Array): void {
    const { slots } = this.#index;
    this.#retain((entry) => slots[entry] < 0 || (map[slots[entry]] ?? -1) >= 0);
    for (let entry = 0; entry < this.#index.count; entry++) {
      const slot = this.#index.slots[entry];
      if (slot >= 0) this.#index.slots[entry] = map[slot];
    }
    this.#columns.renumber(map);
    this.#columnsStand = false;
  }

  /**
   * Forgets series that the last `unseenParses` bodies did not have, at least 1 (those of the last body
   * are needed to read the next), and families that the last body did not describe.
   */
  forget(unseenParses: number): void {
    if (!this.#isForgetDue) return;
    const oldest = this.#parse - Math.max(1, unseenParses);
    const { seen } = this.#index;
    this.#retain((entry) => this.#inLastBody(entry) || seen[entry] > oldest);
    this.#families.retain(this.#keepsBody ? this.#describedByLast() : this.#described);
    this.#isForgetDue = false;
    // What is gone but not for long is to be looked at again.
    for (let entry = 0; entry < this.#index.count; entry++) {
      if (!this.#inLastBody(entry)) this.#isForgetDue = true;
    }
  }

  /** Names of the families that HELP and TYPE lines of the last body describe. */
  #describedByLast(): Set<string> {
    const described = new Set<string>();
    reader.open(this.lastBody);
    const { starts, entries, count } = this.#lines;
    for (let row = 0; row < count; row++) {
      if (entries[row] !== NO_SAMPLE) continue;
      for (let p = starts[row]; p < starts[row + 1]; p = reader.next) {
        if (reader.read(p) !== LineKind.other) described.add(this.#describedName(this.lastBody));
      }
    }
    reader.close();
    return described;
  }

  /** After a refused scrape, families may be known otherwise than the last body said. */
  #distrustComments(): void {
    const { entries, prefixes, count } = this.#lines;
    for (let row = 0; row < count; row++) {
      if (entries[row] === NO_SAMPLE) prefixes[row] = READ_IN_FULL;
    }
  }

  #inLastBody(entry: number): boolean {
    return this.#index.whereabouts[entry] === TextPlace.lastBody;
  }

  #retain(keep: (entry: number) => boolean): void {
    const renumbered = this.#index.retain(keep);
    const { entries, prefixes, count } = this.#lines;
    for (let row = 0; row < count; row++) {
      if (entries[row] < 0) continue;
      const entry = renumbered[entries[row]];
      entries[row] = entry < 0 ? READ_AGAIN : entry;
      if (entry < 0) prefixes[row] = READ_IN_FULL;
    }
  }

  #open(body: Uint8Array): void {
    this.#parse++;
    this.newBody = body;
    this.newView = new DataView(body.buffer, body.byteOffset, body.byteLength);
    this.#samples = 0;
    this.#expectsKnown = this.#index.count > 0;
    this.#inStep = false;
    this.#described.clear();
    this.#familyName = '';
    reader.open(body);
    seriesHash.reset();
    seriesReader.open(body, this.newView);
    rows.clear();
    rows.reserve(1);
    const { state } = this.#walker;
    state.newBody = body;
    state.newView = this.newView;
    state.lastBody = this.lastBody;
    state.lastView = this.lastView;
    state.lines = this.#lines;
    state.rows = rows;
    this.#walker.open();
  }

  #close(): void {
    this.newBody = NO_BYTES;
    this.newView = NO_VIEW;
    reader.close();
    seriesReader.close();
    this.#walker.close();
    if (rows.starts.length > ROWS_KEPT_MAX) rows.release();
  }

  /** Fills `rows` from the new body, beside the last one. */
  #walk(): void {
    const size = this.newBody.length;
    const { entries, count } = this.#lines;
    let p = 0;
    for (let i = 0; p < size; ) {
      // Comments beside comments are one row: those are read in full.
      if (i < count && !(entries[i] === NO_SAMPLE && rows.endsInComments)) {
        this.#walker.walk(p, i);
        const { walked, next } = this.#walker.state;
        if (walked > 0) {
          this.#takeWalked(i);
          i += walked;
          p = next;
          if (p >= size) break;
        }
      }
      i = this.#readLine(p, i);
      p = reader.next;
    }
    rows.starts[this.#inStep ? count : rows.count] = size;
  }

  /** Takes in the rows just walked, the first of which is row `i` of the last body. */
  #takeWalked(i: number): void {
    const { state } = this.#walker;
    const { walked } = state;
    const first = rows.count;
    rows.starts[first + walked] = state.next;
    const samples = this.#samples + walked - state.comments;
    if (samples > this.#maxSeries) this.#refuseWithin(i);
    this.#samples = samples;
    this.#readUnread(i, walked);
    // Fast path: the whole body is in step. Its rows are those of the last one, but for the changes.
    if (first === 0 && walked === this.#lines.count && state.next === this.newBody.length) {
      this.#inStep = !state.timed && !this.#lines.timed;
      if (this.#inStep) return;
    }
    rows.addRows(this.#lines, i, walked);
    const { changedCount, changedRows, changedValues, changedTimes } = state;
    for (let k = 0; k < changedCount; k++) {
      const row = first + changedRows[k];
      rows.values[row] = changedValues[k];
      rows.setTime(row, state.timed ? changedTimes[k] : NaN);
    }
  }

  /** Reads values that the walker left, of the first `walked` rows from row `i` on. */
  #readUnread(i: number, walked: number): void {
    const { state } = this.#walker;
    const { prefixes } = this.#lines;
    for (let k = 0; k < state.unreadCount && state.unreadRows[k] < walked; k++) {
      const row = state.unreadRows[k];
      const start = rows.starts[rows.count + row];
      const isKnown = reader.readKnown(start, start + prefixes[i + row]);
      invariant(isKnown && reader.next === rows.starts[rows.count + row + 1], 'BUG: a walk astray');
      state.addChanged(row, reader.value, reader.time);
    }
  }

  /** Cold path: the limit is crossed within the rows just walked; an error before that comes first. */
  #refuseWithin(i: number): never {
    let row = 0;
    for (let samples = this.#samples; samples <= this.#maxSeries; row++) {
      if (this.#lines.entries[i + row] !== NO_SAMPLE) samples++;
    }
    this.#readUnread(i, row);
    this.#refuse();
  }

  /** Reads a line that is not where it was; returns the row of the last body to go on from, `i` being the current one. */
  #readLine(start: number, i: number): number {
    if (this.#expectsKnown) {
      const known = this.#readKnownLine(start);
      if (known >= 0) return this.#inLastBody(known) ? this.#index.places[known] + 1 : i;
    }
    const kind = reader.read(start);
    if (kind !== LineKind.sample) {
      this.#takeMeta(kind);
      this.#addRow(start, NO_SAMPLE, COMMENTS, 0, NaN);
      // A run of comments takes the place of the one that stood here.
      return i < this.#lines.count && this.#lines.entries[i] === NO_SAMPLE ? i + 1 : i;
    }
    const { seriesEnd, valueStart, value, time } = reader;
    // The reader counts from the name, the text from the start of the line.
    const isIndented = start !== reader.seriesStart;
    if (isIndented) seriesHash.reset();
    const hash = seriesHash.of(this.newView, start, seriesEnd, isIndented ? 0 : reader.shared);
    if (isIndented) seriesHash.reset();
    let entry = this.#index.find(this, this.newBody, start, seriesEnd, hash);
    this.#expectsKnown = entry >= 0;
    if (entry < 0) {
      const slot = this.#resolve();
      entry = this.#index.add(hash, seriesEnd - start, rows.count, slot);
    }
    // Only after a blank or a brace does the value stay apart from the name, whatever it becomes.
    const before = this.newBody[valueStart - 1];
    const apart = before === 32 || before === 9 || before === 125;
    this.#addRow(start, entry, apart ? valueStart - start : VALUE_NOT_APART, value, time);
    return this.#inLastBody(entry) ? this.#index.places[entry] + 1 : i;
  }

  /**
   * Fast path: a line of a series that is known, of which only the value is lexed. What was a series text
   * once is one wherever its bytes are followed by a blank or end with its brace. Returns the entry;
   * -1, with nothing done, where the line is anything else.
   */
  #readKnownLine(start: number): number {
    const body = this.newBody;
    if (body[start] === HASH) return -1;
    // Values have no brace: the last one before a newline closes the labels.
    let end = body.indexOf(NEWLINE, start);
    while (end > start && body[end - 1] !== BRACE_CLOSE) end--;
    if (end === start) while (body[end] !== SPACE && body[end] !== NEWLINE) end++;
    if (body[end] === NEWLINE) return -1;
    const hash = seriesHash.of(this.newView, start, end, 0);
    seriesHash.reset();
    const entry = this.#index.find(this, body, start, end, hash);
    if (entry < 0) return -1;
    let valueStart = end;
    while (body[valueStart] === SPACE || body[valueStart] === TAB) valueStart++;
    if (!reader.readKnown(start, valueStart)) return -1;
    this.#addRow(start, entry, valueStart - start, reader.value, reader.time);
    return entry;
  }

  #addRow(start: number, entry: number, prefix: number, value: number, time: number): void {
    if (entry >= 0) {
      if (++this.#samples > this.#maxSeries) this.#refuse();
    } else if (rows.endsInComments) {
      // Goes into the row before it, which ends where the next one starts.
      return;
    }
    rows.reserve(1);
    const row = rows.count++;
    rows.starts[row] = start;
    rows.entries[row] = entry;
    rows.prefixes[row] = prefix;
    rows.values[row] = value;
    rows.setTime(row, time);
  }

  #refuse(): never {
    throw new CanopyError('limit', `more than ${this.#maxSeries} samples in one scrape`);
  }

  #describedName(body: Uint8Array): string {
    const { nameStart, nameEnd } = reader;
    return unescapeQuoted(
      Buffer.from(body.buffer, body.byteOffset).toString('utf8', nameStart, nameEnd),
    );
  }

  #takeMeta(kind: LineKind): void {
    if (kind === LineKind.other) return;
    this.#familyName = '';
    const body = this.newBody;
    const name = this.#describedName(body);
    if (!this.#keepsBody) this.#described.add(name);
    if (kind === LineKind.type) this.#families.setType(name, reader.metricType);
    else {
      const { textStart, textEnd } = reader;
      const text = Buffer.from(body.buffer, body.byteOffset).toString('utf8', textStart, textEnd);
      this.#families.setHelp(name, unescapeHelp(text));
    }
  }

  /** Asks for the slot of the series that the reader has just read. */
  #resolve(): number {
    let labels = seriesReader.read(reader.seriesStart, reader.seriesEnd);
    const family = this.#familyOf(labels[1]);
    if (family?.type === 'histogram') labels = withCanonicalBound(labels, 'le');
    else if (family?.type === 'summary') labels = withCanonicalBound(labels, 'quantile');
    const slot = this.#resolver.resolve(labels, family);
    invariant(Number.isInteger(slot) && slot >= -1, 'BUG: the resolver gave no slot');
    this.#columns.reserve(slot + 1);
    return slot;
  }

  /** Series of a name stand side by side: the answer is remembered until a family changes. */
  #familyOf(name: string): Family | undefined {
    if (this.#familyName !== name) {
      this.#family = this.#families.of(name);
      this.#familyName = name;
    }
    return this.#family;
  }

  /** The whole body is good: fills the columns and makes it the last body. Throws nothing. */
  #takeOver(): void {
    if (this.#inStep) this.#takeChanges();
    if (!this.#inStep || !this.#columnsStand || this.#columns.duplicates > 0) this.#fillColumns();
    if (!this.#keepsBody) this.#index.retain(() => false);
    else if (!this.#inStep) this.#kept.keep(this.newBody, 0);
    this.#lastParse = this.#parse;
  }

  /** Fast path: only values differ from those of the last body. */
  #takeChanges(): void {
    const { changedCount, changedRows, changedValues } = this.#walker.state;
    const { entries, values, count } = this.#lines;
    const { slots } = this.#index;
    const columns = this.#columns;
    this.#kept.keepChanged(this.#walker.state);
    this.#lines.starts.set(rows.starts.subarray(0, count + 1));
    columns.beginAlike();
    for (let k = 0; k < changedCount; k++) {
      const row = changedRows[k];
      values[row] = changedValues[k];
      const slot = slots[entries[row]];
      if (slot >= 0) columns.values[slot] = changedValues[k];
    }
  }

  #fillColumns(): void {
    const index = this.#index;
    const columns = this.#columns;
    const { entries, values, times, timed, count } = this.#inStep ? this.#lines : rows;
    columns.begin();
    columns.samplesScraped = this.#samples;
    const loose = timed && this.#honorTimestamps;
    for (let row = 0; row < count; row++) {
      const entry = entries[row];
      if (entry < 0) continue;
      index.seen[entry] = this.#parse;
      const slot = index.slots[entry];
      if (slot < 0) continue;
      if (loose && !Number.isNaN(times[row])) columns.addLoose(slot, values[row], times[row]);
      else columns.addAligned(slot, values[row]);
    }
    this.#columnsStand = true;
    if (this.#inStep) return;
    this.#isForgetDue = true;
    if (!this.#keepsBody) return;
    this.#moveTexts();
    this.#lines.copyFrom(rows);
  }

  /** Says where the texts of entries are from now on. */
  #moveTexts(): void {
    const index = this.#index;
    const { starts, entries, count } = this.#lines;
    for (let row = 0; row < count; row++) {
      const entry = entries[row];
      if (entry < 0 || index.seen[entry] === this.#parse || index.places[entry] !== row) continue;
      if (!this.#inLastBody(entry)) continue;
      index.keepText(entry, this.lastBody, starts[row]);
      index.seen[entry] = this.#lastParse;
    }
    for (let row = 0; row < rows.count; row++) {
      const entry = rows.entries[row];
      if (entry < 0) continue;
      index.places[entry] = row;
      index.whereabouts[entry] = TextPlace.lastBody;
    }
  }
}
