/**
 * What was deleted on request, hidden from whoever asks. The samples themselves stay until
 * retention takes them: what a journal brought can be counted again at any time.
 */
import {
  type Family,
  type Labels,
  type LastColumns,
  type LastQueryable,
  type LastSamples,
  type LastSnapshot,
  METRIC_NAME,
  type Matcher,
  type Queryable,
  SampleState,
  type SelectedSeries,
  type Snapshot,
  type TimeRange,
  asTime,
  labelsKey,
  makeMatcher,
  matchesAll,
  labelValue,
} from '@canopy/model';
import { newestValue } from './last-samples.js';

/** Samples of matching series between two times, inclusive; ms. */
export interface Tombstone {
  readonly matchers: readonly Matcher[];
  readonly minTime: number;
  readonly maxTime: number;
}

type InnerSnapshot = Snapshot & LastSnapshot;

interface Inner extends Queryable, LastQueryable {
  snapshot(): InnerSnapshot;
}

export class ErasedView implements Queryable, LastQueryable {
  /** Replaced whole: a snapshot keeps those of the moment it was made. */
  tombstones: readonly Tombstone[] = [];
  readonly #inner: Inner;

  constructor(inner: Inner) {
    this.#inner = inner;
  }

  snapshot(): InnerSnapshot {
    const snapshot = this.#inner.snapshot();
    return this.tombstones.length === 0 ? snapshot : new ErasedSnapshot(snapshot, this.tombstones);
  }

  metadata(): ReadonlyMap<string, readonly Family[]> {
    return this.#inner.metadata();
  }
}

class ErasedSnapshot implements Snapshot, LastSnapshot {
  readonly #inner: InnerSnapshot;
  readonly #tombstones: readonly Tombstone[];

  constructor(inner: InnerSnapshot, tombstones: readonly Tombstone[]) {
    this.#inner = inner;
    this.#tombstones = tombstones;
  }

  async select(...asked: Parameters<Snapshot['select']>): Promise<SelectedSeries[]> {
    const selected = await this.#inner.select(...asked);
    const stones = within(this.#tombstones, asked[1]);
    if (stones.length === 0) return selected;
    return selected.flatMap((series) => erased(series, stones) ?? []);
  }

  /** Series of which something is left in the range. */
  async series(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<Labels[]> {
    let found = await this.#inner.series(matcherSets, range);
    for (const stone of within(this.#tombstones, range)) {
      const kept = new Set<string>();
      for (const [minTime, maxTime] of [
        [range.minTime, stone.minTime - 1],
        [stone.maxTime + 1, range.maxTime],
      ]) {
        if (minTime > maxTime) continue;
        const rest = { minTime: asTime(minTime), maxTime: asTime(maxTime) };
        for (const labels of await this.#inner.series([stone.matchers], rest)) {
          kept.add(labelsKey(labels));
        }
      }
      found = found.filter(
        (labels) => !matchesAll(stone.matchers, labels) || kept.has(labelsKey(labels)),
      );
    }
    return found;
  }

  labelNames(...asked: Parameters<Snapshot['labelNames']>): Promise<string[]> {
    return this.#inner.labelNames(...asked);
  }

  labelValues(...asked: Parameters<Snapshot['labelValues']>): Promise<string[]> {
    return this.#inner.labelValues(...asked);
  }

  async last(...asked: Parameters<LastSnapshot['last']>): Promise<LastSamples> {
    const last = await this.#inner.last(...asked);
    const stones = within(this.#tombstones, asked[1]);
    if (stones.length === 0) return last;
    return new ErasedLast(last, stones, (matchers) => this.select(matchers, asked[1], asked[2]));
  }

  release(): void {
    this.#inner.release();
  }
}

const within = (stones: readonly Tombstone[], { minTime, maxTime }: TimeRange): Tombstone[] =>
  stones.filter((stone) => stone.maxTime >= minTime && stone.minTime <= maxTime);

/** Undefined where nothing is left. */
function erased(series: SelectedSeries, stones: readonly Tombstone[]): SelectedSeries | undefined {
  const own = stones.filter(({ matchers }) => matchesAll(matchers, series.labels));
  if (own.length === 0) return series;
  const { times, from, to } = series;
  const states = series.states?.slice() ?? new Uint8Array(times.length).fill(SampleState.value);
  let isAnyLeft = false;
  for (let i = from; i < to; i++) {
    const isErased = own.some(({ minTime, maxTime }) => times[i] >= minTime && times[i] <= maxTime);
    if (isErased) states[i] = SampleState.none;
    else if (states[i] !== SampleState.none) isAnyLeft = true;
  }
  return isAnyLeft ? { ...series, states } : undefined;
}

/** Where a series' newest sample is erased, what is left before it is selected. */
class ErasedLast implements LastSamples {
  readonly metrics: LastSamples['metrics'];
  readonly seriesCount: number;
  readonly labels: LastSamples['labels'];
  readonly #inner: LastSamples;
  readonly #stones: readonly Tombstone[];
  /** What is left in the range of those that match. */
  readonly #select: (matchers: readonly Matcher[]) => Promise<SelectedSeries[]>;

  constructor(
    inner: LastSamples,
    stones: readonly Tombstone[],
    select: (matchers: readonly Matcher[]) => Promise<SelectedSeries[]>,
  ) {
    this.#inner = inner;
    this.#stones = stones;
    this.#select = select;
    this.metrics = inner.metrics;
    this.seriesCount = inner.seriesCount;
    this.labels = inner.labels;
  }

  async read(series: Uint32Array, from: number, count: number, out: LastColumns): Promise<void> {
    await this.#inner.read(series, from, count, out);
    const places = new Map<string, number>();
    // By tombstone and metric, so that one select finds what many series have left.
    const asked = new Map<Tombstone, Set<string>>();
    for (let i = 0; i < count; i++) {
      const time = out.times[i];
      const near = this.#stones.filter((s) => time >= s.minTime && time <= s.maxTime);
      if (near.length === 0) continue;
      const labels = this.#labelsOf(series[from + i]);
      const stone = near.find(({ matchers }) => matchesAll(matchers, labels));
      if (stone === undefined) continue;
      out.times[i] = Number.NaN;
      places.set(labelsKey(labels), i);
      const names = asked.get(stone) ?? new Set();
      asked.set(stone, names.add(labelValue(labels, METRIC_NAME)));
    }
    for (const [{ matchers }, names] of asked) {
      for (const name of names) {
        const left = await this.#select([makeMatcher(METRIC_NAME, '=', name), ...matchers]);
        for (const one of left) fill(out, places.get(labelsKey(one.labels)), one);
      }
    }
  }

  #labelsOf(series: number): Labels {
    const count = this.labels.load(series);
    const texts = Array.from(this.labels.numbers.subarray(0, count));
    return texts.map((number) => this.labels.text(number)) as unknown as Labels;
  }
}

function fill(out: LastColumns, place: number | undefined, series: SelectedSeries): void {
  const at = newestValue(series);
  if (place === undefined || at < 0) return;
  out.times[place] = series.times[at];
  out.values[place] = series.values[at];
  out.families[place] = series.family;
}
