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

/**
 * The label sets of one target, numbered from 0 as they appear. One text may be spelt in several ways and
 * two texts may become one label set, so identity is looked up here: by hash in an open table.
 */
export class SeriesTable {
  readonly #labels: Labels[] = [];
  readonly #families: Array<Family | undefined> = [];
  /** By series. */
  #hashes = new Int32Array(32);
  #buckets = new Int32Array(64).fill(FREE);

  get count(): number {
    return this.#labels.length;
  }

  labels(series: number): Labels {
    return this.#labels[series];
  }

  family(series: number): Family | undefined {
    return this.#families[series];
  }

  /** The number of a label set, a new one where it is not known yet. Keeps `labels`. */
  add(labels: Labels, family: Family | undefined): number {
    const hash = hashLabels(labels);
    const bucket = this.#find(labels, hash);
    if (this.#buckets[bucket] !== FREE) return this.#buckets[bucket];
    const series = this.#labels.length;
    this.#labels.push(labels);
    this.#families.push(family);
    if (series === this.#hashes.length) this.#hashes = grown(this.#hashes);
    this.#hashes[series] = hash;
    this.#buckets[bucket] = series;
    if (2 * (series + 1) > this.#buckets.length) this.#rehash(this.#buckets.length * 2);
    return series;
  }

  /** Keeps the series with `keep[series]` 1, in their order. Returns the new number of each, -1: gone. */
  compact(keep: Uint8Array): Int32Array {
    invariant(keep.length >= this.count, 'BUG: compact needs an entry for every series');
    const map = new Int32Array(this.count);
    let next = 0;
    for (let series = 0; series < map.length; series++) {
      if (keep[series] === 0) {
        map[series] = -1;
        continue;
      }
      this.#labels[next] = this.#labels[series];
      this.#families[next] = this.#families[series];
      this.#hashes[next] = this.#hashes[series];
      map[series] = next++;
    }
    this.#labels.length = next;
    this.#families.length = next;
    let size = 64;
    while (size < 2 * (next + 1)) size *= 2;
    this.#hashes = this.#hashes.slice(0, Math.max(32, next));
    this.#rehash(size);
    return map;
  }

  /** The bucket of a label set, or the free one where it belongs. */
  #find(labels: Labels, hash: number): number {
    const mask = this.#buckets.length - 1;
    let bucket = hash & mask;
    for (;;) {
      const series = this.#buckets[bucket];
      if (series === FREE) return bucket;
      if (this.#hashes[series] === hash && equal(this.#labels[series], labels)) return bucket;
      bucket = (bucket + 1) & mask;
    }
  }

  #rehash(size: number): void {
    this.#buckets = new Int32Array(size).fill(FREE);
    const mask = size - 1;
    for (let series = 0; series < this.#labels.length; series++) {
      let bucket = this.#hashes[series] & mask;
      while (this.#buckets[bucket] !== FREE) bucket = (bucket + 1) & mask;
      this.#buckets[bucket] = series;
    }
  }
}

function grown(column: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * column.length);
  larger.set(column);
  return larger;
}

function equal(a: Labels, b: Labels): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** FNV-1a over the UTF-16 units, with a unit between strings, and its bits mixed down at the end. */
function hashLabels(labels: Labels): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < labels.length; i++) {
    const text = labels[i];
    for (let at = 0; at < text.length; at++) {
      hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    }
    hash = Math.imul(hash ^ 0xffff, 0x01000193);
  }
  return hash ^ (hash >>> 15);
}
