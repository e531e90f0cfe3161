/** What open snapshots see of groups that have gone on since. */
import type { Group, GroupPin } from '../group/group.js';

/** One snapshot's view: groups that have not changed since are seen as they are. */
export class PinSet {
  readonly openedAt: number;
  /** Counts the snapshots. */
  readonly number: number;
  readonly #pins = new Map<Group, GroupPin>();

  /** `openedAt`: on the monotonic clock. */
  constructor(openedAt: number, number: number) {
    this.openedAt = openedAt;
    this.number = number;
  }

  view(group: Group): GroupPin {
    return this.#pins.get(group) ?? group;
  }

  note(group: Group): void {
    if (this.#pins.has(group)) return;
    const { rowCount, lastTime, ended } = group;
    this.#pins.set(group, { rowCount, lastTime, ended });
  }
}

export class Pins {
  readonly #open = new Set<PinSet>();
  #opened = 0;

  get count(): number {
    return this.#open.size;
  }

  /** Snapshots opened so far. */
  get opened(): number {
    return this.#opened;
  }

  /** Number of the oldest open snapshot; Infinity where none is open. */
  get oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { number } of this.#open) oldest = Math.min(oldest, number);
    return oldest;
  }

  open(now: number): PinSet {
    const pins = new PinSet(now, ++this.#opened);
    this.#open.add(pins);
    return pins;
  }

  close(pins: PinSet): void {
    this.#open.delete(pins);
  }

  /** To be called before a group changes in a way that selects can see. */
  note(group: Group): void {
    for (const pins of this.#open) pins.note(group);
  }

  /** Whether a snapshot opened at or after `since` is still open. */
  openSince(since: number): boolean {
    for (const pins of this.#open) if (pins.openedAt >= since) return true;
    return false;
  }
}
