/** What one group's frames said, in plain arrays, and what a head has to say of each frame. */
import type { Family, GapCause, GroupKind, JournalRef } from '@canopy/model';
import type { ScriptGroup, ScriptSample } from './journal-script.js';

export interface PlainSample {
  readonly time: number;
  /** Null: a stale mark. */
  readonly value: number | null;
}

/** As ApplyTotals, of what was applied once. */
export interface PlainTotals {
  frames: number;
  samples: number;
  undecodable: number;
  refused: Record<string, number>;
}

/** A sample of a loose frame. */
export type LooseSample = readonly [slot: number, time: number, sample: number | 'stale'];

export interface PlainGroupOptions {
  readonly ref: JournalRef;
  readonly epoch: number;
  readonly script: ScriptGroup;
  readonly kind: GroupKind;
  readonly scrapeUrl: string;
  readonly families: readonly Family[];
  /** By slot. A name that comes twice has its samples in the first of its slots. */
  readonly names: string[];
}

const NEVER = Number.NEGATIVE_INFINITY;
const plain = (time: number, sample: number | 'stale'): PlainSample => ({
  time,
  value: sample === 'stale' ? null : sample,
});

export class PlainGroup {
  readonly options: PlainGroupOptions;
  readonly names: string[];
  /** When each slot was journalled. */
  readonly slotTimes: number[] = [];
  /** What was taken, by name; ascending by time. */
  readonly samples = new Map<string, PlainSample[]>();
  /** What was not. */
  readonly refused: Array<PlainSample & { readonly name: string }> = [];
  lastTime = NEVER;
  /** Time of its newest entry of any kind. */
  touchedTime = NEVER;
  /** Nothing more is expected. */
  ended = false;
  /** Nothing more will come: another group goes on, or all of its series have ended. */
  finished = false;
  /** Why frames are undecodable up to the next key frame; null: they are not. */
  brokenBy: GapCause | null = null;
  /** Since the last key frame. */
  framesLost = 0;
  framesSinceKey = 0;
  /** A head has it from a store, and has not seen a frame of it itself. */
  isRestored = false;
  /** A head had it from a store without all that samples are judged by. */
  isForgotten = false;

  constructor(options: PlainGroupOptions) {
    this.options = options;
    this.names = options.names;
  }

  /** Slots are journalled with the first frame after them. */
  describe(time: number): void {
    while (this.slotTimes.length < this.names.length) this.slotTimes.push(time);
    this.touchedTime = Math.max(this.touchedTime, time);
  }

  /** One time for all slots. */
  takeAligned(time: number, samples: readonly ScriptSample[], isKey: boolean): PlainTotals {
    this.describe(time);
    this.framesSinceKey = isKey ? 1 : this.framesSinceKey + 1;
    const totals: PlainTotals = { frames: 0, samples: 0, undecodable: 0, refused: {} };
    if (isKey) {
      this.brokenBy = null;
      this.framesLost = 0;
    }
    if (this.brokenBy !== null) {
      this.framesLost++;
      return { ...totals, undecodable: 1 };
    }
    this.ended = false;
    this.isRestored = false;
    const present = samples.filter((sample) => sample !== undefined).length;
    if (time <= this.lastTime) {
      totals.refused.out_of_order = present;
      this.#refuseAll(time, samples);
      return totals;
    }
    totals.frames = 1;
    this.lastTime = time;
    this.finished = samples.every((sample) => sample === undefined || sample === 'stale');
    samples.forEach((sample, slot) => {
      if (sample === undefined) return;
      const name = this.names[slot];
      if (this.names.indexOf(name) !== slot) {
        totals.refused.conflict = (totals.refused.conflict ?? 0) + 1;
        this.refused.push({ name, ...plain(time, sample) });
        return;
      }
      totals.samples++;
      this.#of(name).push(plain(time, sample));
    });
    return totals;
  }

  /**
   * Samples with times of their own. What is newer than all of its series is taken, what is older than the
   * window is not, and of one time the first counts. A series of which nothing has come within the memory is as a new one.
   */
  takeLoose(
    time: number,
    samples: readonly LooseSample[],
    window: number,
    memory: number,
  ): PlainTotals {
    this.describe(time);
    this.ended = false;
    this.isRestored = false;
    const totals: PlainTotals = { frames: 1, samples: 0, undecodable: 0, refused: {} };
    const oldest = this.lastTime - window;
    const remembered = this.lastTime - memory;
    for (const [slot, at, sample] of samples) {
      const name = this.names[slot];
      const list = this.#of(name);
      const newest = list.at(-1)?.time ?? NEVER;
      const same = list.find((other) => other.time === at);
      const one = plain(at, sample);
      const refuse = (reason: string): void => {
        totals.refused[reason] = (totals.refused[reason] ?? 0) + 1;
        this.refused.push({ name, ...one });
      };
      const isKnown = newest >= remembered;
      if (isKnown && at < newest && at < oldest) refuse('too_old');
      else if (same !== undefined && !isKnown) totals.samples++;
      else if (same !== undefined) {
        if (!Object.is(same.value, one.value)) refuse('duplicate');
      } else {
        totals.samples++;
        list.push(one);
        list.sort((a, b) => a.time - b.time);
        this.lastTime = Math.max(this.lastTime, at);
      }
    }
    return totals;
  }

  #of(name: string): PlainSample[] {
    let list = this.samples.get(name);
    if (list === undefined) this.samples.set(name, (list = []));
    return list;
  }

  #refuseAll(time: number, samples: readonly ScriptSample[]): void {
    samples.forEach((sample, slot) => {
      if (sample === undefined) return;
      this.refused.push({ name: this.names[slot], ...plain(time, sample) });
    });
  }
}
