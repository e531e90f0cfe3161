/**
 * Body after body of one target, read as differences: an equal line is not read again; of a line
 * equal up to its value, only the number; the lexer sees the rest. Lines that came, went or moved
 * are found by their series text, and the walk goes on from where that stood in the last body.
 */
import { CanopyError, type Family, type Labels, invariant, labelValue } from '@canopy/model';
import { commonPrefix } from './common-prefix.js';
import { FamilyTable } from './family-table.js';
import { canonicalBound } from './float-text.js';
import { LineKind, LineReader, terminated } from './line-reader.js';
import { LineTable, NO_SAMPLE, READ_AGAIN, VALUE_NOT_APART } from './line-table.js';
import { SeriesIndex, TextPlace, type Texts, hashBytes } from './series-index.js';
import { readSeries, unescapeHelp, unescapeQuoted } from './series-text.js';
import { type ScrapeColumns, SlotColumns } from './slot-columns.js';

/** Gives series their slots. Implemented by the scrape loop. */
export interface SeriesResolver {
  /**
   * Called once for each series text that the parser does not know (again after the scrape that
   * brought it was refused, or it was forgotten). `labels` are pairs as written (not sorted),
   * `__name__` included, no name twice, empty values as written; `le` and `quantile` of histograms and summaries are spelt as in
   * OpenMetrics (`1.0`). `family` is what TYPE and HELP lines said so far of the family it belongs to.
   * Two texts of one label set must get the same slot. Slots are small integers; -1 drops the series
   * until the parser forgets its text. May throw CanopyError to refuse the scrape. Must not call the parser.
   */
  resolve(labels: Labels, family: Family | undefined): number;
  /** A family's TYPE or HELP appeared or changed after `resolve` was told otherwise. */
  describe?(family: Family): void;
}

export interface ScrapeParserOptions {
  readonly resolver: SeriesResolver;
  /** False: times written in the body are ignored. */
  readonly honorTimestamps: boolean;
  /**
   * Most sample lines of one body, and most families; beyond it `limit` is thrown. At most twice as
   * many series texts are remembered.
   */
  readonly maxSeries: number;
}

/** Rows of the body being read. Shared by all parsers: reading a body is one synchronous call. */
const rows = new LineTable();
const reader = new LineReader();
let busy = false;
/** Rows beyond this are given back after the scrape that needed them. */
const SHARED_ROWS_MAX = 1 << 20;

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
  /** Whether an equal HELP or TYPE line is known to have been taken in. */
  #metaTrusted = true;
  /** Whether every line so far stood where it did in the last body. */
  #inStep = true;
  #samples = 0;
  #newView = NO_VIEW;
  /** The last body, and room for growth. */
  #kept = NO_BYTES;
  #keptView = NO_VIEW;

  /** For the index only. */
  newBody = NO_BYTES;
  lastBody = NO_BYTES;

  constructor(options: ScrapeParserOptions) {
    this.#resolver = options.resolver;
    this.#honorTimestamps = options.honorTimestamps;
    this.#maxSeries = options.maxSeries;
    this.#families = new FamilyTable(options.maxSeries);
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
        this.#metaTrusted = false;
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
  }

  /**
   * Forgets series that the last `unseenParses` bodies did not have, at least 1 (those of the last body
   * are needed to read the next), and families that the last body did not describe.
   */
  forget(unseenParses: number): void {
    const oldest = this.#parse - Math.max(1, unseenParses);
    this.#retain((entry) => this.#inLastBody(entry) || this.#index.seen[entry] > oldest);
    const described = new Set<string>();
    reader.open(this.lastBody);
    const { starts, entries, count } = this.#lines;
    for (let row = 0; row < count; row++) {
      if (entries[row] !== NO_SAMPLE) continue;
      for (let p = starts[row]; p < starts[row + 1]; p = reader.next) {
        if (reader.read(p) !== LineKind.other) described.add(this.#familyName(this.lastBody));
      }
    }
    reader.close();
    this.#families.retain(described);
  }

  #inLastBody(entry: number): boolean {
    return this.#index.whereabouts[entry] === TextPlace.lastBody;
  }

  #retain(keep: (entry: number) => boolean): void {
    const renumbered = this.#index.retain(keep);
    const { entries, count } = this.#lines;
    for (let row = 0; row < count; row++) {
      if (entries[row] < 0) continue;
      const entry = renumbered[entries[row]];
      entries[row] = entry < 0 ? READ_AGAIN : entry;
    }
  }

  #open(body: Uint8Array): void {
    this.#parse++;
    this.newBody = body;
    this.#newView = new DataView(body.buffer, body.byteOffset, body.byteLength);
    this.#samples = 0;
    this.#inStep = true;
    reader.open(body);
    rows.clear();
    rows.reserve();
  }

  #close(): void {
    this.newBody = NO_BYTES;
    this.#newView = NO_VIEW;
    reader.close();
    if (rows.starts.length > SHARED_ROWS_MAX) rows.release();
  }

  /** Fills `rows` from the new body, beside the last one. */
  #walk(): void {
    const size = this.newBody.length;
    const newView = this.#newView;
    const lastView = this.#keptView;
    const { starts, entries, prefixes, values, times, timed, count } = this.#lines;
    let p = 0;
    for (let i = 0; p < size; ) {
      if (i < count) {
        const start = starts[i];
        const length = starts[i + 1] - start;
        const limit = length <= size - p ? length : size - p;
        const same = commonPrefix(newView, p, lastView, start, limit);
        const entry = entries[i];
        // Fast path: the whole line is as it was.
        if (same === length && (entry >= 0 || (entry === NO_SAMPLE && this.#metaTrusted))) {
          this.#addRow(p, entry, prefixes[i], values[i], timed ? times[i] : NaN);
          p += length;
          i++;
          continue;
        }
        // Fast path: the same series with another value.
        if (same >= prefixes[i] && entry >= 0 && reader.readKnown(p, p + prefixes[i])) {
          this.#addRow(p, entry, prefixes[i], reader.value, reader.time);
          p = reader.next;
          i++;
          continue;
        }
      }
      i = this.#readLine(p, i);
      p = reader.next;
    }
    if (this.#inStep && rows.count !== count) this.#inStep = false;
    rows.starts[rows.count] = size;
  }

  /** Reads a line in full; returns the row of the last body to go on from, `i` being the current one. */
  #readLine(start: number, i: number): number {
    const kind = reader.read(start);
    this.#inStep = false;
    if (kind !== LineKind.sample) {
      this.#takeMeta(kind);
      this.#addRow(start, NO_SAMPLE, VALUE_NOT_APART, 0, NaN);
      // A run of comments takes the place of the one that stood here.
      return i < this.#lines.count && this.#lines.entries[i] === NO_SAMPLE ? i + 1 : i;
    }
    const { seriesEnd, valueStart, value, time } = reader;
    const hash = hashBytes(this.#newView, start, seriesEnd);
    let entry = this.#index.find(this, this.newBody, start, seriesEnd, hash);
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

  #addRow(start: number, entry: number, prefix: number, value: number, time: number): void {
    if (entry >= 0) {
      if (++this.#samples > this.#maxSeries) this.#refuse();
    } else if (rows.count > 0 && rows.entries[rows.count - 1] === NO_SAMPLE) {
      // Goes into the row before it, which ends where the next one starts.
      this.#inStep = false;
      return;
    }
    rows.reserve();
    const row = rows.count++;
    rows.starts[row] = start;
    rows.entries[row] = entry;
    rows.prefixes[row] = prefix;
    rows.values[row] = value;
    rows.times[row] = time;
    if (!Number.isNaN(time)) rows.timed = true;
  }

  #refuse(): never {
    throw new CanopyError('limit', `more than ${this.#maxSeries} samples in one scrape`);
  }

  #familyName(body: Uint8Array): string {
    const { nameStart, nameEnd } = reader;
    return unescapeQuoted(
      Buffer.from(body.buffer, body.byteOffset).toString('utf8', nameStart, nameEnd),
    );
  }

  #takeMeta(kind: LineKind): void {
    if (kind === LineKind.other) return;
    const body = this.newBody;
    const name = this.#familyName(body);
    if (kind === LineKind.type) this.#families.setType(name, reader.metricType);
    else {
      const { textStart, textEnd } = reader;
      const text = Buffer.from(body.buffer, body.byteOffset).toString('utf8', textStart, textEnd);
      this.#families.setHelp(name, unescapeHelp(text));
    }
  }

  /** Asks for the slot of the series that the reader has just read. */
  #resolve(): number {
    let labels = readSeries(this.newBody, reader.seriesStart, reader.seriesEnd);
    const family = this.#families.of(labelValue(labels, '__name__'));
    if (family?.type === 'histogram') labels = withCanonicalBound(labels, 'le');
    else if (family?.type === 'summary') labels = withCanonicalBound(labels, 'quantile');
    const slot = this.#resolver.resolve(labels, family);
    invariant(Number.isInteger(slot) && slot >= -1, 'BUG: the resolver gave no slot');
    this.#columns.reserve(slot + 1);
    return slot;
  }

  /** The whole body is good: fills the columns and makes it the last body. Throws nothing. */
  #takeOver(): void {
    const index = this.#index;
    const columns = this.#columns;
    const { entries, values, times, count } = rows;
    columns.begin();
    columns.samplesScraped = this.#samples;
    const loose = rows.timed && this.#honorTimestamps;
    for (let row = 0; row < count; row++) {
      const entry = entries[row];
      if (entry < 0) continue;
      index.seen[entry] = this.#parse;
      const slot = index.slots[entry];
      if (slot < 0) continue;
      if (loose && !Number.isNaN(times[row])) columns.addLoose(slot, values[row], times[row]);
      else columns.addAligned(slot, values[row]);
    }
    if (!this.#inStep) this.#moveTexts();
    this.#lines.copyFrom(rows);
    this.#keepBody();
    this.#metaTrusted = true;
  }

  /** Says where the texts of entries are from now on. */
  #moveTexts(): void {
    const index = this.#index;
    const { starts, entries, count } = this.#lines;
    for (let row = 0; row < count; row++) {
      const entry = entries[row];
      if (entry < 0 || index.seen[entry] === this.#parse || index.places[entry] !== row) continue;
      if (this.#inLastBody(entry)) index.keepText(entry, this.lastBody, starts[row]);
    }
    for (let row = 0; row < rows.count; row++) {
      const entry = rows.entries[row];
      if (entry < 0) continue;
      index.places[entry] = row;
      index.whereabouts[entry] = TextPlace.lastBody;
    }
  }

  #keepBody(): void {
    const body = this.newBody;
    const size = body.length;
    if (size > this.#kept.length || this.#kept.length > 2 * size + 4096) {
      this.#kept = new Uint8Array(size + (size >> 4));
      this.#keptView = new DataView(this.#kept.buffer);
    }
    this.#kept.set(body);
    this.lastBody = this.#kept.subarray(0, size);
  }
}

function withCanonicalBound(labels: Labels, name: string): Labels {
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] !== name) continue;
    const bound = canonicalBound(labels[i + 1]);
    return bound === labels[i + 1] ? labels : labels.with(i + 1, bound);
  }
  return labels;
}
