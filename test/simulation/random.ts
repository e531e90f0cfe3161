/** All chance of a run comes from its seed, in streams that do not disturb one another. */
import { makeRandom } from '../chaos/plan.js';

export class Chance {
  readonly #next: () => number;

  constructor(seed: number, stream: string) {
    let hash = Math.imul(seed, 0x9e3779b1) ^ 0x85ebca6b;
    for (let i = 0; i < stream.length; i++) {
      hash = Math.imul(hash ^ stream.charCodeAt(i), 0x01000193);
      hash ^= hash >>> 15;
    }
    this.#next = makeRandom(hash);
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.#next() * (to - from);
  }

  /** A whole number in [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.#next() * (to - from + 1));
  }

  isHit(share: number): boolean {
    return share > 0 && this.#next() < share;
  }

  of<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#next() * choices.length)];
  }

  bytes(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.int(0, 255));
  }
}
