/** One loose group of pushed series: their slots, what each said last, the samples of one request. */
import {
  type Family,
  type GroupWriter,
  type Labels,
  METRIC_NAME,
  type Milliseconds,
  SampleState,
  labelValue,
} from '@canopy/model';

/** Why a sample is not taken; words of the head's reasons. */
export type PushVerdict = 'too_old' | 'duplicate' | 'too_far_ahead';

/** Cells (slots × samples of the longest) that one frame may bring to a tile of the head. */
const FRAME_CELLS_MAX = 1 << 22;
/** Samples of a frame; the format takes twice as many. */
const FRAME_SAMPLES_MAX = 1 << 19;
const SLOTS_START = 64;

export class PushedGroup {
  readonly writer: GroupWriter;
  /** Slot → metric, of series that nobody has described yet. */
  #untyped = new Map<number, string>();
  readonly #families = new Map<string, { family: Family; index: number }>();
  /** Newest time of the group as a whole: late is what lies so far before it. */
  #newest = Number.NEGATIVE_INFINITY;
  // By slot.
  #lastTimes = new Float64Array(SLOTS_START).fill(Number.NEGATIVE_INFINITY);
  #lastValues = new Float64Array(SLOTS_START);
  #lastStates = new Uint8Array(SLOTS_START);
  /** When a request named it last. */
  #seenAt = new Float64Array(SLOTS_START);
  #inFrame = new Uint32Array(SLOTS_START);
  // The samples to come, by `#count`.
  #count = 0;
  #longest = 0;
  #slots = new Uint32Array(SLOTS_START);
  #times = new Float64Array(SLOTS_START);
  #states = new Uint8Array(SLOTS_START);
  #values = new Float64Array(SLOTS_START);

  constructor(writer: GroupWriter) {
    this.writer = writer;
  }

  get slotCount(): number {
    return this.writer.slotCount;
  }

  addSlot(labels: Labels, family: Family | undefined): number {
    const index = family === undefined ? -1 : this.describe(family);
    const slot = this.writer.addSlot(labels, index);
    if (slot >= this.#lastTimes.length) this.#growSlots();
    if (family === undefined) this.#untyped.set(slot, labelValue(labels, METRIC_NAME));
    return slot;
  }

  /** Gives series their descriptions that came without; `find` takes the name of a metric. */
  retype(find: (metric: string) => Family | undefined): void {
    const familyOf = new Int32Array(this.slotCount).fill(-1);
    let found = 0;
    for (const [slot, metric] of this.#untyped) {
      const family = find(metric);
      if (family === undefined) continue;
      familyOf[slot] = this.describe(family);
      this.#untyped.delete(slot);
      found++;
    }
    if (found > 0) this.writer.retype(familyOf);
  }

  /** Index of the family; a new description of one takes the place of the earlier one. */
  describe(family: Family): number {
    const known = this.#families.get(family.name);
    if (known !== undefined && isSameFamily(known.family, family)) return known.index;
    const index = this.writer.addFamily(family);
    this.#families.set(family.name, { family, index });
    return index;
  }

  knows(familyName: string): boolean {
    return this.#families.has(familyName);
  }

  touch(slot: number, now: Milliseconds): void {
    this.#seenAt[slot] = now;
  }

  /**
   * Takes a sample for the next frame. 'repeated' where the newest sample of the series is the same:
   * a sender that had no answer sends again.
   */
  take(
    slot: number,
    time: number,
    state: SampleState,
    value: number,
    window: number,
  ): PushVerdict | 'taken' | 'repeated' {
    const last = this.#lastTimes[slot];
    if (time === last) {
      const isSame = state === this.#lastStates[slot] && Object.is(value, this.#lastValues[slot]);
      return isSame ? 'repeated' : 'duplicate';
    }
    if (time < last && time < this.#newest - window) return 'too_old';
    if (time > last) {
      this.#lastTimes[slot] = time;
      this.#lastValues[slot] = value;
      this.#lastStates[slot] = state;
    }
    if (time > this.#newest) this.#newest = time;
    this.#push(slot, time, state, value);
    return 'taken';
  }

  /** Writes what was taken. */
  write(): void {
    if (this.#count === 0) return;
    this.writer.writeLoose(this.#count, this.#slots, this.#times, this.#states, this.#values);
    this.#inFrame.fill(0);
    this.#count = 0;
    this.#longest = 0;
  }

  /** Slots not named since `since`, where they are more than half; null otherwise. 1: keep. */
  sparse(since: Milliseconds): Uint8Array | null {
    const keep = new Uint8Array(this.slotCount);
    let kept = 0;
    for (let slot = 0; slot < keep.length; slot++) {
      if (this.#seenAt[slot] >= since) kept += keep[slot] = 1;
    }
    return keep.length > 0 && 2 * kept < keep.length ? keep : null;
  }

  /** Goes on with the slots of `keep`. Returns the new number of each old slot, -1 for none. */
  rebase(keep: Uint8Array): Int32Array {
    const map = this.writer.rebase(keep);
    const untyped = [...this.#untyped].filter(([slot]) => map[slot] >= 0);
    this.#untyped = new Map(untyped.map(([slot, metric]) => [map[slot], metric]));
    for (let slot = 0; slot < map.length; slot++) {
      const to = map[slot];
      if (to < 0) continue;
      this.#lastTimes[to] = this.#lastTimes[slot];
      this.#lastValues[to] = this.#lastValues[slot];
      this.#lastStates[to] = this.#lastStates[slot];
      this.#seenAt[to] = this.#seenAt[slot];
    }
    this.#lastTimes.fill(Number.NEGATIVE_INFINITY, this.slotCount);
    return map;
  }

  #push(slot: number, time: number, state: SampleState, value: number): void {
    const length = ++this.#inFrame[slot];
    if (length > this.#longest) this.#longest = length;
    if (this.#count === this.#slots.length) this.#growFrame();
    this.#slots[this.#count] = slot;
    this.#times[this.#count] = time;
    this.#states[this.#count] = state;
    this.#values[this.#count] = value;
    this.#count++;
    const isFull = this.#longest * this.slotCount >= FRAME_CELLS_MAX;
    if (isFull || this.#count >= FRAME_SAMPLES_MAX) this.write();
  }

  #growSlots(): void {
    const size = 2 * this.#lastTimes.length;
    const known = this.#lastTimes.length;
    this.#lastTimes = copied(new Float64Array(size), this.#lastTimes);
    this.#lastTimes.fill(Number.NEGATIVE_INFINITY, known);
    this.#lastValues = copied(new Float64Array(size), this.#lastValues);
    this.#lastStates = copied(new Uint8Array(size), this.#lastStates);
    this.#seenAt = copied(new Float64Array(size), this.#seenAt);
    this.#inFrame = copied(new Uint32Array(size), this.#inFrame);
  }

  #growFrame(): void {
    const size = 2 * this.#slots.length;
    this.#slots = copied(new Uint32Array(size), this.#slots);
    this.#times = copied(new Float64Array(size), this.#times);
    this.#states = copied(new Uint8Array(size), this.#states);
    this.#values = copied(new Float64Array(size), this.#values);
  }
}

function copied<T extends Float64Array | Uint32Array | Uint8Array>(to: T, from: T): T {
  to.set(from);
  return to;
}

const isSameFamily = (a: Family, b: Family): boolean =>
  a.type === b.type && a.help === b.help && a.unit === b.unit;
