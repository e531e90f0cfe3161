/**
 * Which series of layout records pass a selection. A record never changes, so its series are looked at once for all
 * readers that ask for the same, however often views are made again.
 */
import type { JournalEntry, JournalRef, LayoutRecord } from '@canopy/model';
import { type Selection, isSelected } from './selection.js';

/** For each slot of the record: 1 where its series passes. Not to be written to. */
export type LayoutFilter = (entry: JournalEntry, layout: LayoutRecord) => Uint8Array;

type Known = Map<string, Uint8Array>;

/** What an entry costs beside its slots. Bytes, about. */
const ENTRY_BYTES = 256;

export class Verdicts {
  /** Series that matchers were asked about. */
  evaluated = 0;
  readonly #bytesMax: number;
  #bytes = 0;
  /** By selection; least recently asked for first. */
  readonly #known = new Map<string, Known>();

  /** Over `bytesMax` the selections go that nobody has asked for longest. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  of({ canonical, matcherSets }: Selection, ref: JournalRef): LayoutFilter {
    const known = this.#known.get(canonical) ?? new Map<string, Uint8Array>();
    this.#known.delete(canonical);
    this.#known.set(canonical, known);
    return (entry, layout) => {
      const { epoch, sequence, bytes } = entry;
      // With its checksum: a store that fell back may hold another record in the place of one that nobody saw.
      const sum = bytes.subarray(-4).join('.');
      const key = `${ref} ${epoch}-${sequence} ${sum}`;
      let kept = known.get(key);
      if (kept === undefined) {
        this.evaluated += layout.slots.length;
        kept = Uint8Array.from(layout.slots, ({ labels }) =>
          matcherSets === null || isSelected(matcherSets, labels) ? 1 : 0,
        );
        this.#keep(canonical, known, key, kept);
      }
      return kept;
    };
  }

  #keep(canonical: string, known: Known, key: string, kept: Uint8Array): void {
    // A view may outlive what was kept for it.
    if (this.#known.get(canonical) !== known) return;
    known.set(key, kept);
    this.#bytes += kept.length + ENTRY_BYTES;
    for (const [oldest, verdicts] of this.#known) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#known.delete(oldest);
      for (const { length } of verdicts.values()) this.#bytes -= length + ENTRY_BYTES;
    }
  }
}
