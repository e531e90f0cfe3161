/**
 * Numbers of series and groups that are gone. They are given again once every snapshot that may know
 * them is closed.
 */
import type { Pins } from '../select/pins.js';
import type { Origins } from './origins.js';
import type { SeriesIndex } from './series-index.js';

export class Reclaim {
  readonly #pins: Pins;
  readonly #series: SeriesIndex;
  readonly #origins: Origins;
  /** What is gone → the newest snapshot that may know it. */
  readonly #orphans = new Map<number, number>();
  readonly #handles = new Map<number, number>();
  readonly #freeHandles: number[] = [];

  constructor(pins: Pins, series: SeriesIndex, origins: Origins) {
    this.#pins = pins;
    this.#series = series;
    this.#origins = origins;
  }

  /** A group's handle to give again; undefined: none is free. */
  takeHandle(): number | undefined {
    return this.#freeHandles.pop();
  }

  /** Series without a column, and a group's handle. */
  add(orphans: readonly number[], handles: readonly number[]): void {
    for (const ref of orphans) this.#orphans.set(ref, this.#pins.opened);
    for (const handle of handles) this.#handles.set(handle, this.#pins.opened);
    this.run();
  }

  /** To be called when a snapshot was closed. */
  run(): void {
    if (this.#orphans.size === 0 && this.#handles.size === 0) return;
    const { oldest } = this.#pins;
    const gone: number[] = [];
    for (const [ref, opened] of this.#orphans) {
      if (opened >= oldest) continue;
      this.#orphans.delete(ref);
      // A group that came since may have it again.
      if (this.#origins.first(ref) < 0) gone.push(ref);
    }
    this.#series.remove(gone);
    if (gone.length > 0) this.#origins.shrink(this.#series.bound);
    for (const [handle, opened] of this.#handles) {
      if (opened >= oldest) continue;
      this.#handles.delete(handle);
      this.#freeHandles.push(handle);
    }
  }
}
