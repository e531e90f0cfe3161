/**
 * One body's samples by slot: what `ScrapeParser.parse` answers.
 */
import { SampleState } from '@canopy/model';

/** One body as columns. Owned by the parser, valid until its next call; nobody else writes in them. */
export interface ScrapeColumns {
  /** One more than the highest slot seen by this parser; entries of `states` and `values` in use. */
  readonly slotCount: number;
  /** Per slot, SampleState `none` or `value`. Samples with times of their own are not here. */
  readonly states: Uint8Array;
  readonly values: Float64Array;
  /** Samples with times of their own (`honorTimestamps` only), in the order of the body. */
  readonly looseCount: number;
  readonly looseSlots: Uint32Array;
  /** Milliseconds since the epoch. */
  readonly looseTimes: Float64Array;
  readonly looseValues: Float64Array;
  readonly looseStates: Uint8Array;
  /** Sample lines in the body. */
  readonly samplesScraped: number;
  /** Those whose series was not dropped by the resolver; duplicates included, as in Prometheus. */
  readonly samplesKept: number;
  /** Slots that have a sample and had none in the last body that had any (Prometheus forgets nothing at an empty one). */
  readonly seriesAdded: number;
  /** Samples left out because their slot had one just before with the same time: the first wins. */
  readonly duplicates: number;
}

const SIZE_MIN = 16;
/** Here, with the loops that use them. */
const NONE = SampleState.none;
const VALUE = SampleState.value;

export class SlotColumns implements ScrapeColumns {
  slotCount = 0;
  states = new Uint8Array(0);
  values = new Float64Array(0);
  looseCount = 0;
  looseSlots = new Uint32Array(0);
  looseTimes = new Float64Array(0);
  looseValues = new Float64Array(0);
  looseStates = new Uint8Array(0);
  samplesScraped = 0;
  samplesKept = 0;
  seriesAdded = 0;
  duplicates = 0;
  /** Per slot, number of the last parse with a sample of it. */
  #seen = new Uint32Array(0);
  /** Per slot, time of its last loose sample; valid where `#looseSeen` is the running parse. */
  #looseTime = new Float64Array(0);
  #looseSeen = new Uint32Array(0);
  /** Number of the running parse, from 1. */
  #parse = 0;
  /** Number of the last parse before it that had samples; 0 for none. */
  #parseBefore = 0;

  /** Starts a new body. */
  begin(): void {
    if (this.samplesScraped > 0) this.#parseBefore = this.#parse;
    this.#parse++;
    this.states.fill(NONE, 0, this.slotCount);
    this.looseCount = 0;
    this.samplesScraped = 0;
    this.samplesKept = 0;
    this.seriesAdded = 0;
    this.duplicates = 0;
  }

  /** Starts a body with the same samples as the one before, none at times of their own; only values may differ. */
  beginAlike(): void {
    this.seriesAdded = 0;
  }

  /** Makes room for slots below `slotCount`; it only goes up. */
  reserve(slotCount: number): void {
    if (slotCount <= this.slotCount) return;
    this.slotCount = slotCount;
    if (slotCount <= this.states.length) return;
    const size = Math.max(SIZE_MIN, slotCount + (slotCount >> 1));
    const { states, values } = this;
    this.states = new Uint8Array(size);
    this.states.set(states);
    this.values = new Float64Array(size);
    this.values.set(values);
    const seen = this.#seen;
    this.#seen = new Uint32Array(size);
    this.#seen.set(seen);
  }

  /** A sample at the time of the scrape. */
  addAligned(slot: number, value: number): void {
    this.samplesKept++;
    if (this.states[slot] !== NONE) {
      this.duplicates++;
      return;
    }
    this.states[slot] = VALUE;
    this.values[slot] = value;
    this.#markSeen(slot);
  }

  /** A sample at its own time. */
  addLoose(slot: number, value: number, time: number): void {
    this.samplesKept++;
    this.#reserveLoose();
    if (this.#looseSeen[slot] === this.#parse && this.#looseTime[slot] === time) {
      this.duplicates++;
      return;
    }
    this.#looseSeen[slot] = this.#parse;
    this.#looseTime[slot] = time;
    const at = this.looseCount++;
    this.looseSlots[at] = slot;
    this.looseTimes[at] = time;
    this.looseValues[at] = value;
    this.looseStates[at] = VALUE;
    this.#markSeen(slot);
  }

  #markSeen(slot: number): void {
    const seen = this.#seen[slot];
    if (seen < this.#parseBefore || seen === 0) this.seriesAdded++;
    this.#seen[slot] = this.#parse;
  }

  #reserveLoose(): void {
    if (this.#looseTime.length < this.states.length) {
      const time = this.#looseTime;
      const seen = this.#looseSeen;
      this.#looseTime = new Float64Array(this.states.length);
      this.#looseTime.set(time);
      this.#looseSeen = new Uint32Array(this.states.length);
      this.#looseSeen.set(seen);
    }
    const count = this.looseCount;
    if (count < this.looseSlots.length) return;
    const size = Math.max(SIZE_MIN, count * 2);
    const { looseSlots, looseTimes, looseValues, looseStates } = this;
    this.looseSlots = new Uint32Array(size);
    this.looseSlots.set(looseSlots);
    this.looseTimes = new Float64Array(size);
    this.looseTimes.set(looseTimes);
    this.looseValues = new Float64Array(size);
    this.looseValues.set(looseValues);
    this.looseStates = new Uint8Array(size);
    this.looseStates.set(looseStates);
  }

  /** New slot = map[old slot], -1 and beyond the map: gone. What the columns hold is void. */
  renumber(map: Int32Array): void {
    const oldSeen = this.#seen;
    let slotCount = 0;
    for (const slot of map) slotCount = Math.max(slotCount, slot + 1);
    this.states = new Uint8Array(slotCount);
    this.values = new Float64Array(slotCount);
    this.#seen = new Uint32Array(slotCount);
    this.#looseTime = new Float64Array(0);
    this.#looseSeen = new Uint32Array(0);
    this.slotCount = slotCount;
    this.looseCount = 0;
    for (let old = 0; old < map.length && old < oldSeen.length; old++) {
      if (map[old] >= 0) this.#seen[map[old]] = oldSeen[old];
    }
  }
}
