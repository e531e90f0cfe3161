/** Sorted sets of series numbers. */
import { grownUint32 } from './grow.js';

const NONE = new Uint32Array(0);

/**
 * The series that have one label value. Additions are mostly ascending; the others wait unsorted
 * at the end until somebody reads.
 */
export class Postings {
  #list = new Uint32Array(4);
  #length = 0;
  #sorted = 0;

  get length(): number {
    return this.#length;
  }

  get byteLength(): number {
    return this.#list.byteLength;
  }

  /** `ref` must not be in yet. */
  add(ref: number): void {
    this.#list = grownUint32(this.#list, this.#length + 1);
    const ascending = this.#length === 0 || ref > this.#list[this.#length - 1];
    if (this.#sorted === this.#length && ascending) this.#sorted++;
    this.#list[this.#length++] = ref;
  }

  /** Ascending. A view, valid until the next change. */
  view(): Uint32Array {
    if (this.#sorted < this.#length) this.#mergeTail();
    return this.#list.subarray(0, this.#length);
  }

  /** Takes out every ref for which `dead[ref]` is 1. */
  removeDead(dead: Uint8Array): void {
    const list = this.view();
    let kept = 0;
    for (let i = 0; i < list.length; i++) if (dead[list[i]] !== 1) list[kept++] = list[i];
    this.#length = kept;
    this.#sorted = kept;
    if (kept * 4 < this.#list.length) this.#list = this.#list.slice(0, Math.max(4, kept));
  }

  /** Linear merge of the unsorted end into the sorted front, from the back. */
  #mergeTail(): void {
    const list = this.#list;
    const tail = list.slice(this.#sorted, this.#length).sort();
    let left = this.#sorted - 1;
    let right = tail.length - 1;
    for (let at = this.#length - 1; right >= 0; at--) {
      list[at] = left >= 0 && list[left] > tail[right] ? list[left--] : tail[right--];
    }
    this.#sorted = this.#length;
  }
}

/** Where one ref alone stands for itself. */
export function refsOf(entry: number | Postings): ArrayLike<number> {
  return typeof entry === 'number' ? [entry] : entry.view();
}

/** Refs in both; fresh unless one is empty. */
export function intersect(a: Uint32Array, b: Uint32Array): Uint32Array {
  if (a.length > b.length) return intersect(b, a);
  if (a.length === 0) return NONE;
  const out = new Uint32Array(a.length);
  let count = 0;
  if (b.length > a.length * 16) {
    // Far more in one than in the other: look each one up.
    let from = 0;
    for (let i = 0; i < a.length; i++) {
      from = lowerBound(b, a[i], from);
      if (b[from] === a[i]) out[count++] = a[i];
    }
  } else {
    let j = 0;
    for (let i = 0; i < a.length && j < b.length; i++) {
      while (j < b.length && b[j] < a[i]) j++;
      if (b[j] === a[i]) out[count++] = a[i];
    }
  }
  return out.subarray(0, count);
}

/** Refs of `a` that are not in `b`; fresh. */
export function subtract(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(a.length);
  let count = 0;
  let j = 0;
  for (let i = 0; i < a.length; i++) {
    while (j < b.length && b[j] < a[i]) j++;
    if (b[j] !== a[i]) out[count++] = a[i];
  }
  return out.subarray(0, count);
}

/** All refs of lists that share none, ascending; fresh. Refs are below `bound`. */
export function joinDisjoint(lists: ReadonlyArray<ArrayLike<number>>, bound: number): Uint32Array {
  let total = 0;
  for (const list of lists) total += list.length;
  if (lists.length > 1 && total * 16 > bound) return swept(lists, bound, total);
  const out = new Uint32Array(total);
  let at = 0;
  for (const list of lists) {
    out.set(list, at);
    at += list.length;
  }
  return lists.length > 1 ? out.sort() : out;
}

/** Refs of any of the lists, ascending, each once; fresh. Refs are below `bound`. */
export function union(lists: readonly Uint32Array[], bound: number): Uint32Array {
  if (lists.length === 1) return lists[0].slice();
  const total = lists.reduce((sum, list) => sum + list.length, 0);
  if (total * 16 > bound) return swept(lists, bound, total);
  const all = new Uint32Array(total);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  all.sort();
  let count = 0;
  for (let i = 0; i < all.length; i++) {
    if (i === 0 || all[i] !== all[i - 1]) all[count++] = all[i];
  }
  return all.subarray(0, count);
}

/** Of many refs: marking and sweeping is cheaper than sorting. */
function swept(
  lists: ReadonlyArray<ArrayLike<number>>,
  bound: number,
  countMax: number,
): Uint32Array {
  const marks = new Uint8Array(bound);
  for (const list of lists) for (let i = 0; i < list.length; i++) marks[list[i]] = 1;
  const out = new Uint32Array(Math.min(bound, countMax));
  let count = 0;
  for (let ref = 0; ref < bound; ref++) if (marks[ref] === 1) out[count++] = ref;
  return out.subarray(0, count);
}

/** Refs of a list that are marked with 1, in its order; fresh. */
export function refsIn(list: ArrayLike<number>, marks: Uint8Array): Uint32Array {
  const out = new Uint32Array(list.length);
  let count = 0;
  for (let i = 0; i < list.length; i++) if (marks[list[i]] === 1) out[count++] = list[i];
  return count === out.length ? out : out.slice(0, count);
}

/** First index from `from` on with `list[index] >= value`. */
function lowerBound(list: Uint32Array, value: number, from: number): number {
  let low = from;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
