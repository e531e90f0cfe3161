import { type Family, type Labels, invariant } from '@canopy/model';

/** Most strings kept for sharing; then the pool starts again. */
export const POOL_MAX = 1 << 16;

/**
 * Lets equal strings be one object: series of a target, and targets of a job, share most of their
 * names and values. Best effort within bounded memory.
 */
export class StringPool {
  #strings = new Map<string, string>();

  get size(): number {
    return this.#strings.size;
  }

  /** The first string with this text that the pool still has, or `text` itself. */
  share(text: string): string {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    if (this.#strings.size >= POOL_MAX) this.#strings = new Map();
    this.#strings.set(text, text);
    return text;
  }
}

const FREE = -1;
/** Fewer label sets and strings than this are not worth smaller arrays. */
const COUNT_MIN = 32;
const NARROW_MAX = 0xffff;

/**
 * The label sets of one target, numbered from 0 as they appear. One text may be spelt in several ways and
 * two texts may become one label set, so identity is looked up here. A set is kept as numbers of
 * strings in one column: an array of its own for each would take three times as much.
 */
export class SeriesTable {
  readonly #strings = new Strings();
  #families: Array<Family | undefined> = [];
  /** Numbers of strings, set after set; set i ends at `#ends[i]`. Wide only where there are so many strings. */
  #numbers: Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> = new Uint16Array(COUNT_MIN);
  #ends = new Uint32Array(COUNT_MIN);
  /** Open addressing by hash of the numbers, at most half full. */
  #buckets = new Int32Array(2 * COUNT_MIN).fill(FREE);

  get count(): number {
    return this.#families.length;
  }

  /** A fresh array. */
  labels(series: number): Labels {
    const labels: string[] = [];
    for (let at = this.#start(series); at < this.#ends[series]; at++) {
      labels.push(this.#strings.text(this.#numbers[at]));
    }
    return labels;
  }

  family(series: number): Family | undefined {
    return this.#families[series];
  }

  /** The number of a label set, a new one where it is not known yet. */
  add(labels: Labels, family: Family | undefined): number {
    const series = this.#families.length;
    const start = this.#start(series);
    const end = start + labels.length;
    // Written where it stays if it is new.
    if (end > this.#numbers.length) this.#numbers = grown(this.#numbers, end);
    for (let i = 0; i < labels.length; i++) {
      const number = this.#strings.add(labels[i]);
      if (number > NARROW_MAX && this.#numbers.BYTES_PER_ELEMENT === 2) {
        this.#numbers = Uint32Array.from(this.#numbers);
      }
      this.#numbers[start + i] = number;
    }
    const bucket = this.#find(start, end);
    if (this.#buckets[bucket] !== FREE) return this.#buckets[bucket];
    this.#families.push(family);
    if (series === this.#ends.length) this.#ends = grown(this.#ends, series + 1);
    this.#ends[series] = end;
    this.#buckets[bucket] = series;
    if (2 * (series + 1) > this.#buckets.length) this.#rehash(this.#buckets.length * 2);
    return series;
  }

  /** Keeps the series with `keep[series]` 1, in their order. Returns the new number of each, -1: gone. */
  compact(keep: Uint8Array): Int32Array {
    invariant(keep.length >= this.count, 'BUG: compact needs an entry for every series');
    const map = new Int32Array(this.count).fill(-1);
    const before = { families: this.#families, numbers: this.#numbers, ends: this.#ends };
    const texts = this.#strings.clear();
    this.#families = [];
    this.#numbers = new Uint16Array(COUNT_MIN);
    this.#ends = new Uint32Array(COUNT_MIN);
    this.#buckets = new Int32Array(2 * COUNT_MIN).fill(FREE);
    for (let series = 0; series < map.length; series++) {
      if (keep[series] === 0) continue;
      const start = series === 0 ? 0 : before.ends[series - 1];
      const numbers = before.numbers.subarray(start, before.ends[series]);
      const labels = Array.from(numbers, (number) => texts[number]);
      map[series] = this.add(labels, before.families[series]);
    }
    return map;
  }

  #start(series: number): number {
    return series === 0 ? 0 : this.#ends[series - 1];
  }

  /** The bucket of the set whose numbers stand at [start, end), or the free one where it belongs. */
  #find(start: number, end: number): number {
    const mask = this.#buckets.length - 1;
    let bucket = this.#hash(start, end) & mask;
    for (;;) {
      const series = this.#buckets[bucket];
      if (series === FREE || this.#equals(series, start, end)) return bucket;
      bucket = (bucket + 1) & mask;
    }
  }

  #equals(series: number, start: number, end: number): boolean {
    const numbers = this.#numbers;
    let at = this.#start(series);
    if (this.#ends[series] - at !== end - start) return false;
    for (let i = start; i < end; i++) if (numbers[i] !== numbers[at++]) return false;
    return true;
  }

  #hash(start: number, end: number): number {
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ this.#numbers[at], 0x85ebca6b);
      hash ^= hash >>> 13;
    }
    hash = Math.imul(hash, 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }

  #rehash(size: number): void {
    this.#buckets = new Int32Array(size).fill(FREE);
    const mask = size - 1;
    for (let series = 0; series < this.count; series++) {
      let bucket = this.#hash(this.#start(series), this.#ends[series]) & mask;
      while (this.#buckets[bucket] !== FREE) bucket = (bucket + 1) & mask;
      this.#buckets[bucket] = series;
    }
  }
}

/** Texts numbered from 0 as they appear. */
class Strings {
  #texts: string[] = [];
  /** Open addressing, at most half full. */
  #buckets = new Int32Array(2 * COUNT_MIN).fill(FREE);

  text(number: number): string {
    return this.#texts[number];
  }

  add(text: string): number {
    const bucket = this.#find(text);
    const known = this.#buckets[bucket];
    if (known !== FREE) return known;
    const number = this.#texts.push(text) - 1;
    this.#buckets[bucket] = number;
    if (2 * (number + 1) > this.#buckets.length) {
      this.#buckets = new Int32Array(2 * this.#buckets.length).fill(FREE);
      for (let i = 0; i <= number; i++) this.#buckets[this.#find(this.#texts[i])] = i;
    }
    return number;
  }

  /** Forgets all; returns what there was. */
  clear(): string[] {
    const texts = this.#texts;
    this.#texts = [];
    this.#buckets = new Int32Array(2 * COUNT_MIN).fill(FREE);
    return texts;
  }

  #find(text: string): number {
    const mask = this.#buckets.length - 1;
    let bucket = hashText(text) & mask;
    for (;;) {
      const number = this.#buckets[bucket];
      if (number === FREE || this.#texts[number] === text) return bucket;
      bucket = (bucket + 1) & mask;
    }
  }
}

/** FNV-1a over the UTF-16 units, its bits mixed down at the end. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}

function grown<T extends Uint16Array | Uint32Array>(column: T, count: number): T {
  const Column = column.constructor as new (length: number) => T;
  const larger = new Column(Math.max(count, column.length + (column.length >> 1)));
  larger.set(column);
  return larger;
}
