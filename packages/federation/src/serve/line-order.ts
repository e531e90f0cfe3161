/**
 * Puts the lines of a histogram or summary together, its bounds in ascending order, as both text formats want
 * them.
 */
import { type LabelNumbers, METRIC_NAME, type MetricType } from '@canopy/model';

/** The label that tells the lines of one metric apart, for types that have several. */
const LINE_LABEL: Readonly<Partial<Record<MetricType, string>>> = {
  histogram: 'le',
  gaugehistogram: 'le',
  summary: 'quantile',
};
/** Between two pauses. */
const SERIES_AT_ONCE = 4096;

/**
 * The series in the order of their lines: of other types as they are; those of one histogram where the first of
 * them was. Lines without a bound (`_sum`, `_count`) come last, in the order in which they were given. Fresh,
 * or `series` itself.
 */
export async function lineOrder(
  series: Uint32Array,
  type: MetricType,
  labels: LabelNumbers,
  pause: () => Promise<void>,
): Promise<Uint32Array> {
  const label = LINE_LABEL[type];
  if (label === undefined || series.length < 2) return series;
  for (;;) {
    const { version } = labels;
    const order = new LineOrder(labels, label, series.length);
    for (let i = 0; i < series.length; i++) {
      if (i % SERIES_AT_ONCE === SERIES_AT_ONCE - 1) await pause();
      if (labels.version !== version) break;
      order.add(series[i]);
    }
    // Numbers that changed in between mean other texts: from the beginning.
    if (labels.version === version) return order.ordered();
  }
}

const FREE = 0xffffffff;

class LineOrder {
  readonly #labels: LabelNumbers;
  /** Numbers of what does not tell one histogram from another. */
  readonly #name: number;
  readonly #label: number;
  readonly #bounds = new Map<number, number>();
  /** Open addressing: numbers of histograms by the hash of their labels. */
  readonly #table: Uint32Array;
  /** By histogram, its first series. */
  readonly #firsts: Uint32Array;
  #histograms = 0;
  readonly #series: Uint32Array;
  readonly #histogramOf: Uint32Array;
  readonly #boundOf: Float64Array;
  #count = 0;
  #rest = new Uint32Array(64);

  constructor(labels: LabelNumbers, label: string, countMax: number) {
    this.#labels = labels;
    this.#name = labels.find(METRIC_NAME);
    this.#label = labels.find(label);
    this.#table = new Uint32Array(1 << (33 - Math.clz32(countMax))).fill(FREE);
    this.#firsts = new Uint32Array(countMax);
    this.#series = new Uint32Array(countMax);
    this.#histogramOf = new Uint32Array(countMax);
    this.#boundOf = new Float64Array(countMax);
  }

  add(series: number): void {
    const at = this.#count++;
    this.#series[at] = series;
    const count = this.#labels.load(series);
    const { numbers } = this.#labels;
    if (this.#rest.length < count) this.#rest = new Uint32Array(2 * count);
    let length = 0;
    let hash = 0;
    this.#boundOf[at] = Infinity;
    for (let i = 0; i < count; i += 2) {
      if (numbers[i] === this.#label) this.#boundOf[at] = this.#bound(numbers[i + 1]);
      else if (numbers[i] !== this.#name) {
        this.#rest[length++] = numbers[i];
        this.#rest[length++] = numbers[i + 1];
        hash = Math.imul(hash ^ numbers[i], 0x9e3779b1) ^ Math.imul(numbers[i + 1], 0x85ebca6b);
        hash ^= hash >>> 15;
      }
    }
    this.#histogramOf[at] = this.#histogram(series, hash, length);
  }

  ordered(): Uint32Array {
    const count = this.#count;
    // Counting sort by histogram keeps the order in which series came.
    const ends = new Uint32Array(this.#histograms + 1);
    for (let i = 0; i < count; i++) ends[this.#histogramOf[i] + 1]++;
    for (let h = 0; h < this.#histograms; h++) ends[h + 1] += ends[h];
    const places = new Uint32Array(count);
    for (let i = 0; i < count; i++) places[ends[this.#histogramOf[i]]++] = i;
    // A histogram has few lines, which mostly came in order: insertion.
    for (let at = 1; at < count; at++) {
      const moved = places[at];
      let to = at;
      for (; to > 0 && this.#isAfter(places[to - 1], moved); to--) places[to] = places[to - 1];
      places[to] = moved;
    }
    return places.map((i) => this.#series[i]);
  }

  #isAfter(a: number, b: number): boolean {
    return this.#histogramOf[a] === this.#histogramOf[b] && this.#boundOf[a] > this.#boundOf[b];
  }

  /** The number of the histogram that has the labels in `#rest`. */
  #histogram(series: number, hash: number, length: number): number {
    const mask = this.#table.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const known = this.#table[at];
      if (known === FREE) {
        this.#firsts[this.#histograms] = series;
        this.#table[at] = this.#histograms;
        return this.#histograms++;
      }
      if (this.#hasRest(this.#firsts[known], length)) return known;
    }
  }

  #hasRest(series: number, length: number): boolean {
    const count = this.#labels.load(series);
    const { numbers } = this.#labels;
    let at = 0;
    for (let i = 0; i < count; i += 2) {
      if (numbers[i] === this.#label || numbers[i] === this.#name) continue;
      if (at === length || this.#rest[at] !== numbers[i]) return false;
      if (this.#rest[at + 1] !== numbers[i + 1]) return false;
      at += 2;
    }
    return at === length;
  }

  #bound(number: number): number {
    let bound = this.#bounds.get(number);
    if (bound === undefined) {
      const text = this.#labels.text(number);
      bound = text === '+Inf' ? Number.MAX_VALUE : Number(text);
      // What is no number stays where it came.
      this.#bounds.set(number, Number.isNaN(bound) ? Infinity : bound);
    }
    return this.#bounds.get(number)!;
  }
}
