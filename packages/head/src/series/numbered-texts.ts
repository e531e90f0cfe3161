/** Texts by number, as a layout record has them, and what the index knows of them: each is looked up once. */
import type { NumberedLayout } from '@canopy/encoding';
import type { LayoutSlot } from '@canopy/model';
import type { Postings } from './postings.js';

/** Right as long as no series is removed. */
export class NumberedTexts {
  readonly texts: readonly string[];
  /** Symbols; -1: not looked up, or not there when it was. */
  readonly ids: Int32Array;
  /** By value: the symbol of the label's name that `postings` has it under; -1 for none. */
  readonly names: Int32Array;
  readonly postings: Array<Postings | null>;

  constructor(texts: readonly string[]) {
    this.texts = texts;
    this.ids = new Int32Array(texts.length).fill(-1);
    this.names = new Int32Array(texts.length).fill(-1);
    this.postings = Array.from(texts, () => null);
  }
}

/** Slots that have their labels as texts, in the form of a decoded record. */
export function numberSlots(list: readonly LayoutSlot[]): Pick<NumberedLayout, 'texts' | 'slots'> {
  const numbers = new Map<string, number>();
  const labels = new Uint32Array(list.reduce((sum, slot) => sum + slot.labels.length, 0));
  const ends = new Uint32Array(list.length);
  const families = new Int32Array(list.length);
  let at = 0;
  list.forEach((slot, i) => {
    for (const text of slot.labels) {
      let number = numbers.get(text);
      if (number === undefined) numbers.set(text, (number = numbers.size));
      labels[at++] = number;
    }
    ends[i] = at;
    families[i] = slot.family;
  });
  return { texts: [...numbers.keys()], slots: { count: list.length, labels, ends, families } };
}
