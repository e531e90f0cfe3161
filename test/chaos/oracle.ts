/**
 * What a leaf has journalled, read from its journal itself: entry by entry, decoded here, kept in plain arrays. Neither
 * a head nor a tile nor a query had a hand in it.
 */
import { FrameDecoder, crc32c, decodeGap, decodeLayout, entryPayload } from '@canopy/encoding';
import { CURSOR_HEADER, FRAMES_MEDIA_TYPE, READER_HEADER, decodePage } from '@canopy/federation';
import type { JournalSection } from '@canopy/federation';
import {
  EntryKind,
  type GapRecord,
  type JournalEntry,
  type JournalPosition,
  type LayoutRecord,
  SampleState,
} from '@canopy/model';

/** By labels as sorted JSON pairs. */
export type SeriesKey = string;

export function seriesKey(labels: Iterable<readonly [string, string]>): SeriesKey {
  return JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** One scrape as it was journalled. */
export interface Frame {
  readonly position: JournalPosition;
  /** Ms since epoch, by the leaf's clock. */
  readonly time: number;
  /** The label `n` of its target. */
  readonly target: string;
  readonly values: ReadonlyMap<SeriesKey, number>;
  readonly stale: readonly SeriesKey[];
}

/** An entry of any kind, whoever holds it. */
export interface EntryMark {
  readonly position: JournalPosition;
  readonly crc: number;
}

/** What a ledger must say at a position: all frames, bytes and samples up to there. */
export interface Tally {
  readonly position: JournalPosition;
  readonly frames: number;
  readonly samples: number;
  readonly bytes: number;
  /** Frames that are scrapes, not ends of targets. */
  readonly scrapes: number;
}

const LIMITS = { pageBytesMax: 64 * 1024 * 1024, journalsMax: 10 };

/** One page of what `base` has after `cursor`. */
export async function readPage(base: string, cursor: string): Promise<readonly JournalSection[]> {
  const response = await fetch(`${base}/federate`, {
    headers: { accept: FRAMES_MEDIA_TYPE, [CURSOR_HEADER]: cursor, [READER_HEADER]: 'oracle' },
    signal: AbortSignal.timeout(10_000),
  });
  if (response.status !== 200) throw new Error(`${base}: HTTP ${response.status}`);
  return decodePage(new Uint8Array(await response.arrayBuffer()), LIMITS).journals;
}

export const markOf = ({ epoch, sequence, bytes }: JournalEntry): EntryMark => ({
  position: { epoch, sequence },
  crc: crc32c(bytes),
});

interface Group {
  readonly decoder: FrameDecoder;
  readonly slots: SeriesKey[];
  target: string;
}

export class Oracle {
  readonly frames: Frame[] = [];
  readonly marks: EntryMark[] = [];
  readonly tallies: Tally[] = [];
  readonly gaps: GapRecord[] = [];
  /** All up to this time (ms since epoch) is here. */
  watermark = 0;
  /** The journal's name; '' before the first page. */
  ref = '';
  readonly #base: string;
  readonly #groups = new Map<string, Group>();
  /** One text for each series, however often its group begins anew. */
  readonly #keys = new Map<SeriesKey, SeriesKey>();
  #cursor = '';

  constructor(base: string) {
    this.#base = base;
  }

  /** Takes in what the journal has beyond the last call. */
  async pull(): Promise<void> {
    for (;;) {
      const [section] = await readPage(this.#base, this.#cursor);
      if (section === undefined) return;
      if (section.epochBreak) throw new Error('the journal lost what was read from it');
      for (const entry of section.entries) this.#take(entry);
      this.ref = section.ref;
      this.#cursor = section.cursor;
      this.watermark = Math.max(this.watermark, section.watermark);
      if (!section.more) return;
    }
  }

  #take(entry: JournalEntry): void {
    this.marks.push(markOf(entry));
    const payload = entryPayload(entry);
    let samples = 0;
    const isFrame = entry.kind === EntryKind.frame;
    if (entry.kind === EntryKind.gap) this.gaps.push(decodeGap(payload));
    else if (entry.kind === EntryKind.layout) this.#extend(entry, decodeLayout(payload));
    else samples = this.#takeFrame(entry, payload);
    const before = this.tallies.at(-1);
    this.tallies.push({
      position: { epoch: entry.epoch, sequence: entry.sequence },
      frames: (before?.frames ?? 0) + (isFrame ? 1 : 0),
      scrapes: (before?.scrapes ?? 0) + (isFrame && this.frames.at(-1)!.values.size > 0 ? 1 : 0),
      samples: (before?.samples ?? 0) + samples,
      bytes: (before?.bytes ?? 0) + entry.bytes.length,
    });
  }

  /** How many samples it has; stale marks are samples. */
  #takeFrame(entry: JournalEntry, payload: Uint8Array): number {
    const group = this.#group(entry);
    const { slotCount, states, values } = group.decoder.decodeAligned(payload, entry.key);
    const present = new Map<SeriesKey, number>();
    const stale: SeriesKey[] = [];
    for (let slot = 0; slot < slotCount; slot++) {
      if (states[slot] === SampleState.value) present.set(group.slots[slot], values[slot]);
      else if (states[slot] === SampleState.stale) stale.push(group.slots[slot]);
    }
    const { epoch, sequence, time } = entry;
    const { target } = group;
    this.frames.push({ position: { epoch, sequence }, time, target, values: present, stale });
    return present.size + stale.length;
  }

  #extend(entry: JournalEntry, { meta, slots }: LayoutRecord): void {
    const group = this.#group(entry);
    group.target = pairsOf(meta.target).find(([name]) => name === 'n')?.[1] ?? '';
    for (const { labels } of slots) {
      const key = seriesKey(pairsOf(labels));
      const known = this.#keys.get(key) ?? key;
      this.#keys.set(known, known);
      group.slots.push(known);
    }
  }

  #group({ epoch, group }: JournalEntry): Group {
    const key = `${epoch}/${group}`;
    let known = this.#groups.get(key);
    if (known === undefined) {
      known = { decoder: new FrameDecoder(), slots: [], target: '' };
      this.#groups.set(key, known);
    }
    return known;
  }
}

function pairsOf(labels: readonly string[]): Array<[string, string]> {
  const pairs: Array<[string, string]> = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i], labels[i + 1]]);
  return pairs;
}
