/**
 * What a leaf has journalled, read from its journal itself: entry by entry, decoded here, kept in plain arrays. Neither
 * a head nor a tile nor a query had a hand in it.
 */
import { FrameDecoder, decodeGap, decodeLayout, entryPayload } from '@canopy/encoding';
import { CURSOR_HEADER, FRAMES_MEDIA_TYPE, READER_HEADER, decodePage } from '@canopy/federation';
import {
  EntryKind,
  type GapRecord,
  type JournalEntry,
  type LayoutSlot,
  SampleState,
} from '@canopy/model';

/** Samples of one series, ascending in time (ms since epoch). */
export interface SeriesSamples {
  readonly times: number[];
  readonly values: number[];
}

/** By labels as sorted JSON pairs. */
export type Samples = Map<string, SeriesSamples>;

export function seriesKey(labels: Iterable<readonly [string, string]>): string {
  return JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

const LIMITS = { pageBytesMax: 64 * 1024 * 1024, journalsMax: 10 };

interface Group {
  readonly decoder: FrameDecoder;
  readonly slots: SeriesSamples[];
}

export class Oracle {
  readonly samples: Samples = new Map();
  readonly gaps: GapRecord[] = [];
  /** All up to this time (ms since epoch) is here. */
  watermark = 0;
  frames = 0;
  readonly #base: string;
  readonly #groups = new Map<string, Group>();
  #cursor = '';

  constructor(base: string) {
    this.#base = base;
  }

  /** Takes in what the journal has beyond the last call. */
  async pull(): Promise<void> {
    for (;;) {
      const response = await fetch(`${this.#base}/federate`, {
        headers: {
          accept: FRAMES_MEDIA_TYPE,
          [CURSOR_HEADER]: this.#cursor,
          [READER_HEADER]: 'oracle',
        },
        signal: AbortSignal.timeout(10_000),
      });
      if (response.status !== 200) throw new Error(`leaf: HTTP ${response.status}`);
      const page = decodePage(new Uint8Array(await response.arrayBuffer()), LIMITS);
      const [section] = page.journals;
      if (section === undefined) return;
      if (section.epochBreak) throw new Error('the journal lost what was read from it');
      for (const entry of section.entries) this.#take(entry);
      this.#cursor = section.cursor;
      this.watermark = Math.max(this.watermark, section.watermark);
      if (!section.more) return;
    }
  }

  #take(entry: JournalEntry): void {
    const payload = entryPayload(entry);
    if (entry.kind === EntryKind.gap) {
      this.gaps.push(decodeGap(payload));
      return;
    }
    const group = this.#group(entry);
    if (entry.kind === EntryKind.layout) {
      for (const slot of decodeLayout(payload).slots) group.slots.push(this.#series(slot));
      return;
    }
    this.frames++;
    const { slotCount, states, values } = group.decoder.decodeAligned(payload, entry.key);
    for (let slot = 0; slot < slotCount; slot++) {
      if (states[slot] !== SampleState.value) continue;
      group.slots[slot].times.push(entry.time);
      group.slots[slot].values.push(values[slot]);
    }
  }

  #group({ epoch, group }: JournalEntry): Group {
    const key = `${epoch}/${group}`;
    let known = this.#groups.get(key);
    if (known === undefined) {
      known = { decoder: new FrameDecoder(), slots: [] };
      this.#groups.set(key, known);
    }
    return known;
  }

  #series({ labels }: LayoutSlot): SeriesSamples {
    const pairs: Array<[string, string]> = [];
    for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i], labels[i + 1]]);
    const key = seriesKey(pairs);
    let known = this.samples.get(key);
    if (known === undefined) this.samples.set(key, (known = { times: [], values: [] }));
    return known;
  }
}
