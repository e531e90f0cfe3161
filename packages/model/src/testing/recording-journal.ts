import { invariant } from '../errors.js';
import type { GroupMeta, GroupWriter, Journal, JournalId, LayoutSlot } from '../journal.js';
import { type Labels, formatLabels, labelsKey } from '../labels.js';
import { addCount } from '../ledger.js';
import { type Family, SampleState } from '../metric.js';
import type { Milliseconds } from '../units.js';

/** A sample as a test reads it. */
export interface RecordedSample {
  readonly series: string;
  readonly time: number;
  readonly value: number | 'stale';
}

/** A journal that keeps what is written, and checks what writers promise. */
export class RecordingJournal implements Journal {
  readonly id = '0'.repeat(32) as JournalId;
  readonly groups: RecordingGroup[] = [];

  openGroup(meta: Omit<GroupMeta, 'continues'>): RecordingGroup {
    const group = new RecordingGroup(meta, this.refused);
    this.groups.push(group);
    return group;
  }

  /** By reason. */
  readonly refused: Record<string, number> = {};

  /** By job. */
  readonly missed: Record<string, number> = {};

  countRefused(_job: string, reason: string, count: number): void {
    addCount(this.refused, reason, count);
  }

  countLeftOut(reason: string, count: number): void {
    addCount(this.refused, reason, count);
  }

  countMissed(job: string, count: number): void {
    if (count > 0) addCount(this.missed, job, count);
  }

  async expectScrapes(): Promise<void> {}

  async flush(): Promise<void> {}

  /** All samples in the order written. */
  get samples(): RecordedSample[] {
    return this.groups.flatMap((group) => group.frames.flat());
  }
}

export class RecordingGroup implements GroupWriter {
  readonly meta: Omit<GroupMeta, 'continues'>;
  /** One entry a frame; the samples of a frame in slot order, series without a sample left out. */
  readonly frames: RecordedSample[][] = [];
  readonly families: Family[] = [];
  slots: LayoutSlot[] = [];
  rebases = 0;
  closed = false;
  readonly #refused: Record<string, number>;
  #keys = new Set<string>();

  constructor(meta: Omit<GroupMeta, 'continues'>, refused: Record<string, number>) {
    this.meta = meta;
    this.#refused = refused;
  }

  get slotCount(): number {
    return this.slots.length;
  }

  addFamily(family: Family): number {
    return this.families.push(family) - 1;
  }

  addSlot(labels: Labels, family: number): number {
    const key = labelsKey(labels);
    invariant(!this.#keys.has(key), 'BUG: the series is in the group already');
    invariant(family >= -1 && family < this.families.length, 'BUG: no such family');
    this.#keys.add(key);
    return this.slots.push({ labels, family }) - 1;
  }

  write(time: Milliseconds, states: Uint8Array, values: Float64Array, scrape?: string): void {
    invariant(this.meta.kind === 'aligned' && !this.closed, 'BUG: not a group to write to');
    invariant(states.length >= this.slotCount, 'BUG: states are too short');
    const frame: RecordedSample[] = [];
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (states[slot] !== SampleState.none) {
        frame.push(this.#sample(slot, time, states[slot], values[slot]));
      }
    }
    this.frames.push(frame);
    if (scrape !== undefined && scrape !== '') addCount(this.#refused, scrape, 1);
  }

  writeLoose(
    count: number,
    slots: Uint32Array,
    times: Float64Array,
    states: Uint8Array,
    values: Float64Array,
  ): void {
    invariant(this.meta.kind === 'loose' && !this.closed, 'BUG: not a group to write to');
    const frame: RecordedSample[] = [];
    for (let i = 0; i < count; i++) {
      frame.push(this.#sample(slots[i], times[i], states[i], values[i]));
    }
    this.frames.push(frame);
  }

  rebase(keep: Uint8Array): Int32Array {
    const map = new Int32Array(this.slotCount).fill(-1);
    let next = 0;
    for (let slot = 0; slot < map.length; slot++) if (keep[slot] === 1) map[slot] = next++;
    this.slots = this.slots.filter((_, slot) => keep[slot] === 1);
    this.#keys = new Set(this.slots.map((slot) => labelsKey(slot.labels)));
    this.rebases++;
    return map;
  }

  retype(familyOf: Int32Array): void {
    this.slots = this.slots.map((slot, i) =>
      familyOf[i] >= 0 ? { labels: slot.labels, family: familyOf[i] } : slot,
    );
  }

  close(): void {
    this.closed = true;
  }

  #sample(slot: number, time: number, state: number, value: number): RecordedSample {
    invariant(slot < this.slotCount, 'BUG: no such slot');
    const series = formatLabels(this.slots[slot].labels);
    return { series, time, value: state === SampleState.stale ? 'stale' : value };
  }
}
