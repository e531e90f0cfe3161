/** What a loose group remembers of each slot, to judge what comes late or again. */
import type { TileReader } from '@canopy/encoding';
import { SampleState, type TileMeta } from '@canopy/model';
import { grownFloat64 } from '../series/grow.js';
import type { LooseLog } from './loose-log.js';
import type { Tile } from './tile.js';

/** What loose samples are judged by; behind their group's newest sample. Milliseconds. */
export interface LooseLimits {
  /** A sample that is older than its series' newest may be so far behind. */
  readonly windowMs: number;
  /** A series whose newest sample is further behind is as one that had none; at least `windowMs`. */
  readonly memoryMs: number;
}

/** Where a sample's double may be, and what is too old. */
export interface LoosePast {
  readonly log: LooseLog;
  readonly tiles: readonly Readable[];
  /** Samples that are older than their series' newest are too old before this. */
  readonly oldest: number;
  /** Series whose newest sample is before this are not known any more. */
  readonly remembered: number;
}

/** A tile in memory, or one that only the store has. */
type Readable = Pick<Tile, 'meta' | 'reader'>;

const NEVER = Number.NEGATIVE_INFINITY;

/** The newest sample of each slot: 17 bytes. */
export class LooseSlots {
  #times = new Float64Array(0);
  #values = new Float64Array(0);
  #states = new Uint8Array(0);
  /** Tiles of before this process that the out-of-order window reaches. */
  #recalled: Readable[] = [];

  grow(slotCount: number): void {
    if (this.#times.length >= slotCount) return;
    this.#times = grownFloat64(this.#times, slotCount, NEVER);
    this.#values = grownFloat64(this.#values, slotCount, 0);
    const states = new Uint8Array(this.#times.length);
    states.set(this.#states);
    this.#states = states;
  }

  /** -Infinity where nothing is known. */
  time(slot: number): number {
    return slot < this.#times.length ? this.#times[slot] : NEVER;
  }

  /** Undefined where the newest sample is a stale mark, or nothing is known. */
  value(slot: number): number | undefined {
    return this.#states[slot] === SampleState.value ? this.#values[slot] : undefined;
  }

  /** A sample that was taken; the slot is below what was grown to. Returns by how many more slots have a value. */
  note(slot: number, time: number, state: number, value: number): -1 | 0 | 1 {
    if (time < this.#times[slot]) return 0;
    const had = this.#states[slot] === SampleState.value;
    const has = state === SampleState.value;
    this.#times[slot] = time;
    this.#values[slot] = value;
    this.#states[slot] = state;
    return had === has ? 0 : has ? 1 : -1;
  }

  /** Why a sample is not taken; null where it is. */
  judge(
    { log, tiles, oldest, remembered }: LoosePast,
    slot: number,
    time: number,
    state: number,
    value: number,
  ): 'repeated' | 'duplicate' | 'too_old' | null {
    const newest = this.#times[slot];
    if (time > newest || newest < remembered) return null;
    const is = (otherState: number, otherValue: number): 'repeated' | 'duplicate' =>
      state === otherState && Object.is(value, otherValue) ? 'repeated' : 'duplicate';
    if (time === newest) return is(this.#states[slot], this.#values[slot]);
    if (time < oldest) return 'too_old';
    const entry = log.find(slot, time);
    if (entry >= 0) return is(log.state(entry), log.value(entry));
    const other = findIn(this.#recalled, slot, time) ?? findIn(tiles, slot, time);
    return other === undefined ? null : is(...other);
  }

  /** Whether a tile of before this process, with samples up to `maxTime`, may say what is not known yet. */
  isUnknown(maxTime: number, oldest: number, slotCount: number): boolean {
    return maxTime >= oldest || this.#times.subarray(0, slotCount).some((time) => time < maxTime);
  }

  /** Notes what a tile of before this process says. Returns as `note` does. @throws FormatError */
  recall(meta: TileMeta, reader: TileReader, oldest: number): number {
    let more = 0;
    const slotCount = Math.min(reader.slotCount, this.#times.length);
    for (let slot = 0; slot < slotCount; slot++) {
      // Fast path: newer tiles have said it of nearly all.
      if (this.#times[slot] >= meta.maxTime) continue;
      const { times, values, states } = reader.readLooseSlot(slot);
      const at = times.length - 1;
      if (at >= 0) more += this.note(slot, times[at], states[at], values[at]);
    }
    if (meta.maxTime >= oldest) this.#recalled.push({ meta, reader: () => reader });
    return more;
  }

  /** Gives back what samples from `oldest` on do not need. */
  forgetBefore(oldest: number): void {
    if (this.#recalled.length === 0) return;
    this.#recalled = this.#recalled.filter(({ meta }) => meta.maxTime >= oldest);
  }
}

/** A slot's sample at a time; one that only the store has is not found: selects show the first of two. */
function findIn(
  tiles: readonly Readable[],
  slot: number,
  time: number,
): [state: number, value: number] | undefined {
  for (const tile of tiles) {
    if (time < tile.meta.minTime || time > tile.meta.maxTime) continue;
    const reader = tile.reader();
    if (reader === undefined || slot >= reader.slotCount) continue;
    const { times, states, values } = reader.readLooseSlot(slot);
    const at = times.indexOf(time);
    if (at >= 0) return [states[at], values[at]];
  }
  return undefined;
}
