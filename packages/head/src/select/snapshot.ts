/** A pinned view of a head. */
import {
  type Clock,
  type Labels,
  type Matcher,
  type SelectedSeries,
  type Snapshot,
  type TimeRange,
  compareUtf8,
  invariant,
} from '@canopy/model';
import type { Group } from '../group/group.js';
import { union } from '../series/postings.js';
import { Breath } from './breath.js';
import type { PinSet } from './pins.js';
import { type SelectInput, Selection } from './selection.js';

export class HeadSnapshot implements Snapshot {
  readonly #input: SelectInput;
  readonly #clock: Clock;
  readonly #pins: PinSet;
  readonly #onRelease: () => void;
  #released = false;

  constructor(input: SelectInput, clock: Clock, pins: PinSet, onRelease: () => void) {
    this.#input = input;
    this.#clock = clock;
    this.#pins = pins;
    this.#onRelease = onRelease;
  }

  async select(
    matchers: readonly Matcher[],
    range: TimeRange,
    signal?: AbortSignal,
  ): Promise<SelectedSeries[]> {
    invariant(!this.#released, 'BUG: select on a released snapshot');
    const breath = new Breath(this.#clock, signal);
    const refs = this.#input.series.match(matchers);
    return new Selection(this.#input, this.#pins, range, breath).run(refs);
  }

  async series(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<Labels[]> {
    const labels: Labels[] = [];
    await this.#each(matcherSets, range, (ref) => labels.push(this.#input.series.labels(ref)));
    return labels;
  }

  async labelNames(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<string[]> {
    const names = new Set<string>();
    const add = (name: string): void => void names.add(name);
    await this.#each(matcherSets, range, (ref) => this.#input.series.eachName(ref, add));
    return [...names].sort(compareUtf8);
  }

  async labelValues(
    name: string,
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
  ): Promise<string[]> {
    const { series } = this.#input;
    const values = new Set<string>();
    const breath = new Breath(this.#clock);
    if (matcherSets.length === 0) {
      // Fast path: one visible series a value is enough.
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
    this.#onRelease();
  }

  /** Series of any of the sets (none: of all) with a sample in the range. */
  async #each(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    visit: (ref: number) => void,
  ): Promise<void> {
    invariant(!this.#released, 'BUG: a released snapshot is used');
    const { series } = this.#input;
    const breath = new Breath(this.#clock);
    const sets = matcherSets.length === 0 ? [[]] : matcherSets;
    const refs = union(sets.map((matchers) => series.match(matchers)));
    for (let i = 0; i < refs.length; i++) {
      if ((i & 1023) === 1023) await breath.take();
      if (this.#visible(refs[i], range)) visit(refs[i]);
    }
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
    if (pin.lastTime < minTime || group.minTime > maxTime) return false;
    if (!group.layout.isSeen(slot, pin.rowCount)) return false;
    if (group.lastTimeOf(slot) >= minTime) return true;
    // Loose groups know every slot's newest sample, but not those of before this process.
    if (group.meta.kind === 'loose') return group.tiles.some((tile) => tile.startRow === -1);
    const { aligned } = group;
    return aligned !== null && aligned.hasSince(slot, minTime, pin.rowCount - aligned.start.row);
  }
}
