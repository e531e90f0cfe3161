/**
 * Closes tiles: small ones at once, wide ones some slots at a time, so that the event loop is
 * never held for long. Until a wide one is encoded, selects read it as it was.
 */
import { type Clock, asDuration } from '@canopy/model';
import type { HeadOptions } from '../options.js';
import type { Group } from './group.js';
import type { Tile } from './tile.js';

/** Cells that are encoded in one go: about 1 ms, 5 where everything changes. */
const CELLS_AT_ONCE = 1 << 17;
/** How long one step encodes. Milliseconds. */
const STEP_MS = 5;
/** Between two looks at the clock. */
const CELLS_A_LOOK = 1 << 14;

export class TileClosing {
  readonly #clock: Clock;
  readonly #cellsAtOnce: number;
  readonly #onClosed: (group: Group, tile: Tile) => void;
  /** Groups with something sealed; those that have nothing any more are passed over. */
  #waiting: Group[] = [];
  #scheduled = false;

  constructor(
    options: Pick<HeadOptions, 'clock' | 'tileCellsAtOnce'>,
    onClosed: (group: Group, tile: Tile) => void,
  ) {
    this.#clock = options.clock;
    this.#cellsAtOnce = options.tileCellsAtOnce ?? CELLS_AT_ONCE;
    this.#onClosed = onClosed;
  }

  /** `pinned`: a snapshot is open. */
  close(group: Group, pinned: boolean): void {
    // Tiles come in their order: what is still sealed goes first, however long it takes.
    this.#encode(group, Number.POSITIVE_INFINITY);
    const isWide = (group.aligned?.cells ?? 0) > this.#cellsAtOnce;
    const tile = group.seal(pinned);
    if (tile !== null) this.#onClosed(group, tile);
    if (!isWide) this.#encode(group, Number.POSITIVE_INFINITY);
    else {
      this.#waiting.push(group);
      this.#schedule();
    }
  }

  /** Closes all that is open of a group; resolves when it is encoded, some slots at a time. */
  async closeAll(group: Group): Promise<void> {
    // As if a snapshot were open: it may be.
    this.close(group, true);
    while (!this.#encode(group, CELLS_AT_ONCE)) {
      await new Promise((done) => setImmediate(done));
    }
  }

  /** Whether nothing is left to encode of it. */
  #encode(group: Group, cellsMax: number): boolean {
    if (group.sealed === null) return true;
    const tile = group.encodeSealed(cellsMax);
    if (tile === null) return false;
    this.#onClosed(group, tile);
    return true;
  }

  #schedule(): void {
    if (this.#waiting.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(asDuration(0), () => {
      this.#scheduled = false;
      this.#step();
      this.#schedule();
    });
  }

  #step(): void {
    const until = this.#clock.monotonic() + STEP_MS;
    do {
      if (this.#encode(this.#waiting[0], CELLS_A_LOOK)) this.#waiting.shift();
    } while (this.#waiting.length > 0 && this.#clock.monotonic() < until);
  }
}
