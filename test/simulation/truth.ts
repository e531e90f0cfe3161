/**
 * What a process has journalled, decoded from what it committed, entry by entry, when its store had acknowledged it.
 * Neither a head nor a tile nor a page had a hand in it.
 */
import { FrameDecoder, decodeGap, decodeLayout, entryPayload } from '@canopy/encoding';
import {
  EntryKind,
  type Family,
  type GapRecord,
  type GroupId,
  JOURNAL_START,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type Labels,
  SampleState,
  comparePositions,
} from '@canopy/model';
import { seriesKey } from '../chaos/oracle.js';

/** One sample of one series, where it was first journalled. */
export interface TrueSample {
  readonly time: number;
  /** `value` or `stale`. */
  readonly state: SampleState;
  readonly value: number;
  readonly run: Run;
  readonly position: JournalPosition;
  /** The store of its writer fell back behind it: it may be gone everywhere. */
  isLost: boolean;
}

/** Frames of one group, whose times ascend. */
export interface Run {
  readonly ref: JournalRef;
  readonly group: GroupId;
  /** Labels of its target. */
  readonly target: string;
  readonly interval: number;
  first: number;
  last: number;
}

/** What was said of a series, where. */
export interface Description {
  readonly family: Family | undefined;
  readonly position: JournalPosition;
  readonly group: GroupId;
  readonly time: number;
}

export interface TrueSeries {
  readonly labels: ReadonlyMap<string, string>;
  readonly samples: TrueSample[];
  /** In their order; the last one stands. */
  readonly descriptions: Description[];
}

interface Group {
  readonly run: Run;
  readonly decoder: FrameDecoder;
  readonly slots: TrueSeries[];
  readonly families: Family[];
  /** By name: a later family of a group takes the place of an earlier one. */
  readonly newest: Map<string, Family>;
}

export function pairsOf(labels: Labels): Array<[string, string]> {
  const pairs: Array<[string, string]> = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i], labels[i + 1]]);
  return pairs;
}

export class Truth {
  readonly ref: JournalRef;
  /** Name of the machine that writes it. */
  readonly writer: string;
  readonly series = new Map<string, TrueSeries>();
  readonly gaps: GapRecord[] = [];
  /** By origin: what every copy must be. */
  readonly entries = new Map<string, JournalEntry>();
  readonly targets = new Map<GroupId, string>();
  frames = 0;
  bytes = 0;
  samples = 0;
  /** The store of its writer fell back: counts and numbers may have begun anew. */
  wentBack = false;
  position: JournalPosition = JOURNAL_START;
  readonly #groups = new Map<string, Group>();

  constructor(ref: JournalRef, writer: string) {
    this.ref = ref;
    this.writer = writer;
  }

  take(entry: JournalEntry): void {
    this.position = { epoch: entry.epoch, sequence: entry.sequence };
    this.entries.set(originKey(entry), entry);
    this.bytes += entry.bytes.length;
    const payload = entryPayload(entry);
    if (entry.kind === EntryKind.gap) this.gaps.push(decodeGap(payload));
    else if (entry.kind === EntryKind.layout) this.#takeLayout(entry, payload);
    else this.#takeFrame(entry, payload);
  }

  /** What is after `position` is not in the writer's store any more. */
  fellBack(position: JournalPosition): void {
    this.wentBack = true;
    if (comparePositions(position, this.position) < 0) this.position = position;
    for (const { samples } of this.series.values()) {
      for (let i = samples.length - 1; i >= 0; i--) {
        if (comparePositions(samples[i].position, position) <= 0) break;
        samples[i].isLost = true;
      }
    }
  }

  #takeLayout(entry: JournalEntry, payload: Uint8Array): void {
    const { meta, slots, families } = decodeLayout(payload);
    const key = `${entry.epoch}/${entry.group}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      const target = seriesKey(pairsOf(meta.target));
      const { ref } = this;
      const bounds = { first: Number.POSITIVE_INFINITY, last: Number.NEGATIVE_INFINITY };
      const run = { ref, group: entry.group, target, interval: meta.interval, ...bounds };
      group = { run, decoder: new FrameDecoder(), slots: [], families: [], newest: new Map() };
      this.#groups.set(key, group);
      this.targets.set(entry.group, target);
    }
    const { epoch, sequence, time } = entry;
    const place = { position: { epoch, sequence }, group: entry.group, time };
    for (const family of families) {
      group.families.push(family);
      group.newest.set(family.name, family);
      for (const { descriptions } of group.slots) {
        if (descriptions.at(-1)?.family?.name === family.name)
          descriptions.push({ family, ...place });
      }
    }
    for (const { labels, family } of slots) {
      const named = group.families[family] as Family | undefined;
      const newest = named === undefined ? undefined : group.newest.get(named.name);
      const known = this.#series(labels);
      known.descriptions.push({ family: newest, ...place });
      group.slots.push(known);
    }
  }

  #series(labels: Labels): TrueSeries {
    const pairs = pairsOf(labels);
    const key = seriesKey(pairs);
    let known = this.series.get(key);
    if (known === undefined) {
      known = { labels: new Map(pairs), samples: [], descriptions: [] };
      this.series.set(key, known);
    }
    return known;
  }

  #takeFrame(entry: JournalEntry, payload: Uint8Array): void {
    this.frames++;
    const group = this.#groups.get(`${entry.epoch}/${entry.group}`);
    if (group === undefined) throw new Error('BUG: a frame without a layout was journalled');
    const { run, slots, decoder } = group;
    const { slotCount, states, values, samples } = decoder.decodeAligned(payload, entry.key);
    const { time, epoch, sequence } = entry;
    const position = { epoch, sequence };
    run.first = Math.min(run.first, time);
    run.last = Math.max(run.last, time);
    this.samples += samples;
    for (let slot = 0; slot < slotCount; slot++) {
      const state = states[slot] as SampleState;
      if (state === SampleState.none) continue;
      slots[slot].samples.push({ time, state, value: values[slot], run, position, isLost: false });
    }
  }
}

export const originKey = ({ epoch, sequence }: JournalPosition): string => `${epoch}-${sequence}`;
