import type { LabelNumbers, Labels } from '@canopy/model';

/** Label sets by number, as an index has them. */
export class ListedLabels implements LabelNumbers {
  version = 0;
  numbers = new Uint32Array(2);
  readonly #sets: Labels[] = [];
  readonly #texts: string[] = [];
  readonly #known = new Map<string, number>();

  /** The number of a label set, sorted by name. */
  add(labels: Labels): number {
    for (const text of labels) {
      if (!this.#known.has(text)) this.#known.set(text, this.#texts.push(text) - 1);
    }
    return this.#sets.push(labels) - 1;
  }

  /** Every text gets another number. */
  renumber(): void {
    this.version++;
    this.#texts.unshift('');
    for (const [text, number] of this.#known) this.#known.set(text, number + 1);
  }

  load(series: number): number {
    const labels = this.#sets[series];
    this.numbers = Uint32Array.from(labels, (text) => this.find(text));
    return labels.length;
  }

  text(number: number): string {
    return this.#texts[number];
  }

  find(text: string): number {
    return this.#known.get(text) ?? -1;
  }
}
