/**
 * The newest sample of each series. Nearly all of them stand in the newest rows of their only group, as they
 * came, and are read there; whatever is less simple is selected and looked through.
 */
import {
  type LabelNumbers,
  type LastColumns,
  type LastSamples,
  METRIC_NAME,
  type Matcher,
  SampleState,
  type SelectedSeries,
  type TimeRange,
} from '@canopy/model';
import type { Group } from '../group/group.js';
import type { RowsView } from '../group/rows.js';
import { refsIn, union } from '../series/postings.js';
import type { SeriesIndex } from '../series/series-index.js';
import type { Breath } from './breath.js';
import { type Known, lookAt } from './gather.js';
import type { PinSet } from './pins.js';
import { type SelectInput, Selection } from './selection.js';

/** Between two looks at the clock. */
const SERIES_A_LOOK = 4096;

/** One group as the snapshot sees it. */
interface View extends Known {
  /** Blocks have some of the range: the group need not know when a slot ended there. */
  readonly inBlocks: boolean;
  /** Its newest rows, where they are not packed. */
  readonly rows: RowsView | null;
}

export class NewestSamples implements LastSamples {
  readonly metrics: ReadonlyMap<string, Uint32Array>;
  readonly seriesCount: number;
  readonly labels: LabelNumbers;
  readonly #input: SelectInput;
  readonly #pins: PinSet;
  readonly #version: number;
  readonly #range: TimeRange;
  readonly #breath: Breath;
  /** By handle; null where nothing is seen that is near the range. */
  readonly #views: Array<View | null>;
  /** Places among those asked for that have to be selected. */
  readonly #hard: number[] = [];

  private constructor(
    input: SelectInput,
    pins: PinSet,
    version: number,
    range: TimeRange,
    breath: Breath,
    found: { metrics: ReadonlyMap<string, Uint32Array>; seriesCount: number },
  ) {
    this.#input = input;
    this.#pins = pins;
    this.#version = version;
    this.#range = range;
    this.#breath = breath;
    this.metrics = found.metrics;
    this.seriesCount = found.seriesCount;
    this.labels = new IndexNumbers(input.series);
    // All at once, so that rows are still there as they came however long the reading takes.
    this.#views = input.groups.map((group) => (group === undefined ? null : this.#look(group)));
  }

  /** `version`: of the archive's catalogue; what it has for the range is mounted. */
  static async find(
    input: SelectInput,
    pins: PinSet,
    version: number,
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    breath: Breath,
  ): Promise<NewestSamples> {
    const { series } = input;
    const lists: Uint32Array[] = [];
    for (const matchers of matcherSets) {
      lists.push(series.match(matchers));
      await breath.take();
    }
    const refs = lists.length === 1 ? lists[0] : union(lists, series.bound);
    const marks = new Uint8Array(series.bound);
    for (let i = 0; i < refs.length; i++) marks[refs[i]] = 1;
    const metrics = new Map<string, Uint32Array>();
    for (const [name, all] of series.values(METRIC_NAME)) {
      const own = refsIn(all, marks);
      if (own.length > 0) metrics.set(name, own);
      await breath.take();
    }
    const found = { metrics, seriesCount: refs.length };
    return new NewestSamples(input, pins, version, range, breath, found);
  }

  async read(refs: Uint32Array, from: number, count: number, out: LastColumns): Promise<void> {
    this.#hard.length = 0;
    for (let i = 0; i < count; i++) {
      if (i % SERIES_A_LOOK === SERIES_A_LOOK - 1) await this.#breath.take();
      this.#readOne(refs[from + i], i, out);
    }
    if (this.#hard.length > 0) await this.#select(refs, from, out);
  }

  #readOne(ref: number, i: number, out: LastColumns): void {
    const { origins } = this.#input;
    let view: View | null = null;
    let slot = 0;
    let near = 0;
    for (let at = origins.first(ref); at >= 0; at = origins.next(at)) {
      const own = this.#view(origins.group(at));
      if (own === null) continue;
      near++;
      view = own;
      slot = origins.slot(at);
    }
    out.times[i] = NaN;
    out.families[i] = undefined;
    if (view === null) return;
    const isEasy = near === 1 && (this.#readRows(view, slot, i, out) || isLoose(view));
    if (!isEasy || (isLoose(view) && !this.#readLoose(view, slot, i, out))) this.#hard.push(i);
    else if (!Number.isNaN(out.times[i])) out.families[i] = view.group.layout.family(slot);
  }

  /** Fast path: looks in the newest rows alone. Whether what the series has newest is known then. */
  #readRows({ group, rows, inBlocks }: View, slot: number, i: number, out: LastColumns): boolean {
    if (rows === null) return false;
    const { times, values, states, stride, count } = rows;
    const { minTime } = this.#range;
    for (let row = count - 1; row >= 0; row--) {
      const time = times[row];
      if (time < minTime) return true;
      const at = row * stride + slot;
      const state = slot >= stride ? SampleState.none : (states?.[at] ?? SampleState.value);
      if (state === SampleState.none) continue;
      if (state === SampleState.value) {
        out.values[i] = values[at];
        out.times[i] = time;
      }
      return true;
    }
    // What is packed: nearly always it says nothing newer than a series that is long gone.
    return !inBlocks && group.lastTimeOf(slot) < minTime;
  }

  /** The same of what a loose group remembers of each slot. */
  #readLoose({ group, pin }: View, slot: number, i: number, out: LastColumns): boolean {
    const time = group.lastTimeOf(slot);
    const { minTime, maxTime } = this.#range;
    // Not of what tiles of the store had of it before this process, or blocks have.
    const isOwn = group.storedSequence === 0 && group.archived.length === 0;
    if (!isOwn || group.rowCount !== pin.rowCount || time > maxTime) return false;
    const value = group.lastLooseValue(slot);
    if (time < minTime || value === undefined) return true;
    out.values[i] = value;
    out.times[i] = time;
    return true;
  }

  async #select(refs: Uint32Array, from: number, out: LastColumns): Promise<void> {
    const hard = this.#hard;
    const places = new Map(hard.map((i) => [refs[from + i], i]));
    const selection = new Selection(
      this.#input,
      this.#pins,
      this.#version,
      this.#range,
      this.#breath,
    );
    const selected = await selection.run(Uint32Array.from(hard, (i) => refs[from + i]));
    selected.forEach((series, k) => {
      const at = newestValue(series);
      if (at < 0) return;
      const i = places.get(selection.refs[k])!;
      out.values[i] = series.values[at];
      out.times[i] = series.times[at];
      out.families[i] = series.family;
    });
  }

  #view(handle: number): View | null {
    let view = this.#views[handle];
    if (view === undefined) {
      const group = this.#input.groups[handle];
      view = group === undefined ? null : this.#look(group);
      this.#views[handle] = view;
    }
    return view;
  }

  #look(group: Group): View | null {
    const known = lookAt(group, this.#pins, this.#version, this.#range);
    if (known === null || !known.near) return null;
    const { aligned } = group;
    const rows =
      aligned?.newest(this.#range.maxTime, known.pin.rowCount - aligned.start.row) ?? null;
    const inBlocks = group.archived.some(({ meta }) => meta.maxTime >= this.#range.minTime);
    return { ...known, rows, inBlocks };
  }
}

const isLoose = ({ group }: View): boolean => group.meta.kind === 'loose';

/** Where the newest sample of a selected series is; -1 where the series ended with a stale mark or has none. */
export function newestValue({ states, from, to }: SelectedSeries): number {
  for (let i = to - 1; i >= from; i--) {
    if (states === null || states[i] === SampleState.value) return i;
    if (states[i] === SampleState.stale) return -1;
  }
  return -1;
}

/** Label sets as the index has them. */
class IndexNumbers implements LabelNumbers {
  numbers = new Uint32Array(64);
  readonly #series: SeriesIndex;

  constructor(series: SeriesIndex) {
    this.#series = series;
  }

  get version(): number {
    return this.#series.symbolsVersion;
  }

  load(series: number): number {
    const count = this.#series.copySymbols(series, this.numbers);
    if (count <= this.numbers.length) return count;
    this.numbers = new Uint32Array(2 * count);
    return this.#series.copySymbols(series, this.numbers);
  }

  text(number: number): string {
    return this.#series.symbols.text(number);
  }

  find(text: string): number {
    return this.#series.symbols.find(text);
  }
}
