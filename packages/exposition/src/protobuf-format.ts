/**
 * Prometheus's protobuf format: `io.prometheus.client.MetricFamily` messages, each after its length. Read as
 * Prometheus 3 reads it with native histograms off (model/textparse/protobufparse.go): histograms as their
 * classic buckets, one of `+Inf` at least. Unknown fields are skipped. Layout: protobuf.format.md.
 */
import { isUtf8 } from 'node:buffer';
import { CanopyError, FormatError, type Labels, METRIC_NAME, type MetricType } from '@canopy/model';
import type { BodyFormat, FormatSink } from './body-reader.js';
import { formatValue } from './float-text.js';
import { WireReader } from './protobuf-wire.js';
import { checkedPairs } from './series-text.js';

/** Field numbers (client_model, metrics.proto). */
const Family = { name: 1, help: 2, type: 3, metric: 4, unit: 5 } as const;
const Metric = { label: 1, timestamp: 6 } as const;
const Label = { name: 1, value: 2 } as const;
/** Counter, Gauge and Untyped. */
const Single = { value: 1, exemplar: 2 } as const;
/** Summary and Histogram. */
const Many = { count: 1, sum: 2, parts: 3, countFloat: 4, exemplars: 16 } as const;
const Bucket = { count: 1, bound: 2, exemplar: 3, countFloat: 4 } as const;
const Quantile = { bound: 1, value: 2 } as const;

/** By the number of `MetricType`: its field in Metric, and what it is for us. */
const TYPES: ReadonlyArray<readonly [field: number, type: MetricType]> = [
  [3, 'counter'],
  [2, 'gauge'],
  [4, 'summary'],
  [5, 'unknown'],
  [7, 'histogram'],
  [7, 'gaugehistogram'],
];

/** Which series of a metric a sample is of. */
const Part = { single: 0, count: 1, sum: 2, bucket: 3, quantile: 4 } as const;
type Part = (typeof Part)[keyof typeof Part];
const SUFFIXES = ['', '_count', '_sum', '_bucket', ''];

/** Where the labels start in a key: after the part (1 byte) and the bound (8). */
const KEY_NAME = 9;
/** No name in UTF-8 holds it. */
const KEY_NAME_END = 0xff;
const LABELS_MAX = 1000;
const KEY_BYTES_KEPT = 1 << 16;

export class ProtobufFormat implements BodyFormat {
  readonly #wire = new WireReader();
  readonly #keyWire = new WireReader();
  #name = '';
  #type: MetricType = 'unknown';
  #field = 0;
  /** Key of the sample: part, bound, family name, KEY_NAME_END, fields `label`. */
  #key = new Uint8Array(0);
  #keyView = new DataView(this.#key.buffer);
  #keySize = 0;
  #labelsStart = 0;
  #part: Part = Part.single;
  #bound = 0;
  // The metric being read.
  #time = NaN;
  #value = 0;
  #count = 0;
  #countFloat = 0;
  #sum = 0;
  readonly #bounds: number[] = [];
  readonly #values: number[] = [];

  read(body: Uint8Array, sink: FormatSink): void {
    const wire = this.#wire;
    wire.open(body);
    while (wire.position < body.length) this.#readFamily(wire.length(body.length), sink);
  }

  close(): void {
    this.#wire.open(new Uint8Array(0));
    this.#keyWire.open(new Uint8Array(0));
    if (this.#key.length > KEY_BYTES_KEPT) this.#reserveKey(0);
  }

  labels(): Labels {
    const pairs: string[] = [METRIC_NAME, this.#name + SUFFIXES[this.#part]];
    const key = this.#keyWire;
    key.open(this.#key);
    key.position = this.#labelsStart;
    while (key.next(this.#keySize)) {
      readLabel(key, key.enter(this.#keySize), pairs);
      if (pairs.length > 2 * LABELS_MAX) {
        throw new CanopyError('limit', `more than ${LABELS_MAX} labels in one series`);
      }
    }
    if (this.#part === Part.bucket) pairs.push('le', boundText(this.#bound));
    else if (this.#part === Part.quantile) pairs.push('quantile', boundText(this.#bound));
    return checkedPairs(pairs);
  }

  #readFamily(end: number, sink: FormatSink): void {
    const wire = this.#wire;
    const start = wire.position;
    let help = '';
    let unit = '';
    let type = 0;
    let metrics = 0;
    this.#name = '';
    while (wire.next(end)) {
      if (wire.field === Family.name) this.#name = readText(wire, wire.enter(end), 'metric name');
      else if (wire.field === Family.help) help = readText(wire, wire.enter(end), 'help');
      else if (wire.field === Family.type) type = wire.uint64(end);
      else if (wire.field === Family.unit) unit = readText(wire, wire.enter(end), 'unit');
      else if (wire.field === Family.metric) {
        wire.position = wire.enter(end);
        metrics++;
      } else wire.skip(end);
    }
    // As in Prometheus, a family without metrics says nothing.
    if (metrics === 0) return;
    if (this.#name === '') wire.fail('invalid metric name: ""');
    if (TYPES[type] === undefined) {
      wire.fail(`unknown metric type for metric ${JSON.stringify(this.#name)}: ${type}`);
    }
    [this.#field, this.#type] = TYPES[type];
    if (unit !== '') this.#checkUnit(unit);
    sink.help(this.#name, help);
    if (unit !== '') sink.unit(this.#name, unit);
    sink.type(this.#name, this.#type);
    this.#beginKeys();
    wire.position = start;
    while (wire.next(end)) {
      if (wire.field === Family.metric) this.#readMetric(wire.enter(end), sink);
      else wire.skip(end);
    }
  }

  #checkUnit(unit: string): void {
    const total = this.#type === 'counter' && this.#name.endsWith('_total');
    const name = total ? this.#name.slice(0, -'_total'.length) : this.#name;
    if (name.endsWith(`_${unit}`)) return;
    this.#wire.fail(`unit ${JSON.stringify(unit)} not a suffix of ${JSON.stringify(this.#name)}`);
  }

  #readMetric(end: number, sink: FormatSink): void {
    const wire = this.#wire;
    this.#time = NaN;
    this.#value = 0;
    this.#count = 0;
    this.#countFloat = 0;
    this.#sum = 0;
    this.#bounds.length = 0;
    this.#values.length = 0;
    this.#keySize = this.#labelsStart;
    let labelsStart = 0;
    let labelsEnd = 0;
    for (let at = wire.position; wire.next(end); at = wire.position) {
      if (wire.field === Metric.label) {
        wire.position = wire.enter(end);
        // Labels stand together nearly always, and are copied together.
        if (at !== labelsEnd) {
          this.#addLabels(labelsStart, labelsEnd);
          labelsStart = at;
        }
        labelsEnd = wire.position;
      } else if (wire.field === this.#field) this.#readValue(wire.enter(end), sink);
      else if (wire.field === Metric.timestamp) {
        // 0 is what is not there, in protobuf 3.
        const time = wire.int64(end);
        this.#time = time === 0 ? NaN : time;
      } else wire.skip(end);
    }
    this.#addLabels(labelsStart, labelsEnd);
    this.#tell(sink);
  }

  #readValue(end: number, sink: FormatSink): void {
    if (this.#type === 'histogram' || this.#type === 'gaugehistogram' || this.#type === 'summary') {
      this.#readMany(end, sink);
      return;
    }
    const wire = this.#wire;
    while (wire.next(end)) {
      if (wire.field === Single.value) this.#value = wire.double(end);
      else {
        if (this.#type === 'counter' && wire.field === Single.exemplar) sink.exemplar();
        wire.skip(end);
      }
    }
  }

  #readMany(end: number, sink: FormatSink): void {
    const wire = this.#wire;
    const summary = this.#type === 'summary';
    while (wire.next(end)) {
      const { field } = wire;
      if (field === Many.count) this.#count = wire.uint64(end);
      else if (field === Many.sum) this.#sum = wire.double(end);
      else if (field === Many.parts && summary) this.#readQuantile(wire.enter(end));
      else if (field === Many.parts) this.#readBucket(wire.enter(end), sink);
      else if (field === Many.countFloat && !summary) this.#countFloat = wire.double(end);
      else {
        if (field === Many.exemplars && !summary) sink.exemplar();
        wire.skip(end);
      }
    }
  }

  #readQuantile(end: number): void {
    const wire = this.#wire;
    let bound = 0;
    let value = 0;
    while (wire.next(end)) {
      if (wire.field === Quantile.bound) bound = wire.double(end);
      else if (wire.field === Quantile.value) value = wire.double(end);
      else wire.skip(end);
    }
    this.#bounds.push(bound);
    this.#values.push(value);
  }

  #readBucket(end: number, sink: FormatSink): void {
    const wire = this.#wire;
    let bound = 0;
    let count = 0;
    let countFloat = 0;
    while (wire.next(end)) {
      if (wire.field === Bucket.count) count = wire.uint64(end);
      else if (wire.field === Bucket.bound) bound = wire.double(end);
      else if (wire.field === Bucket.countFloat) countFloat = wire.double(end);
      else {
        if (wire.field === Bucket.exemplar) sink.exemplar();
        wire.skip(end);
      }
    }
    this.#bounds.push(bound);
    this.#values.push(countFloat || count);
  }

  /** The samples of the metric that was read, in Prometheus's order. */
  #tell(sink: FormatSink): void {
    const bounds = this.#bounds;
    const values = this.#values;
    if (this.#type === 'summary') {
      this.#sample(sink, Part.count, 0, this.#count);
      this.#sample(sink, Part.sum, 0, this.#sum);
      for (let i = 0; i < bounds.length; i++)
        this.#sample(sink, Part.quantile, bounds[i], values[i]);
    } else if (this.#type === 'histogram' || this.#type === 'gaugehistogram') {
      const count = this.#countFloat || this.#count;
      this.#sample(sink, Part.count, 0, count);
      this.#sample(sink, Part.sum, 0, this.#sum);
      for (let i = 0; i < bounds.length; i++) {
        this.#sample(sink, Part.bucket, bounds[i], values[i]);
        // Nothing comes after the last bucket.
        if (bounds[i] === Infinity) return;
      }
      this.#sample(sink, Part.bucket, Infinity, count);
    } else this.#sample(sink, Part.single, 0, this.#value);
  }

  #sample(sink: FormatSink, part: Part, bound: number, value: number): void {
    this.#part = part;
    this.#bound = bound;
    this.#key[0] = part;
    this.#keyView.setFloat64(1, bound, true);
    sink.sample(this.#key, this.#keyView, 0, this.#keySize, value, this.#time);
  }

  /** Starts the keys of a family's series. */
  #beginKeys(): void {
    this.#reserveKey(KEY_NAME + 3 * this.#name.length + 1);
    const name = this.#key.subarray(KEY_NAME);
    const end = KEY_NAME + Buffer.from(name.buffer, KEY_NAME).write(this.#name);
    this.#key[end] = KEY_NAME_END;
    this.#labelsStart = end + 1;
  }

  /** Adds fields `label` as they are written, tags included. */
  #addLabels(start: number, end: number): void {
    this.#reserveKey(this.#keySize + end - start);
    this.#key.set(this.#wire.bytes.subarray(start, end), this.#keySize);
    this.#keySize += end - start;
  }

  #reserveKey(size: number): void {
    if (size > 0 && size <= this.#key.length) return;
    const key = new Uint8Array(2 * size);
    key.set(this.#key.subarray(0, Math.min(this.#keySize, key.length)));
    this.#key = key;
    this.#keyView = new DataView(key.buffer);
  }
}

function readLabel(wire: WireReader, end: number, pairs: string[]): void {
  let name = '';
  let value = '';
  while (wire.next(end)) {
    if (wire.field === Label.name) name = readText(wire, wire.enter(end), 'label name');
    else if (wire.field === Label.value) value = readText(wire, wire.enter(end), 'label value');
    else wire.skip(end);
  }
  if (name === '') throw new FormatError('protobuf: invalid label name: ""');
  pairs.push(name, value);
}

function readText(wire: WireReader, end: number, what: string): string {
  const text = wire.buffer.toString('utf8', wire.position, end);
  // What was not UTF-8 became U+FFFD, which may also have been written.
  if (text.includes('\ufffd') && !isUtf8(wire.bytes.subarray(wire.position, end))) {
    wire.fail(`${what} is not valid UTF-8`);
  }
  wire.position = end;
  return text;
}

/** As OpenMetrics spells it: `1.0`, `+Inf`. */
function boundText(bound: number): string {
  const text = formatValue(bound === 0 ? 0 : bound);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
