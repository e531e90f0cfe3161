/**
 * Series text → entry: an open-addressing table over bytes, without a string a series. The text of
 * a series that the last body had stays in that body; only that of others is kept here.
 */
import { CanopyError, invariant } from '@canopy/model';
import { commonPrefix } from './common-prefix.js';

const ENTRIES_MIN = 32;
/** At a load of at most one half, chains of a good hash are tens long. */
const PROBES_MAX = 512;
const SEED = 0x9747b28c;

/** Where an entry's text is. */
export const TextPlace = {
  /** In the last body, in the row `places[entry]`. */
  lastBody: 0,
  /** In the body being read, in the row `places[entry]`. */
  newBody: 1,
  /** In this index's own store, from `places[entry]`. */
  store: 2,
} as const;
export type TextPlace = (typeof TextPlace)[keyof typeof TextPlace];

/** Bodies that entries' texts may lie in. */
export interface Texts {
  readonly lastBody: Uint8Array;
  readonly lastStarts: Uint32Array;
  readonly newBody: Uint8Array;
  readonly newStarts: Uint32Array;
  /** Views of the two, where there are any: sixteen bytes are compared at a time then. */
  readonly lastView?: DataView;
  readonly newView?: DataView;
}

export class SeriesIndex {
  count = 0;
  /** Slot of each entry; -1 dropped by the resolver. */
  slots = new Int32Array(ENTRIES_MIN);
  /** Number of the last parse that had it. */
  seen = new Uint32Array(ENTRIES_MIN);
  whereabouts = new Uint8Array(ENTRIES_MIN);
  places = new Uint32Array(ENTRIES_MIN);
  lengths = new Uint32Array(ENTRIES_MIN);
  #hashes = new Uint32Array(ENTRIES_MIN);
  /** Entry + 1; 0 is free. A power of two, at least twice the entries. */
  #table = new Int32Array(2 * ENTRIES_MIN);
  #store = new Uint8Array(0);
  #storeSize = 0;

  /** Entry of the text `body[start, end)`, or -1. `hash` is what `hashBytes` says of it. */
  find(texts: Texts, body: Uint8Array, start: number, end: number, hash: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    const length = end - start;
    for (let i = hash & mask, probes = 0; table[i] !== 0; i = (i + 1) & mask, probes++) {
      const entry = table[i] - 1;
      if (this.#hashes[entry] === hash && this.lengths[entry] === length) {
        if (this.#equals(texts, entry, body, start, length)) return entry;
      }
      if (probes > PROBES_MAX) {
        throw new CanopyError('limit', 'too many series texts that collide in one target');
      }
    }
    return -1;
  }

  /** Adds a text that is not there, in row `row` of the body being read. */
  add(hash: number, length: number, row: number, slot: number): number {
    if (this.count === this.slots.length) this.#grow(this.count * 2);
    const entry = this.count++;
    this.#hashes[entry] = hash;
    this.lengths[entry] = length;
    this.places[entry] = row;
    this.whereabouts[entry] = TextPlace.newBody;
    this.slots[entry] = slot;
    this.seen[entry] = 0;
    this.#insert(entry);
    return entry;
  }

  /** Copies the text of an entry into the index's own store. */
  keepText(entry: number, body: Uint8Array, start: number): void {
    const length = this.lengths[entry];
    const size = this.#storeSize + length;
    if (size > this.#store.length) {
      const larger = new Uint8Array(Math.max(1024, size * 2));
      larger.set(this.#store.subarray(0, this.#storeSize));
      this.#store = larger;
    }
    this.#store.set(body.subarray(start, start + length), this.#storeSize);
    this.whereabouts[entry] = TextPlace.store;
    this.places[entry] = this.#storeSize;
    this.#storeSize = size;
  }

  /** Forgets all entries from `count` on. */
  truncate(count: number): void {
    if (count === this.count) return;
    this.count = count;
    this.#rehash(this.#table.length);
  }

  /**
   * Forgets the entries for which `keep` is false and numbers the others anew, in their order.
   * Returns the new number of each old entry, -1 for those that are gone.
   */
  retain(keep: (entry: number) => boolean): Int32Array {
    const renumbered = new Int32Array(this.count).fill(-1);
    const oldStore = this.#store;
    const oldCount = this.count;
    this.#store = new Uint8Array(0);
    this.#storeSize = 0;
    this.count = 0;
    for (let old = 0; old < oldCount; old++) {
      if (!keep(old)) continue;
      const entry = this.count++;
      renumbered[old] = entry;
      this.slots[entry] = this.slots[old];
      this.seen[entry] = this.seen[old];
      this.lengths[entry] = this.lengths[old];
      this.#hashes[entry] = this.#hashes[old];
      const place = this.places[old];
      this.places[entry] = place;
      this.whereabouts[entry] = this.whereabouts[old];
      if (this.whereabouts[entry] === TextPlace.store) this.keepText(entry, oldStore, place);
    }
    const size = 2 ** Math.ceil(Math.log2(Math.max(ENTRIES_MIN, this.count + (this.count >> 2))));
    if (size < this.slots.length) this.#grow(size);
    else this.#rehash(this.#table.length);
    return renumbered;
  }

  #equals(texts: Texts, entry: number, body: Uint8Array, start: number, length: number): boolean {
    const where = this.whereabouts[entry];
    const place = this.places[entry];
    if (where === TextPlace.store) return equalBytes(this.#store, place, body, start, length);
    const { lastView, newView } = texts;
    if (where === TextPlace.lastBody && lastView && newView && body === texts.newBody) {
      return commonPrefix(newView, start, lastView, texts.lastStarts[place], length) === length;
    }
    return where === TextPlace.lastBody
      ? equalBytes(texts.lastBody, texts.lastStarts[place], body, start, length)
      : equalBytes(texts.newBody, texts.newStarts[place], body, start, length);
  }

  #insert(entry: number): void {
    const mask = this.#table.length - 1;
    let i = this.#hashes[entry] & mask;
    while (this.#table[i] !== 0) i = (i + 1) & mask;
    this.#table[i] = entry + 1;
  }

  /** Gives the columns `size` places (a power of two, at least `count`). */
  #grow(size: number): void {
    const { count } = this;
    invariant(size >= count, 'BUG: series index made smaller than what it holds');
    const columns = <T extends Uint8Array | Int32Array | Uint32Array>(from: T): T => {
      const to = new (from.constructor as new (size: number) => T)(size);
      to.set(from.subarray(0, count));
      return to;
    };
    this.slots = columns(this.slots);
    this.seen = columns(this.seen);
    this.whereabouts = columns(this.whereabouts);
    this.places = columns(this.places);
    this.lengths = columns(this.lengths);
    this.#hashes = columns(this.#hashes);
    this.#rehash(2 * size);
  }

  #rehash(size: number): void {
    if (size === this.#table.length) this.#table.fill(0);
    else this.#table = new Int32Array(size);
    for (let entry = 0; entry < this.count; entry++) this.#insert(entry);
  }
}

function equalBytes(
  a: Uint8Array,
  aStart: number,
  b: Uint8Array,
  bStart: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}

/** 32 bits of `view[start, end)`: MurmurHash3's mixing, four bytes at a time. */
export function hashBytes(view: DataView, start: number, end: number): number {
  let hash = SEED ^ (end - start);
  let p = start;
  for (; p + 4 <= end; p += 4) {
    let k = Math.imul(view.getInt32(p, true), 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    hash ^= Math.imul(k, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  for (; p < end; p++) hash = Math.imul(hash ^ view.getUint8(p), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
