/**
 * Hash of series texts, one after another of a body. Series stand beside their like: what a text has in
 * common with the one before is not hashed again.
 */
const SEED = 0x9747b28c;
const STATES_MIN = 64;
/** Longer texts are hashed from here on without remembering. */
const STATES_MAX = 4096;

export class SeriesHash {
  /** State before each block of four bytes of the text hashed last. */
  #states = new Int32Array(STATES_MIN);
  #known = 0;

  /** Forgets the text hashed last. */
  reset(): void {
    this.#known = 0;
  }

  /**
   * 32 bits of `view[start, end)`, of which the first `shared` bytes are those of the text hashed
   * last: MurmurHash3's mixing, four bytes at a time. The same for the same bytes, whatever came before.
   */
  of(view: DataView, start: number, end: number, shared: number): number {
    const blocks = (end - start) >>> 2;
    if (blocks > this.#states.length && blocks <= STATES_MAX) {
      const states = this.#states;
      this.#states = new Int32Array(Math.max(blocks, 2 * states.length));
      this.#states.set(states);
    }
    const states = this.#states;
    const remembered = Math.min(blocks, states.length);
    let block = Math.min(shared >>> 2, this.#known, remembered);
    // The state before block b is known where the b blocks before it are shared.
    if (block === this.#known && block > 0) block--;
    let hash = block > 0 ? states[block] : SEED;
    let p = start + 4 * block;
    for (; block < blocks; block++, p += 4) {
      if (block < remembered) states[block] = hash;
      let k = Math.imul(view.getInt32(p, true), 0xcc9e2d51);
      k = (k << 15) | (k >>> 17);
      hash ^= Math.imul(k, 0x1b873593);
      hash = (hash << 13) | (hash >>> 19);
      hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
    }
    this.#known = remembered;
    for (; p < end; p++) hash = Math.imul(hash ^ view.getUint8(p), 0x01000193);
    hash ^= end - start;
    hash ^= hash >>> 16;
    hash = Math.imul(hash, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }
}
