/** A pinned view of a head. */
import {
  type Clock,
  type Labels,
  type LastSamples,
  type LastSnapshot,
  type Matcher,
  type SelectedSeries,
  type SeriesOrigin,
  type SeriesOrigins,
  type Snapshot,
  type TimeRange,
  asTime,
  compareUtf8,
  invariant,
} from '@canopy/model';
import type { BlockIndex } from '@canopy/encoding';
import type { Archive, ArchiveView } from '../archive/archive.js';
import type { Group } from '../group/group.js';
import { union } from '../series/postings.js';
import { Breath } from './breath.js';
import { NewestSamples } from './last-samples.js';
import type { PinSet } from './pins.js';
import { type SelectInput, Selection } from './selection.js';

export class HeadSnapshot implements Snapshot, LastSnapshot {
  readonly #input: SelectInput;
  readonly #clock: Clock;
  readonly #pins: PinSet;
  readonly #archive: Archive;
  readonly #view: ArchiveView;
  readonly #onRelease: () => void;
  #released = false;

  constructor(
    input: SelectInput,
    clock: Clock,
    pins: PinSet,
    archive: Archive,
    onRelease: () => void,
  ) {
    this.#input = input;
    this.#clock = clock;
    this.#pins = pins;
    this.#archive = archive;
    this.#view = archive.open();
    this.#onRelease = onRelease;
  }

  async select(
    matchers: readonly Matcher[],
    range: TimeRange,
    signal?: AbortSignal,
    onRead?: (entries: number) => void,
  ): Promise<SelectedSeries[]> {
    invariant(!this.#released, 'BUG: select on a released snapshot');
    const breath = new Breath(this.#clock, signal, this.#archive.turns);
    await this.#archive.mount(this.#view, [matchers], range, breath);
    const refs = this.#input.series.match(matchers);
    const { version } = this.#view;
    return new Selection(this.#input, this.#pins, version, range, breath, onRead).run(refs);
  }

  async last(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    signal?: AbortSignal,
  ): Promise<LastSamples> {
    invariant(!this.#released, 'BUG: a released snapshot is used');
    const breath = new Breath(this.#clock, signal, this.#archive.turns);
    await this.#archive.mount(this.#view, matcherSets, range, breath);
    const { version } = this.#view;
    return NewestSamples.find(this.#input, this.#pins, version, matcherSets, range, breath);
  }

  async series(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<Labels[]> {
    const labels: Labels[] = [];
    await this.#each(matcherSets, range, (ref) => labels.push(this.#input.series.labels(ref)));
    return labels;
  }

  /**
   * Where up to `limit` series that match any of the sets have their samples in the range from; undefined where there
   * are more.
   */
  async origins(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    limit: number,
  ): Promise<SeriesOrigins[] | undefined> {
    const found: SeriesOrigins[] = [];
    let tooMany = false;
    await this.#each(matcherSets, range, (ref) => {
      if (found.length >= limit) tooMany = true;
      else
        found.push({
          labels: this.#input.series.labels(ref),
          origins: this.#originsOf(ref, range),
        });
    });
    return tooMany ? undefined : found;
  }

  /** The earliest first. */
  #originsOf(ref: number, range: TimeRange): SeriesOrigin[] {
    const { origins, groups } = this.#input;
    const found: SeriesOrigin[] = [];
    for (let at = origins.first(ref); at >= 0; at = origins.next(at)) {
      const group = groups[origins.group(at)];
      const slot = origins.slot(at);
      if (group === undefined || !this.#slotVisible(group, slot, range)) continue;
      const { epoch, id, meta } = group;
      found.push({
        ...{ journal: group.ref, epoch, group: id, scrapeUrl: meta.scrapeUrl },
        from: asTime(Math.max(group.layout.slotTime(slot), group.minTime)),
        to: asTime(this.#lastTime(group)),
        open: !this.#pins.view(group).ended,
      });
    }
    return found.sort((a, b) => a.from - b.from);
  }

  #lastTime(group: Group): number {
    let { lastTime } = this.#pins.view(group);
    for (const { meta, archived } of group.archived) {
      if (archived!.isSeen(this.#view.version)) lastTime = Math.max(lastTime, meta.maxTime);
    }
    return lastTime;
  }

  async labelNames(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<string[]> {
    const names = new Set<string>();
    // Fast path: what blocks have is named by their indexes.
    if (matcherSets.length === 0) {
      for (const index of await this.#indexes(range)) {
        for (const name of index.labelNames()) names.add(name);
      }
    }
    const add = (name: string): void => void names.add(name);
    const mounts = matcherSets.length > 0;
    await this.#each(matcherSets, range, (ref) => this.#input.series.eachName(ref, add), mounts);
    return [...names].sort(compareUtf8);
  }

  async labelValues(
    name: string,
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<string[]> {
    const { series } = this.#input;
    const values = new Set<string>();
    const breath = new Breath(this.#clock, undefined, this.#archive.turns);
    if (matcherSets.length === 0) {
      // Fast path: one visible series a value is enough, and blocks name theirs.
      for (const index of await this.#indexes(range)) {
        for (const value of index.labelValues(name)) values.add(value);
      }
      for (const [value, refs] of series.values(name)) {
        await breath.take();
        for (let i = 0; i < refs.length; i++) {
          if (!this.#visible(refs[i], range)) continue;
          values.add(value);
          break;
        }
      }
    } else {
      await this.#each(matcherSets, range, (ref) => values.add(series.value(ref, name)));
      values.delete('');
    }
    return [...values].sort(compareUtf8);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#archive.close(this.#view);
    this.#onRelease();
  }

  /** Series of any of the sets (none: of all) with a sample in the range. */
  async #each(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    visit: (ref: number) => void,
    mounts = true,
  ): Promise<void> {
    invariant(!this.#released, 'BUG: a released snapshot is used');
    const { series } = this.#input;
    const breath = new Breath(this.#clock, undefined, this.#archive.turns);
    const sets = matcherSets.length === 0 ? [[]] : matcherSets;
    if (mounts) await this.#archive.mount(this.#view, sets, range, breath);
    const refs = union(
      sets.map((matchers) => series.match(matchers)),
      series.bound,
    );
    for (let i = 0; i < refs.length; i++) {
      if ((i & 1023) === 1023) await breath.take();
      if (this.#visible(refs[i], range)) visit(refs[i]);
    }
  }

  #indexes(range: TimeRange): Promise<BlockIndex[]> {
    invariant(!this.#released, 'BUG: a released snapshot is used');
    return this.#archive.indexes(
      this.#view,
      range,
      new Breath(this.#clock, undefined, this.#archive.turns),
    );
  }

  /** Whether a series may have a sample in the range: by its groups' extents and its newest sample. */
  #visible(ref: number, range: TimeRange): boolean {
    const { origins, groups } = this.#input;
    for (let at = origins.first(ref); at >= 0; at = origins.next(at)) {
      const group = groups[origins.group(at)];
      if (group !== undefined && this.#slotVisible(group, origins.slot(at), range)) return true;
    }
    return false;
  }

  #slotVisible(group: Group, slot: number, { minTime, maxTime }: TimeRange): boolean {
    const pin = this.#pins.view(group);
    const { version } = this.#view;
    for (const { meta, archived } of group.archived) {
      if (meta.maxTime >= minTime && meta.minTime <= maxTime && archived!.isSeen(version))
        return true;
    }
    if (pin.lastTime < minTime || group.minTime > maxTime) return false;
    if (!group.layout.isSeen(slot, pin.rowCount)) return false;
    if (group.lastTimeOf(slot) >= minTime) return true;
    // Loose groups know every slot's newest sample, but not those of before this process.
    if (group.meta.kind === 'loose') return group.tiles.some((tile) => tile.startRow === -1);
    const { aligned } = group;
    return aligned !== null && aligned.hasSince(slot, minTime, pin.rowCount - aligned.start.row);
  }
}
