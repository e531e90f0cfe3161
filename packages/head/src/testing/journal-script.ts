/** Makes journal entries for tests and benches, as a leaf's journal writer would. */
import { FrameEncoder, encodeEntry, encodeGap, encodeLayout } from '@canopy/encoding';
import {
  EntryKind,
  type Family,
  type GapCause,
  type GroupKind,
  type JournalEntry,
  type JournalRef,
  type Labels,
  SampleState,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';

export interface ScriptGroupOptions {
  readonly kind?: GroupKind;
  readonly interval?: number;
  readonly continues?: number;
  readonly target?: Labels;
  readonly scrapeUrl?: string;
  readonly families?: readonly Family[];
}

/** A sample of a scripted frame: undefined is no sample, 'stale' a stale mark. */
export type ScriptSample = number | 'stale' | undefined;

/** The entries of one journal, in order. */
export class JournalScript {
  readonly ref: JournalRef;
  readonly entries: JournalEntry[] = [];
  epoch = 1;
  #sequence = 0;
  #groups = 0;

  /** `digit`: a hexadecimal digit that the journal's id is made of. */
  constructor(digit: string) {
    this.ref = digit.repeat(32) as JournalRef;
  }

  group(options: ScriptGroupOptions = {}): ScriptGroup {
    return new ScriptGroup(this, ++this.#groups, options);
  }

  /** Starts the next epoch; sequences go on from 1. */
  nextEpoch(): void {
    this.epoch++;
    this.#sequence = 0;
  }

  gap(group: number, time: number, cause: GapCause): void {
    const gap = { group, from: asTime(time - 1), to: asTime(time), cause, frames: -1 };
    this.add(EntryKind.gap, group, time, false, encodeGap(gap));
  }

  add(kind: EntryKind, group: number, time: number, key: boolean, payload: Uint8Array): void {
    const place = { epoch: this.epoch, sequence: ++this.#sequence };
    this.entries.push(encodeEntry({ ...place, kind, group, time: asTime(time), key }, payload));
  }

  /** Entries made since the last call. */
  take(): JournalEntry[] {
    return this.entries.splice(0);
  }
}

export class ScriptGroup {
  readonly id: number;
  readonly labels: Labels[] = [];
  readonly #journal: JournalScript;
  readonly #options: ScriptGroupOptions;
  readonly #encoder = new FrameEncoder();
  #version = 0;
  #described = 0;
  #keyNext = true;

  constructor(journal: JournalScript, id: number, options: ScriptGroupOptions) {
    this.#journal = journal;
    this.id = id;
    this.#options = options;
  }

  /** Adds series; they are journalled with the next frame. */
  add(...series: ReadonlyArray<Labels | Readonly<Record<string, string>>>): this {
    for (const labels of series) {
      this.labels.push(
        Array.isArray(labels)
          ? (labels as Labels)
          : labelsFromObject(labels as Record<string, string>),
      );
    }
    return this;
  }

  /** One aligned frame; `key`: a key frame though none is due. */
  frame(time: number, samples: readonly ScriptSample[], key = false): void {
    const count = this.labels.length;
    const states = new Uint8Array(count);
    const values = new Float64Array(count);
    for (let slot = 0; slot < count; slot++) {
      const sample = samples[slot];
      if (sample === undefined) continue;
      states[slot] = sample === 'stale' ? SampleState.stale : SampleState.value;
      if (sample !== 'stale') values[slot] = sample;
    }
    this.columns(time, states, values, key);
  }

  columns(time: number, states: Uint8Array, values: Float64Array, key = false): void {
    this.#describe(time);
    const isKey = key || this.#keyNext;
    this.#keyNext = false;
    const count = this.labels.length;
    const payload = this.#encoder.encodeAligned(this.#version, count, states, values, isKey);
    this.#journal.add(EntryKind.frame, this.id, time, isKey, payload);
  }

  /** One loose frame of (slot, time, sample). */
  loose(time: number, samples: ReadonlyArray<readonly [number, number, number | 'stale']>): void {
    this.#describe(time);
    const payload = this.#encoder.encodeLoose(
      this.#version,
      time,
      samples.length,
      Uint32Array.from(samples, ([slot]) => slot),
      Float64Array.from(samples, ([, at]) => at),
      Uint8Array.from(samples, ([, , s]) =>
        s === 'stale' ? SampleState.stale : SampleState.value,
      ),
      Float64Array.from(samples, ([, , sample]) => (sample === 'stale' ? 0 : sample)),
    );
    this.#journal.add(EntryKind.frame, this.id, time, true, payload);
  }

  #describe(time: number): void {
    const first = this.#described;
    if (this.#version > 0 && first === this.labels.length) return;
    const { kind = 'aligned', interval = 1000, continues = 0, target = [] } = this.#options;
    const { scrapeUrl = '' } = this.#options;
    const families = this.#version === 0 ? (this.#options.families ?? []) : [];
    const payload = encodeLayout({
      group: this.id,
      version: ++this.#version,
      meta: { kind, target, scrapeUrl, interval: asDuration(interval), continues },
      firstSlot: first,
      firstFamily: this.#version === 1 ? 0 : (this.#options.families?.length ?? 0),
      slots: this.labels.slice(first).map((labels) => ({
        labels,
        family: (this.#options.families ?? []).findIndex(({ name }) => labels.includes(name)),
      })),
      slotNumbers: null,
      families,
      slotCount: this.labels.length,
    });
    this.#described = this.labels.length;
    this.#journal.add(EntryKind.layout, this.id, time, false, payload);
  }
}
