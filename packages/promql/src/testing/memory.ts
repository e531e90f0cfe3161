/** A Queryable over plain arrays, for tests and benchmarks. */
import {
  type Family,
  type Labels,
  type Matcher,
  type Queryable,
  SampleState,
  type SelectedSeries,
  type Snapshot,
  type TimeRange,
  compareUtf8,
  labelValue,
  labelsKey,
  matchesAll,
} from '@canopy/model';

interface Held {
  readonly labels: Labels;
  readonly times: number[];
  readonly values: number[];
  readonly states: number[];
  readonly startTimes: number[];
  /** The columns of the samples so far; null after a change. */
  columns: Omit<SelectedSeries, 'labels' | 'family' | 'from' | 'to'> | null;
}

export class MemoryQueryable implements Queryable {
  readonly #series = new Map<string, Held>();
  /** Equal times are one array, as a real store has it for the series of a group. */
  readonly #sharedTimes = new Map<string, Float64Array>();

  /**
   * Adds a sample after all of its series' others; the same time again replaces the value.
   * `startTime`: 0 where it is not known.
   */
  append(
    labels: Labels,
    time: number,
    value: number,
    state: SampleState = SampleState.value,
    startTime = 0,
  ): void {
    const held = this.#hold(labels);
    let at = held.times.length;
    while (at > 0 && held.times[at - 1] > time) at--;
    const replaces = at > 0 && held.times[at - 1] === time ? 1 : 0;
    held.times.splice(at - replaces, replaces, time);
    held.values.splice(at - replaces, replaces, value);
    held.states.splice(at - replaces, replaces, state);
    held.startTimes.splice(at - replaces, replaces, startTime);
    held.columns = null;
  }

  /** Adds a series with all its samples; `times` may be shared with others and is not copied. */
  addColumns(labels: Labels, times: Float64Array, values: Float64Array): void {
    this.#hold(labels).columns = { times, values, states: null };
  }

  clear(): void {
    this.#series.clear();
    this.#sharedTimes.clear();
  }

  snapshot(): Snapshot {
    const pinned: Array<{ labels: Labels } & NonNullable<Held['columns']>> = [];
    for (const held of this.#series.values()) {
      held.columns ??= this.#columnsOf(held);
      pinned.push({ labels: held.labels, ...held.columns });
    }
    return new MemorySnapshot(pinned);
  }

  metadata(): ReadonlyMap<string, readonly Family[]> {
    return new Map();
  }

  #hold(labels: Labels): Held {
    const key = labelsKey(labels);
    let held = this.#series.get(key);
    if (held === undefined) {
      held = { labels, times: [], values: [], states: [], startTimes: [], columns: null };
      this.#series.set(key, held);
    }
    return held;
  }

  #columnsOf(held: Held): NonNullable<Held['columns']> {
    const key = held.times.join();
    const times = this.#sharedTimes.get(key) ?? Float64Array.from(held.times);
    this.#sharedTimes.set(key, times);
    const startTimes = held.startTimes.some((start) => start !== 0)
      ? Float64Array.from(held.startTimes)
      : undefined;
    const plain = held.states.every((state) => state === SampleState.value);
    return {
      times,
      values: Float64Array.from(held.values),
      states: plain ? null : Uint8Array.from(held.states),
      ...(startTimes !== undefined && { startTimes }),
    };
  }
}

class MemorySnapshot implements Snapshot {
  readonly #series: ReadonlyArray<{ labels: Labels } & NonNullable<Held['columns']>>;

  constructor(series: ReadonlyArray<{ labels: Labels } & NonNullable<Held['columns']>>) {
    this.#series = series;
  }

  async select(
    matchers: readonly Matcher[],
    range: TimeRange,
    _signal?: AbortSignal,
    onRead?: (entries: number) => void,
  ): Promise<SelectedSeries[]> {
    const found: SelectedSeries[] = [];
    for (const { labels, ...columns } of this.#series) {
      const { times } = columns;
      if (!matchesAll(matchers, labels)) continue;
      const from = firstAtLeast(times, range.minTime);
      const to = firstAtLeast(times, range.maxTime + 1);
      if (to > from) onRead?.(to - from);
      if (to > from) found.push({ labels, family: undefined, ...columns, from, to });
    }
    return found;
  }

  async series(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<Labels[]> {
    const found: Labels[] = [];
    for (const { labels, times } of this.#series) {
      const matches =
        matcherSets.length === 0 || matcherSets.some((matchers) => matchesAll(matchers, labels));
      const from = firstAtLeast(times, range.minTime);
      if (matches && from < times.length && times[from] <= range.maxTime) found.push(labels);
    }
    return found;
  }

  async labelNames(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<string[]> {
    const names = new Set<string>();
    for (const labels of await this.series(matcherSets, range)) {
      for (let i = 0; i < labels.length; i += 2) names.add(labels[i]);
    }
    return [...names].sort(compareUtf8);
  }

  async labelValues(
    name: string,
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<string[]> {
    const values = new Set<string>();
    for (const labels of await this.series(matcherSets, range)) {
      const value = labelValue(labels, name);
      if (value !== '') values.add(value);
    }
    return [...values].sort(compareUtf8);
  }

  release(): void {}
}

function firstAtLeast(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
