/** Label sets that were asked for lately. Made anew for each query, they are what most of its garbage is. */
import type { Labels } from '@canopy/model';

/** About 200 bytes each. */
const KEPT_MAX = 1 << 16;

export class LabelSets {
  readonly #read: (ref: number) => Labels;
  readonly #kept = new Map<number, Labels>();

  constructor(read: (ref: number) => Labels) {
    this.#read = read;
  }

  /** The same array for the same series, for a while; all are forgotten when there are too many. */
  get(ref: number): Labels {
    let labels = this.#kept.get(ref);
    if (labels !== undefined) return labels;
    labels = this.#read(ref);
    if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
    this.#kept.set(ref, labels);
    return labels;
  }

  /** The series has gone. */
  forget(ref: number): void {
    this.#kept.delete(ref);
  }
}
