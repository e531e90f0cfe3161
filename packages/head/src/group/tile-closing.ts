/**
 * Closes tiles: small ones at once, wide ones some slots at a time, so that the event loop is
 * never held for long. Until a wide one is encoded, selects read it as it was.
 */
import { type Clock, asDuration } from '@canopy/model';
import type { HeadOptions } from '../options.js';
import type { Group } from './group.js';
import { TileScratch } from './rows.js';
import type { Tile } from './tile.js';

/** Cells of a tile that is encoded in one go: about 5 ms. */
const CELLS_AT_ONCE = 1 << 16;
/** How long one step encodes. Milliseconds. */
const STEP_MS = 5;
const SLOTS_AT_ONCE = 32;

export class TileClosing {
  readonly #clock: Clock;
  readonly #cellsAtOnce: number;
  readonly #onClosed: (group: Group, tile: Tile) => void;
  readonly #scratch = new TileScratch();
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
    if (group.sealed !== null) this.#encode(group, Number.POSITIVE_INFINITY);
    if (group.sealWide(this.#cellsAtOnce)) {
      this.#waiting.push(group);
      this.#schedule();
      return;
    }
    const tile = group.closeTile(pinned, this.#scratch);
    if (tile !== null) this.#onClosed(group, tile);
  }

  /** Whether nothing is left to encode of it. */
  #encode(group: Group, slotsMax: number): boolean {
    if (group.sealed === null) return true;
    const tile = group.encodeSealed(slotsMax, this.#scratch);
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
      if (this.#encode(this.#waiting[0], SLOTS_AT_ONCE)) this.#waiting.shift();
    } while (this.#waiting.length > 0 && this.#clock.monotonic() < until);
  }
}
