/**
 * Prometheus remote write messages to series with their samples: `prometheus.WriteRequest` (1.0) and
 * `io.prometheus.write.v2.Request` (2.0, the release candidate's field numbers). Native histograms and
 * exemplars are counted only; unknown fields are skipped.
 */
import { isUtf8 } from 'node:buffer';
import { WireReader } from '@canopy/exposition';
import {
  type Family,
  type MetricType,
  STALE_NAN_HIGH,
  STALE_NAN_LOW,
  SampleState,
} from '@canopy/model';

/** The two versions of the protocol. */
export type MessageVersion = '1.0' | '2.0';

/** One series as it was sent; its labels are not checked yet. */
export interface WrittenSeries {
  /** `[name, value, …]` in the order sent; null where they are no UTF-8 or point beyond the symbols. */
  readonly pairs: readonly string[] | null;
  /** What a 2.0 message says of it. */
  readonly family: Omit<Family, 'name'> | undefined;
  readonly times: number[];
  readonly values: number[];
  readonly states: SampleState[];
  histograms: number;
  exemplars: number;
}

export interface WriteMessage {
  readonly series: readonly WrittenSeries[];
  /** What a 1.0 message says of metrics, beside the series. */
  readonly families: readonly Family[];
}

const Request = { series: 1, metadata: 3 } as const;
const Series = { label: 1, sample: 2, exemplar: 3, histogram: 4 } as const;
const Label = { name: 1, value: 2 } as const;
const Metadata = { type: 1, name: 2, help: 4, unit: 5 } as const;

const Request2 = { symbol: 4, series: 5 } as const;
const Series2 = { labels: 1, sample: 2, histogram: 3, exemplar: 4, metadata: 5 } as const;
const Metadata2 = { type: 1, help: 3, unit: 4 } as const;

/** The same in both versions. */
const Sample = { value: 1, timestamp: 2 } as const;

/** By number, the same in both versions. */
const TYPES: readonly MetricType[] = [
  ...(['unknown', 'counter', 'gauge', 'histogram'] as const),
  ...(['gaugehistogram', 'summary', 'info', 'stateset'] as const),
];

/** @throws FormatError; nothing of the message may be used then. */
export function readWriteMessage(bytes: Uint8Array, version: MessageVersion): WriteMessage {
  const reader = new MessageReader(bytes);
  return version === '1.0' ? reader.read1() : reader.read2();
}

class MessageReader {
  readonly #wire = new WireReader();
  readonly #end: number;

  constructor(bytes: Uint8Array) {
    this.#wire.open(bytes);
    this.#end = bytes.length;
  }

  read1(): WriteMessage {
    const wire = this.#wire;
    const series: WrittenSeries[] = [];
    const families: Family[] = [];
    while (wire.next(this.#end)) {
      if (wire.field === Request.series) series.push(this.#series1(wire.enter(this.#end)));
      else if (wire.field === Request.metadata) {
        families.push(this.#metadata1(wire.enter(this.#end)));
      } else wire.skip(this.#end);
    }
    return { series, families };
  }

  read2(): WriteMessage {
    const wire = this.#wire;
    const symbols = this.#symbols();
    const series: WrittenSeries[] = [];
    while (wire.next(this.#end)) {
      if (wire.field !== Request2.series) wire.skip(this.#end);
      else series.push(this.#series2(wire.enter(this.#end), symbols));
    }
    return { series, families: [] };
  }

  /** Series point at symbols, wherever in the message these stand. */
  #symbols(): Array<string | null> {
    const wire = this.#wire;
    const symbols: Array<string | null> = [];
    while (wire.next(this.#end)) {
      if (wire.field === Request2.symbol) symbols.push(this.#text(wire.enter(this.#end)));
      else wire.skip(this.#end);
    }
    if (symbols.length > 0 && symbols[0] !== '') wire.fail('the first symbol is not empty');
    wire.position = 0;
    return symbols;
  }

  #series1(end: number): WrittenSeries {
    const wire = this.#wire;
    const pairs: Array<string | null> = [];
    const series = emptySeries();
    while (wire.next(end)) {
      if (wire.field === Series.label) this.#label1(wire.enter(end), pairs);
      else if (wire.field === Series.sample) this.#sample(wire.enter(end), series);
      else {
        if (wire.field === Series.histogram) series.histograms++;
        else if (wire.field === Series.exemplar) series.exemplars++;
        wire.skip(end);
      }
    }
    return { ...series, pairs: whole(pairs) };
  }

  #label1(end: number, pairs: Array<string | null>): void {
    const wire = this.#wire;
    let name: string | null = '';
    let value: string | null = '';
    while (wire.next(end)) {
      if (wire.field === Label.name) name = this.#text(wire.enter(end));
      else if (wire.field === Label.value) value = this.#text(wire.enter(end));
      else wire.skip(end);
    }
    pairs.push(name, value);
  }

  #metadata1(end: number): Family {
    const wire = this.#wire;
    const family = { name: '', type: TYPES[0], help: '', unit: '' };
    while (wire.next(end)) {
      if (wire.field === Metadata.type) family.type = TYPES[wire.uint64(end)] ?? TYPES[0];
      else if (wire.field === Metadata.name) family.name = this.#text(wire.enter(end)) ?? '';
      else if (wire.field === Metadata.help) family.help = this.#text(wire.enter(end)) ?? '';
      else if (wire.field === Metadata.unit) family.unit = this.#text(wire.enter(end)) ?? '';
      else wire.skip(end);
    }
    return family;
  }

  #series2(end: number, symbols: ReadonlyArray<string | null>): WrittenSeries {
    const wire = this.#wire;
    const pairs: Array<string | null> = [];
    const series = emptySeries();
    while (wire.next(end)) {
      if (wire.field === Series2.labels) this.#references(end, symbols, pairs);
      else if (wire.field === Series2.sample) this.#sample(wire.enter(end), series);
      else if (wire.field === Series2.metadata) {
        series.family = this.#metadata2(wire.enter(end), symbols);
      } else {
        if (wire.field === Series2.histogram) series.histograms++;
        else if (wire.field === Series2.exemplar) series.exemplars++;
        wire.skip(end);
      }
    }
    return { ...series, pairs: pairs.length % 2 === 0 ? whole(pairs) : null };
  }

  /** Packed or one by one: a reader has to take both. */
  #references(
    end: number,
    symbols: ReadonlyArray<string | null>,
    pairs: Array<string | null>,
  ): void {
    const wire = this.#wire;
    if (wire.wireType === 0) {
      pairs.push(symbols[wire.uint64(end)] ?? null);
      return;
    }
    const last = wire.enter(end);
    while (wire.position < last) pairs.push(symbols[wire.varint(last)] ?? null);
  }

  #metadata2(end: number, symbols: ReadonlyArray<string | null>): Omit<Family, 'name'> | undefined {
    const wire = this.#wire;
    let [type, help, unit] = [0, 0, 0];
    while (wire.next(end)) {
      if (wire.field === Metadata2.type) type = wire.uint64(end);
      else if (wire.field === Metadata2.help) help = wire.uint64(end);
      else if (wire.field === Metadata2.unit) unit = wire.uint64(end);
      else wire.skip(end);
    }
    const said = { type: TYPES[type] ?? TYPES[0], help: symbols[help], unit: symbols[unit] };
    if (said.type === 'unknown' && !said.help && !said.unit) return undefined;
    return { type: said.type, help: said.help ?? '', unit: said.unit ?? '' };
  }

  #sample(end: number, series: MutableSeries): void {
    const wire = this.#wire;
    let [time, value, state]: [number, number, SampleState] = [0, 0, SampleState.value];
    while (wire.next(end)) {
      if (wire.field === Sample.value) {
        const at = wire.position;
        value = wire.double(end);
        if (Number.isNaN(value) && isStaleMark(wire.view, at)) state = SampleState.stale;
      } else if (wire.field === Sample.timestamp) time = wire.int64(end);
      else wire.skip(end);
    }
    series.times.push(time);
    series.values.push(state === SampleState.stale ? 0 : value);
    series.states.push(state);
  }

  /** The text up to `end`; null where it is no UTF-8. */
  #text(end: number): string | null {
    const wire = this.#wire;
    const start = wire.position;
    wire.position = end;
    if (!isUtf8(wire.buffer.subarray(start, end))) return null;
    return wire.buffer.toString('utf8', start, end);
  }
}

type MutableSeries = Omit<WrittenSeries, 'pairs' | 'family'> & {
  family: WrittenSeries['family'];
};

const emptySeries = (): MutableSeries => ({
  family: undefined,
  times: [],
  values: [],
  states: [],
  histograms: 0,
  exemplars: 0,
});

function whole(pairs: ReadonlyArray<string | null>): readonly string[] | null {
  return pairs.includes(null) ? null : (pairs as readonly string[]);
}

const isStaleMark = (view: DataView, at: number): boolean =>
  view.getUint32(at + 4, true) === STALE_NAN_HIGH && view.getUint32(at, true) === STALE_NAN_LOW;
