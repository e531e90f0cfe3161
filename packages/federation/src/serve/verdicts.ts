/**
 * Which series of layout records pass a selection, and the records without the others. A record never changes, so it is decoded
 * and its series are looked at once for all readers that ask for the same, however often views are made again.
 */
import { decodeLayout, encodeLayout, entryPayload } from '@canopy/encoding';
import {
  FormatError,
  type JournalEntry,
  type JournalRef,
  type Labels,
  type LayoutRecord,
} from '@canopy/model';
import { type Selection, isSelected } from './selection.js';

/** What becomes of a layout record. Not to be written to. */
export interface Verdict {
  readonly layout: Omit<LayoutRecord, 'slots' | 'families'>;
  /** For each slot of the record: 1 where its series passes. */
  readonly kept: Uint8Array;
  /** The record's payload with the slots that pass; null where all do. */
  readonly filtered: Uint8Array | null;
}

/** Null for a record that cannot be read here (a later version). */
export type LayoutFilter = (entry: JournalEntry) => Verdict | null;

type Known = Map<string, Verdict>;

/** What an entry costs beside its columns; a slot number. Bytes, about. */
const ENTRY_BYTES = 512;
const NUMBER_BYTES = 8;

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
    const known = this.#known.get(canonical) ?? new Map<string, Verdict>();
    this.#known.delete(canonical);
    this.#known.set(canonical, known);
    return (entry) => {
      const { epoch, sequence, bytes } = entry;
      // With its checksum: a store that fell back may hold another record in the place of one that nobody saw.
      const sum = bytes.subarray(-4).join('.');
      const key = `${ref} ${epoch}-${sequence} ${sum}`;
      const before = known.get(key);
      if (before !== undefined) return before;
      const record = readLayout(entry);
      if (record === null) return null;
      this.evaluated += record.slots.length;
      const verdict = verdictOn(record, (labels) => {
        return matcherSets === null || isSelected(matcherSets, labels);
      });
      this.#keep(canonical, known, key, verdict);
      return verdict;
    };
  }

  #keep(canonical: string, known: Known, key: string, verdict: Verdict): void {
    // A view may outlive what was kept for it.
    if (this.#known.get(canonical) !== known) return;
    known.set(key, verdict);
    this.#bytes += sizeOf(verdict);
    for (const [oldest, verdicts] of this.#known) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#known.delete(oldest);
      for (const each of verdicts.values()) this.#bytes -= sizeOf(each);
    }
  }
}

function readLayout(entry: JournalEntry): LayoutRecord | null {
  try {
    return decodeLayout(entryPayload(entry));
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

function verdictOn(record: LayoutRecord, passes: (labels: Labels) => boolean): Verdict {
  const { slots, families: _, ...layout } = record;
  const kept = Uint8Array.from(slots, ({ labels }) => (passes(labels) ? 1 : 0));
  // The reader needs every version of a layout, also one that adds nothing it sees.
  if (!kept.includes(0)) return { layout, kept, filtered: null };
  const slotNumbers: number[] = [];
  const passing = slots.filter((_slot, i) => {
    if (kept[i] === 1) slotNumbers.push(slotNumber(record, i));
    return kept[i] === 1;
  });
  return { layout, kept, filtered: encodeLayout({ ...record, slots: passing, slotNumbers }) };
}

/** Of the slot that is described in the `index`th place. */
export const slotNumber = (
  { slotNumbers, firstSlot }: Pick<LayoutRecord, 'slotNumbers' | 'firstSlot'>,
  index: number,
): number => (slotNumbers === null ? firstSlot + index : slotNumbers[index]);

const sizeOf = ({ layout, kept, filtered }: Verdict): number =>
  ENTRY_BYTES +
  kept.length +
  (filtered?.length ?? 0) +
  NUMBER_BYTES * (layout.slotNumbers?.length ?? 0);
