/** Stand for the samples of a frame that cannot be decoded: damaged, or cut off from its key frame. */
export const DAMAGED = 0xffffffff;
export const KEYLESS = 0xfffffffe;

/** Frames of one group that were counted in its journal and may be in a tile, too: columns, in order. */

export class FrameLog {
  #sequences = new Float64Array(64);
  #windows = new Int32Array(64);
  #samples = new Uint32Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Of the first frame; Infinity where there is none. */
  get first(): number {
    return this.#length === 0 ? Number.POSITIVE_INFINITY : this.#sequences[0];
  }

  /** Sequences ascend. */
  add(sequence: number, window: number, samples: number): void {
    if (this.#length === this.#sequences.length) this.#grow();
    const at = this.#length++;
    this.#sequences[at] = sequence;
    this.#windows[at] = window;
    this.#samples[at] = samples;
  }

  /** Forgets the frames from `first` to `last` inclusive. */
  drop(first: number, last: number): void {
    let kept = 0;
    for (let i = 0; i < this.#length; i++) {
      const sequence = this.#sequences[i];
      if (sequence >= first && sequence <= last) continue;
      this.#sequences[kept] = sequence;
      this.#windows[kept] = this.#windows[i];
      this.#samples[kept] = this.#samples[i];
      kept++;
    }
    this.#length = kept;
  }

  each(visit: (window: number, samples: number) => void): void {
    for (let i = 0; i < this.#length; i++) visit(this.#windows[i], this.#samples[i]);
  }

  #grow(): void {
    const size = 2 * this.#sequences.length;
    const sequences = new Float64Array(size);
    const windows = new Int32Array(size);
    const samples = new Uint32Array(size);
    sequences.set(this.#sequences);
    windows.set(this.#windows);
    samples.set(this.#samples);
    this.#sequences = sequences;
    this.#windows = windows;
    this.#samples = samples;
  }
}
