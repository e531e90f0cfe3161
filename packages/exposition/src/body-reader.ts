/**
 * Readers of bodies for one target, whatever the format. Text 0.0.4 is read as a difference to the last body
 * (`ScrapeParser`); of the other formats labels are remembered, and OpenMetrics is read beside the last body, too.
 */
import { CanopyError, type Labels, type MetricType, invariant, labelValue } from '@canopy/model';
import { FamilyTable, OPENMETRICS_SUFFIXES } from './family-table.js';
import type { ScrapeParserOptions, SeriesResolver } from './scrape-parser.js';
import { SeriesIndex, type Texts, hashBytes } from './series-index.js';
import { type ScrapeColumns, SlotColumns } from './slot-columns.js';

/** Body after body of one target, into slot columns. Not for concurrent use. */
export interface BodyReader {
  /**
   * Reads one body, which may be reused after the call. The columns are the reader's, valid until its next call.
   * @throws FormatError, `limit`, or what the resolver throws: nothing of the scrape counts.
   */
  parse(body: Uint8Array): ScrapeColumns;
  /** The caller has renumbered its slots: new slot = map[old slot], -1 forgets the series. */
  renumber(map: Int32Array): void;
  /** Forgets series that the last `unseenParses` bodies (at least 1) did not have. */
  forget(unseenParses: number): void;
  /** Exemplars in the last body, which are read and left out. Undefined where the format has none. */
  readonly exemplars?: number;
}

/** Takes in what a format finds, in the order of the body. Throwing stops the reading. */
export interface FormatSink {
  type(family: string, type: MetricType): void;
  help(family: string, help: string): void;
  unit(family: string, unit: string): void;
  /**
   * A sample. `key[start, end)` are bytes that tell its series from all others of the format, valid during
   * the call; `view` is over the same bytes. `time` is milliseconds since the epoch, NaN for none. Returns the
   * place of the series among the samples of the last body, -1 where it was not there or is not known.
   */
  sample(
    key: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    value: number,
    time: number,
  ): number;
  /**
   * A sample of the series at `place` in the last body. False where that is forgotten: then it must be told
   * by `sample`.
   */
  again(place: number, value: number, time: number): boolean;
  exemplar(): void;
}

/** A format that is read in full. */
export interface BodyFormat {
  /** @throws FormatError. What the sink was told before it must not count. */
  read(body: Uint8Array, sink: FormatSink): void;
  /**
   * Label pairs of the sample that the sink is being told, as `SeriesResolver.resolve` wants them.
   * @throws FormatError
   */
  labels(): Labels;
  /** The body being read counts: the next one may be read beside it. Only where the format does that. */
  keep?(): void;
  /** Lets go of the body. */
  close(): void;
}

/** Samples of the body being read. Shared: reading a body is one synchronous call. */
const samples = {
  count: 0,
  timed: false,
  entries: new Int32Array(0),
  values: new Float64Array(0),
  times: new Float64Array(0),
};
let busy = false;
/** Samples beyond this are given back after the body that needed them. */
const SHARED_SAMPLES_MAX = 1 << 20;
/**
 * Protobuf says a metric's labels once for all its buckets, keys say them for each. All keys of a body
 * together are at most this many bytes, and so many times the body's.
 */
const KEY_BYTES_MAX = 64 << 20;
const KEY_BYTES_PER_BYTE_MAX = 16;

const NO_BODIES: Texts = {
  lastBody: new Uint8Array(0),
  lastStarts: new Uint32Array(0),
  newBody: new Uint8Array(0),
  newStarts: new Uint32Array(0),
};

/** Labels are made once for a series; whether a body is read beside the last one is the format's. */
export class FullReader implements BodyReader, FormatSink {
  readonly #format: BodyFormat;
  readonly #resolver: SeriesResolver;
  readonly #honorTimestamps: boolean;
  readonly #maxSeries: number;
  /** Keys of series; all of them in the index's own store. */
  readonly #index = new SeriesIndex();
  readonly #families: FamilyTable;
  readonly #columns = new SlotColumns();
  /** Number of the running or last body, refused ones included. */
  #parse = 0;
  /** Number of the last body that was not refused. */
  #lastGood = -1;
  /** Entries by place in the last body, where the format asks for them; -1 for those forgotten. */
  #lastEntries = new Int32Array(0);
  /** By entry, valid for those in the last body. */
  #places = new Int32Array(0);
  #described = new Set<string>();
  #describedBefore = new Set<string>();
  #keyBytesLeft = 0;
  exemplars = 0;

  constructor(options: ScrapeParserOptions, format: BodyFormat) {
    this.#format = format;
    this.#resolver = options.resolver;
    this.#honorTimestamps = options.honorTimestamps;
    this.#maxSeries = options.maxSeries;
    this.#families = new FamilyTable(options.maxSeries, OPENMETRICS_SUFFIXES);
  }

  parse(body: Uint8Array): ScrapeColumns {
    invariant(!busy, 'BUG: a body reader was called from a resolver');
    const index = this.#index;
    if (index.count > this.#maxSeries) this.#retain((entry) => this.#inLastBody(entry));
    const entriesBefore = index.count;
    this.#parse++;
    this.#described = new Set();
    this.#keyBytesLeft = KEY_BYTES_MAX + KEY_BYTES_PER_BYTE_MAX * body.length;
    this.exemplars = 0;
    samples.count = 0;
    samples.timed = false;
    busy = true;
    let done = false;
    try {
      // Buffers have a hidden class of their own; one class keeps the loops monomorphic.
      this.#format.read(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), this);
      this.#takeOver();
      done = true;
    } finally {
      if (!done && index.count > entriesBefore) this.#retain((entry) => entry < entriesBefore);
      this.#format.close();
      if (samples.entries.length > SHARED_SAMPLES_MAX) growSamples(0);
      busy = false;
    }
    const { describe } = this.#resolver;
    if (describe) this.#families.describeChanged((family) => describe.call(this.#resolver, family));
    return this.#columns;
  }

  renumber(map: Int32Array): void {
    const { slots } = this.#index;
    this.#retain((entry) => slots[entry] < 0 || (map[slots[entry]] ?? -1) >= 0);
    const { slots: kept, count } = this.#index;
    for (let entry = 0; entry < count; entry++) {
      if (kept[entry] >= 0) kept[entry] = map[kept[entry]];
    }
    this.#columns.renumber(map);
  }

  forget(unseenParses: number): void {
    const oldest = this.#parse - Math.max(1, unseenParses);
    const { seen } = this.#index;
    this.#retain((entry) => this.#inLastBody(entry) || seen[entry] > oldest);
    this.#families.retain(this.#describedBefore);
  }

  type(family: string, type: MetricType): void {
    this.#described.add(family);
    this.#families.setType(family, type);
  }

  help(family: string, help: string): void {
    this.#described.add(family);
    this.#families.setHelp(family, help);
  }

  unit(family: string, unit: string): void {
    this.#described.add(family);
    this.#families.setUnit(family, unit);
  }

  exemplar(): void {
    this.exemplars++;
  }

  sample(
    key: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    value: number,
    time: number,
  ): number {
    const index = this.#index;
    this.#keyBytesLeft -= end - start;
    if (samples.count >= this.#maxSeries || this.#keyBytesLeft < 0) this.#refuse();
    const hash = hashBytes(view, start, end);
    let entry = index.find(NO_BODIES, key, start, end, hash);
    if (entry < 0) {
      const slot = this.#resolve();
      entry = index.add(hash, end - start, 0, slot);
      index.keepText(entry, key, start);
    }
    this.#add(entry, value, time);
    const known = this.#format.keep !== undefined && this.#inLastBody(entry);
    return known ? this.#places[entry] : -1;
  }

  again(place: number, value: number, time: number): boolean {
    const entry = this.#lastEntries[place];
    if (entry < 0) return false;
    if (samples.count >= this.#maxSeries) this.#refuse();
    this.#add(entry, value, time);
    return true;
  }

  #add(entry: number, value: number, time: number): void {
    const at = samples.count;
    if (at === samples.entries.length) growSamples(Math.max(64, 2 * at));
    samples.count++;
    samples.entries[at] = entry;
    samples.values[at] = value;
    samples.times[at] = time;
    if (!Number.isNaN(time)) samples.timed = true;
  }

  #retain(keep: (entry: number) => boolean): void {
    const renumbered = this.#index.retain(keep);
    const entries = this.#lastEntries;
    for (let place = 0; place < entries.length; place++) {
      const entry = entries[place] < 0 ? -1 : renumbered[entries[place]];
      entries[place] = entry;
      if (entry >= 0) this.#places[entry] = place;
    }
  }

  #inLastBody(entry: number): boolean {
    return this.#index.seen[entry] === this.#lastGood;
  }

  #refuse(): never {
    if (this.#keyBytesLeft < 0) {
      throw new CanopyError('limit', 'labels of histograms that are too long for so many buckets');
    }
    throw new CanopyError('limit', `more than ${this.#maxSeries} samples in one scrape`);
  }

  #resolve(): number {
    const labels = this.#format.labels();
    const family = this.#families.of(labelValue(labels, '__name__'));
    const slot = this.#resolver.resolve(labels, family);
    invariant(Number.isInteger(slot) && slot >= -1, 'BUG: the resolver gave no slot');
    this.#columns.reserve(slot + 1);
    return slot;
  }

  /** The whole body is good: fills the columns. Throws nothing. */
  #takeOver(): void {
    const columns = this.#columns;
    const { slots, seen } = this.#index;
    const { entries, values, times, count } = samples;
    const loose = samples.timed && this.#honorTimestamps;
    columns.begin();
    columns.samplesScraped = count;
    for (let i = 0; i < count; i++) {
      const entry = entries[i];
      seen[entry] = this.#parse;
      const slot = slots[entry];
      if (slot < 0) continue;
      if (loose && !Number.isNaN(times[i])) columns.addLoose(slot, values[i], times[i]);
      else columns.addAligned(slot, values[i]);
    }
    if (this.#format.keep !== undefined) {
      this.#rememberPlaces();
      this.#format.keep();
    }
    this.#lastGood = this.#parse;
    this.#describedBefore = this.#described;
  }

  #rememberPlaces(): void {
    const { entries, count } = samples;
    this.#lastEntries = entries.slice(0, count);
    if (this.#places.length < this.#index.count) {
      this.#places = new Int32Array(this.#index.count + (this.#index.count >> 2));
    }
    for (let place = 0; place < count; place++) this.#places[entries[place]] = place;
  }
}

/** Gives the shared columns `size` places; what they hold stays as far as it fits. */
function growSamples(size: number): void {
  const grown = <T extends Int32Array | Float64Array>(from: T, to: T): T => {
    to.set(from.subarray(0, Math.min(size, samples.count)));
    return to;
  };
  samples.entries = grown(samples.entries, new Int32Array(size));
  samples.values = grown(samples.values, new Float64Array(size));
  samples.times = grown(samples.times, new Float64Array(size));
}
