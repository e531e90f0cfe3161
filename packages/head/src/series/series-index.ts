/** Which series there are, and which of them matchers mean. */
import type { Labels, Matcher } from '@canopy/model';
import { grownUint32 } from './grow.js';
import { LabelSets } from './label-sets.js';
import { NumberedTexts } from './numbered-texts.js';
import { Postings, intersect, joinDisjoint, refsOf, subtract } from './postings.js';
import { Symbols } from './symbols.js';

/** In place of a SeriesRef: the index is full. */
export const NO_SERIES = 0xffffffff;

const NO_REFS = new Uint32Array(0);
/** Tags of places in the table; others are of hashes. */
const EMPTY = 0;
const ERASED = 1;
/** Fewer symbols are not worth numbering anew. */
const SYMBOLS_KEPT = 4096;

/**
 * Label set ⇄ SeriesRef (u32, of this process only, given again after removal), and label values
 * → refs. A label set is kept as symbol numbers in one pool: 4 bytes a name or value.
 */
export class SeriesIndex {
  readonly #seriesMax: number;
  readonly #symbols = new Symbols();
  /** name → value → the one ref, or a Postings of two and more. */
  #names = new Map<number, Map<number, number | Postings>>();
  readonly #all = new Postings();
  #free: number[] = [];
  #count = 0;
  #bound = 0;
  #removals = 0;

  /** Label sets: at `#offsets[ref]` the number of symbols, then name, value, name, … Offset 0: no series. */
  #pool = new Uint32Array(4096);
  #poolLength = 1;
  #poolDead = 0;
  #offsets = new Uint32Array(1024);

  /** Open addressing. A byte of the hash beside each ref: most of what is passed over is seen by it alone. */
  #table = new Uint32Array(2048);
  #tags = new Uint8Array(2048);
  #tableUsed = 0;
  #scratch = new Uint32Array(64);
  readonly #labelSets = new LabelSets((ref) => this.#readLabels(ref));

  constructor(seriesMax: number) {
    this.#seriesMax = seriesMax;
  }

  get count(): number {
    return this.#count;
  }

  /** Refs are below this. */
  get bound(): number {
    return this.#bound;
  }

  /** The ref of a label set, new where it is not known; NO_SERIES where the index is full. */
  intern(labels: Labels): number {
    const numbers = Uint32Array.from(labels, (_, i) => i);
    return this.internNumbered(new NumberedTexts(labels), numbers, 0, labels.length);
  }

  /** The same of the label set that `numbers` has in [from, to). */
  internNumbered(known: NumberedTexts, numbers: Uint32Array, from: number, to: number): number {
    const { texts, ids } = known;
    const length = to - from;
    this.#scratch = grownUint32(this.#scratch, length);
    let hash = 0;
    let isNew = false;
    for (let i = 0; i < length; i++) {
      const number = numbers[from + i];
      let id = ids[number];
      if (id < 0) {
        id = this.#symbols.find(texts[number]);
        if (id < 0) {
          isNew = true;
          break;
        }
        ids[number] = id;
      }
      this.#scratch[i] = id;
      hash = mix(hash, id);
    }
    if (!isNew) {
      const ref = this.#lookup(hash, length);
      if (ref !== NO_SERIES) return ref;
    }
    if (this.#count >= this.#seriesMax) return NO_SERIES;
    return this.#insert(known, numbers, from, length);
  }

  has(ref: number): boolean {
    return ref < this.#bound && this.#offsets[ref] !== 0;
  }

  labels(ref: number): Labels {
    return this.#labelSets.get(ref);
  }

  #readLabels(ref: number): Labels {
    const offset = this.#offsets[ref];
    const end = offset + this.#pool[offset];
    const labels: string[] = [];
    for (let i = offset + 1; i <= end; i++) labels.push(this.#symbols.text(this.#pool[i]));
    // Without the room that it grew into.
    return labels.slice();
  }

  /** Refs of series that all matchers match, ascending; the caller's. */
  match(matchers: readonly Matcher[]): Uint32Array {
    const lists: Uint32Array[] = [];
    const rest: Matcher[] = [];
    for (const matcher of matchers) {
      if (matcher.op !== '=' || matcher.value === '') {
        rest.push(matcher);
        continue;
      }
      const list = this.#postings(matcher.name, matcher.value);
      if (list.length === 0) return NO_REFS;
      lists.push(list);
    }
    lists.sort((a, b) => a.length - b.length);
    let found: Uint32Array | null = lists.length === 0 ? null : lists[0].slice();
    for (let i = 1; i < lists.length; i++) found = intersect(found!, lists[i]);
    for (const matcher of rest) {
      found = this.#narrow(found, matcher);
      if (found !== null && found.length === 0) return NO_REFS;
    }
    return found ?? this.#all.view().slice();
  }

  /** Grows whenever the number of a text may have changed. */
  get symbolsVersion(): number {
    return this.#removals;
  }

  /** Copies the symbol numbers of a series to `out` where they fit; returns how many there are. */
  copySymbols(ref: number, out: Uint32Array): number {
    const pool = this.#pool;
    const offset = this.#offsets[ref];
    const length = pool[offset];
    if (length > out.length) return length;
    for (let i = 0; i < length; i++) out[i] = pool[offset + 1 + i];
    return length;
  }

  get symbols(): Pick<Symbols, 'text' | 'find'> {
    return this.#symbols;
  }

  /** Label names of all series, in no order. */
  names(): string[] {
    return [...this.#names.keys()].map((id) => this.#symbols.text(id));
  }

  /** Values of a label, in no order, and which series have each (views, valid until the next change). */
  *values(name: string): Generator<[value: string, refs: ArrayLike<number>]> {
    const byValue = this.#names.get(this.#symbols.find(name));
    if (byValue === undefined) return;
    for (const [id, entry] of byValue) yield [this.#symbols.text(id), refsOf(entry)];
  }

  /** The value of a label of one series; '' where it has none. */
  value(ref: number, name: string): string {
    const symbol = this.#valueSymbol(ref, this.#symbols.find(name));
    return symbol < 0 ? '' : this.#symbols.text(symbol);
  }

  /** Calls `visit` with each label name of a series. */
  eachName(ref: number, visit: (name: string) => void): void {
    const offset = this.#offsets[ref];
    const end = offset + this.#pool[offset];
    for (let i = offset + 1; i <= end; i += 2) visit(this.#symbols.text(this.#pool[i]));
  }

  /** Forgets series. Their refs may be given again at once. */
  remove(refs: readonly number[]): void {
    if (refs.length === 0) return;
    this.#removals++;
    const dead = new Uint8Array(this.#bound);
    const touched = new Map<number, Set<number>>();
    for (const ref of refs) {
      dead[ref] = 1;
      this.#eraseFromTable(ref);
      this.#forgetLabels(ref, touched);
      this.#labelSets.forget(ref);
      this.#free.push(ref);
      this.#count--;
    }
    this.#all.removeDead(dead);
    for (const [name, values] of touched) this.#removeDead(name, values, dead);
    // The lowest refs are given first, so that postings stay ascending most of the time.
    this.#free.sort((a, b) => b - a);
    this.#shrink();
  }

  /** Columns and table, without strings and maps. Bytes. */
  get byteLength(): number {
    let postings = this.#all.byteLength;
    for (const byValue of this.#names.values()) {
      for (const entry of byValue.values()) {
        if (typeof entry !== 'number') postings += entry.byteLength;
      }
    }
    const table = this.#table.byteLength + this.#tags.byteLength;
    return postings + this.#pool.byteLength + this.#offsets.byteLength + table;
  }

  /** Numbers of symbols, those that are free again among them. */
  get symbolBound(): number {
    return this.#symbols.bound;
  }

  /** After many series have gone, gives their memory back; each part when three quarters of it are free. */
  #shrink(): void {
    let bound = this.#bound;
    while (bound > 0 && this.#offsets[bound - 1] === 0) bound--;
    if (bound < this.#bound) {
      this.#bound = bound;
      this.#free = this.#free.filter((ref) => ref < bound);
      if (bound * 4 < this.#offsets.length) {
        this.#offsets = this.#offsets.slice(0, Math.max(1024, bound));
      }
    }
    if (this.#poolDead * 2 > this.#poolLength) this.#compactPool();
    const isSparse = this.#symbols.count * 4 < this.#symbols.bound;
    if (isSparse && this.#symbols.bound > SYMBOLS_KEPT) this.#renumberSymbols();
    else if (this.#count * 16 < this.#table.length) this.#rebuildTable();
  }

  /** Hashes are of symbols: the table is made anew. */
  #renumberSymbols(): void {
    const map = this.#symbols.renumber();
    for (let ref = 0; ref < this.#bound; ref++) {
      const offset = this.#offsets[ref];
      if (offset === 0) continue;
      const end = offset + this.#pool[offset];
      for (let at = offset + 1; at <= end; at++) this.#pool[at] = map[this.#pool[at]];
    }
    const names = new Map<number, Map<number, number | Postings>>();
    for (const [name, byValue] of this.#names) {
      const renumbered = new Map<number, number | Postings>();
      for (const [value, entry] of byValue) renumbered.set(map[value], entry);
      names.set(map[name], renumbered);
    }
    this.#names = names;
    this.#rebuildTable();
  }

  #lookup(hash: number, length: number): number {
    const tags = this.#tags;
    const mask = tags.length - 1;
    const tag = tagOf(hash);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      if (tags[at] === EMPTY) return NO_SERIES;
      if (tags[at] !== tag) continue;
      const ref = this.#table[at];
      if (this.#sameLabels(ref, length)) return ref;
    }
  }

  /** Whether a series' symbols are those in the scratch. */
  #sameLabels(ref: number, length: number): boolean {
    const pool = this.#pool;
    const offset = this.#offsets[ref];
    if (pool[offset] !== length) return false;
    for (let i = 0; i < length; i++) if (pool[offset + 1 + i] !== this.#scratch[i]) return false;
    return true;
  }

  #insert(known: NumberedTexts, numbers: Uint32Array, from: number, length: number): number {
    const { texts, ids } = known;
    const ref = this.#free.pop() ?? this.#bound++;
    this.#offsets = grownUint32(this.#offsets, ref + 1);
    this.#pool = grownUint32(this.#pool, this.#poolLength + length + 1);
    const pool = this.#pool;
    const offset = this.#poolLength;
    this.#poolLength += length + 1;
    this.#offsets[ref] = offset;
    pool[offset] = length;
    let hash = 0;
    for (let i = 0; i < length; i++) {
      const number = numbers[from + i];
      const id = ids[number];
      if (id < 0) ids[number] = this.#symbols.retain(texts[number]);
      else this.#symbols.use(id);
      pool[offset + 1 + i] = ids[number];
      hash = mix(hash, ids[number]);
    }
    for (let i = 1; i < length; i += 2) {
      this.#addPosting(pool[offset + i], pool[offset + 1 + i], ref, known, numbers[from + i]);
    }
    this.#all.add(ref);
    this.#count++;
    this.#enterInTable(hash, ref);
    return ref;
  }

  /** `number`: the value's, among the texts of `known`. */
  #addPosting(
    name: number,
    value: number,
    ref: number,
    known: NumberedTexts,
    number: number,
  ): void {
    // Fast path: the same label as of a slot before.
    if (known.names[number] === name) {
      known.postings[number]!.add(ref);
      return;
    }
    let byValue = this.#names.get(name);
    if (byValue === undefined) {
      byValue = new Map();
      this.#names.set(name, byValue);
    }
    let entry = byValue.get(value);
    if (entry === undefined) {
      byValue.set(value, ref);
      return;
    }
    if (typeof entry === 'number') {
      const postings = new Postings();
      postings.add(Math.min(entry, ref));
      postings.add(Math.max(entry, ref));
      byValue.set(value, (entry = postings));
    } else {
      entry.add(ref);
    }
    known.names[number] = name;
    known.postings[number] = entry;
  }

  #enterInTable(hash: number, ref: number): void {
    if ((this.#tableUsed + 1) * 2 > this.#table.length) this.#rebuildTable();
    // The rebuilt table may hold it already: it is in `#offsets`.
    const tags = this.#tags;
    const mask = tags.length - 1;
    const tag = tagOf(hash);
    let at = hash & mask;
    while (tags[at] !== EMPTY) {
      if (tags[at] === tag && this.#table[at] === ref) return;
      at = (at + 1) & mask;
    }
    tags[at] = tag;
    this.#table[at] = ref;
    this.#tableUsed++;
  }

  #rebuildTable(): void {
    let size = 2048;
    while (size < this.#count * 4) size *= 2;
    const table = new Uint32Array(size);
    const tags = new Uint8Array(size);
    let used = 0;
    for (let ref = 0; ref < this.#bound; ref++) {
      if (this.#offsets[ref] === 0) continue;
      const hash = this.#hashOf(ref);
      let at = hash & (size - 1);
      while (tags[at] !== EMPTY) at = (at + 1) & (size - 1);
      table[at] = ref;
      tags[at] = tagOf(hash);
      used++;
    }
    this.#table = table;
    this.#tags = tags;
    this.#tableUsed = used;
  }

  #eraseFromTable(ref: number): void {
    const mask = this.#table.length - 1;
    const hash = this.#hashOf(ref);
    const tag = tagOf(hash);
    let at = hash & mask;
    while (this.#tags[at] !== tag || this.#table[at] !== ref) at = (at + 1) & mask;
    this.#tags[at] = ERASED;
  }

  #hashOf(ref: number): number {
    const offset = this.#offsets[ref];
    const length = this.#pool[offset];
    let hash = 0;
    for (let i = 1; i <= length; i++) hash = mix(hash, this.#pool[offset + i]);
    return hash;
  }

  #forgetLabels(ref: number, touched: Map<number, Set<number>>): void {
    const offset = this.#offsets[ref];
    const length = this.#pool[offset];
    for (let i = 1; i <= length; i += 2) {
      const name = this.#pool[offset + i];
      let values = touched.get(name);
      if (values === undefined) touched.set(name, (values = new Set()));
      values.add(this.#pool[offset + i + 1]);
    }
    for (let i = 1; i <= length; i++) this.#symbols.release(this.#pool[offset + i]);
    this.#poolDead += length + 1;
    this.#offsets[ref] = 0;
  }

  #removeDead(name: number, values: ReadonlySet<number>, dead: Uint8Array): void {
    const byValue = this.#names.get(name)!;
    for (const value of values) {
      const entry = byValue.get(value)!;
      if (typeof entry === 'number') {
        byValue.delete(value);
        continue;
      }
      entry.removeDead(dead);
      if (entry.length === 0) byValue.delete(value);
    }
    if (byValue.size === 0) this.#names.delete(name);
  }

  #compactPool(): void {
    const pool = new Uint32Array(this.#poolLength - this.#poolDead + 1024);
    let length = 1;
    for (let ref = 0; ref < this.#bound; ref++) {
      const offset = this.#offsets[ref];
      if (offset === 0) continue;
      const size = this.#pool[offset] + 1;
      pool.set(this.#pool.subarray(offset, offset + size), length);
      this.#offsets[ref] = length;
      length += size;
    }
    this.#pool = pool;
    this.#poolLength = length;
    this.#poolDead = 0;
  }

  #postings(name: string, value: string): Uint32Array {
    const entry = this.#names.get(this.#symbols.find(name))?.get(this.#symbols.find(value));
    if (entry === undefined) return NO_REFS;
    return typeof entry === 'number' ? Uint32Array.of(entry) : entry.view();
  }

  /**
   * What of `found` (null: everything) a matcher leaves. One that matches '' also takes series
   * without the label: it takes away those with a value it refuses.
   */
  #narrow(found: Uint32Array | null, matcher: Matcher): Uint32Array | null {
    const name = this.#symbols.find(matcher.name);
    const takesAbsent = matcher.matches('');
    const byValue = this.#names.get(name);
    if (byValue === undefined) return takesAbsent ? found : NO_REFS;
    if (found !== null && found.length < byValue.size) {
      return this.#narrowEach(found, name, matcher, takesAbsent);
    }
    const lists: Array<ArrayLike<number>> = [];
    for (const [value, entry] of byValue) {
      if (matcher.matches(this.#symbols.text(value)) !== takesAbsent) lists.push(refsOf(entry));
    }
    const refs = joinDisjoint(lists, this.#bound);
    if (takesAbsent) return subtract(found ?? this.#all.view(), refs);
    return found === null ? refs : intersect(found, refs);
  }

  /** Fewer candidates than values: ask for the values of the candidates, each value once. */
  #narrowEach(
    found: Uint32Array,
    name: number,
    matcher: Matcher,
    takesAbsent: boolean,
  ): Uint32Array {
    const verdicts = new Map<number, boolean>([[-1, takesAbsent]]);
    return found.filter((ref) => {
      const value = this.#valueSymbol(ref, name);
      let verdict = verdicts.get(value);
      if (verdict === undefined) {
        verdict = matcher.matches(this.#symbols.text(value));
        verdicts.set(value, verdict);
      }
      return verdict;
    });
  }

  #valueSymbol(ref: number, name: number): number {
    const offset = this.#offsets[ref];
    const end = offset + this.#pool[offset];
    for (let i = offset + 1; i <= end; i += 2) if (this.#pool[i] === name) return this.#pool[i + 1];
    return -1;
  }
}

/** The upper bits: the lower ones say where in the table. */
const tagOf = (hash: number): number => 2 + (((hash >>> 24) * 254) >>> 8);

/** murmur3's step over one symbol number. */
function mix(hash: number, id: number): number {
  let k = Math.imul(id + 0x9e3779b9, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  let h = hash ^ Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  h = Math.imul(h, 5) + 0xe6546b64;
  return (h ^ (h >>> 15)) | 0;
}
