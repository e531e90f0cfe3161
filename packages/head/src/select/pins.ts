/** What open snapshots see of groups that have gone on since. */
import type { Group, GroupPin } from '../group/group.js';

/** One snapshot's view: groups that have not changed since are seen as they are. */
export class PinSet {
  readonly openedAt: number;
  readonly #pins = new Map<Group, GroupPin>();

  /** `openedAt`: on the monotonic clock. */
  constructor(openedAt: number) {
    this.openedAt = openedAt;
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

  get count(): number {
    return this.#open.size;
  }

  open(now: number): PinSet {
    const pins = new PinSet(now);
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
