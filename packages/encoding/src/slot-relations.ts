/**
 * Slots of a tile told by one or two slots before them: exporters say many things twice, in other units, or as a sum
 * of what they say elsewhere. See tile.format.md, "Relations". For tiles that are written once and kept long.
 */
import { integerScale } from './column-head.js';
import { type SlotCoder, SlotForm } from './slot-block.js';
import { ByteWriter } from './varint.js';

/** A slot's first byte where it is told by others; no column begins with it. */
export const HAS_RELATION = 129;
export const RELATION_FIRST_MINUS = 1;
export const RELATION_SECOND = 2;
export const RELATION_SECOND_MINUS = 4;
export const RELATION_SCALE_SHIFT = 3;

/** Below this a relation saves too little for the second column that its reader has to decode. */
const BYTES_MIN = 24;
/** What one with a rest of its own must save at least: a part of its size. */
const WORTH = 1 / 8;
/** Slots that the next ones are compared with; cells that are kept of them. */
const WINDOW = 64;
const CELLS_MAX = 1 << 18;
/** Sums of three are exact. */
const INTEGER_MAX = 2 ** 50;
/** Differences looked at to find out which slot is most alike. */
const SAMPLES = 48;

const REST = new ByteWriter(1 << 12);
const REST_END = new Uint32Array(1);

/** A slot that stands for itself, of integers. */
interface Known {
  readonly slot: number;
  readonly integers: Float64Array;
  readonly sampled: Float64Array;
}

interface Relation {
  readonly first: Known;
  readonly firstSign: 1 | -1;
  readonly second: Known | null;
  readonly secondSign: 1 | -1;
  /** The rest is one number for all entries. */
  readonly isConstant: boolean;
}

export class SlotRelations {
  readonly #count: number;
  readonly #window: number;
  /** The oldest is replaced by the next; `#hashes[i]` is that of `#known[i]`. */
  readonly #known: Known[] = [];
  readonly #hashes: Int32Array;
  readonly #byHash = new Map<number, number>();
  #next = 0;
  readonly #weights: Int32Array;
  readonly #places: Int32Array;
  readonly #coder: SlotCoder;
  readonly #spare: number;

  /** `count`: entries of each slot. `spare`: a slot of the coder's block that nobody else uses. */
  constructor(count: number, coder: SlotCoder, spare: number) {
    this.#count = count;
    this.#coder = coder;
    this.#spare = spare;
    this.#window = Math.min(WINDOW, Math.floor(CELLS_MAX / Math.max(1, count)));
    this.#hashes = new Int32Array(this.#window);
    this.#weights = Int32Array.from({ length: count }, (_, i) => weightOf(i));
    const stride = (count - 1) / SAMPLES;
    this.#places = Int32Array.from({ length: SAMPLES }, (_, k) => 1 + Math.floor(k * stride));
  }

  /**
   * `values` are those of slot `slot`, all its entries, whose column stands at the end of `writer`, from `from` on:
   * it is replaced where a relation takes fewer bytes.
   */
  shorten(slot: number, values: Float64Array, writer: ByteWriter, from: number): void {
    const size = writer.length - from;
    if (size < BYTES_MIN || this.#count < 2) return;
    const head = writer.view()[from];
    const scale = integerScale(head);
    if (scale === undefined) return;
    const column = this.#columnOf(slot, values, scale);
    if (column === null) return;
    const hash = this.#hashOf(column.integers);
    const relation = this.#findExact(column, hash) ?? this.#findAlike(column, size);
    if (relation === null || !this.#write(column, relation, head, writer, from)) {
      this.#keep(column, hash);
    }
  }

  #columnOf(slot: number, values: Float64Array, scale: number): Known | null {
    const integers = new Float64Array(this.#count);
    for (let i = 0; i < integers.length; i++) {
      const m = Math.round(values[i] * scale);
      if (!(m <= INTEGER_MAX && m >= -INTEGER_MAX)) return null;
      integers[i] = m;
    }
    const sampled = new Float64Array(SAMPLES);
    for (let k = 0; k < SAMPLES; k++) {
      const i = this.#places[k];
      sampled[k] = integers[i] - integers[i - 1];
    }
    return { slot, integers, sampled };
  }

  /** Linear in the differences from the first entry: that of a sum is the sum of those, modulo 2^32. */
  #hashOf(integers: Float64Array): number {
    const weights = this.#weights;
    const start = integers[0];
    let hash = 0;
    for (let i = 1; i < weights.length; i++) {
      hash = (hash + Math.imul(weights[i], integers[i] - start)) | 0;
    }
    return hash;
  }

  #keep(column: Known, hash: number): void {
    if (this.#window === 0) return;
    const at = this.#next;
    this.#next = (at + 1) % this.#window;
    if (at < this.#known.length && this.#byHash.get(this.#hashes[at]) === at) {
      this.#byHash.delete(this.#hashes[at]);
    }
    this.#known[at] = column;
    this.#hashes[at] = hash;
    this.#byHash.set(hash, at);
  }

  /** The same steps as another slot's, or as the sum or difference of two. */
  #findExact(column: Known, hash: number): Relation | null {
    const alone = this.#exact(column, hash, null, 1);
    if (alone !== null) return alone;
    for (let i = 0; i < this.#known.length; i++) {
      const first = this.#known[i];
      const other = this.#hashes[i];
      const found =
        this.#exact(column, (hash - other) | 0, first, 1) ??
        this.#exact(column, (hash + other) | 0, first, -1);
      if (found !== null) return found;
    }
    return null;
  }

  /** A slot with this hash, or with its negative, that does it, with or without `first`. */
  #exact(column: Known, hash: number, first: Known | null, firstSign: 1 | -1): Relation | null {
    for (const sign of [1, -1] as const) {
      const at = this.#byHash.get(sign === 1 ? hash : -hash | 0);
      if (at === undefined) continue;
      const known = this.#known[at];
      const relation: Relation =
        first === null
          ? { first: known, firstSign: sign, second: null, secondSign: 1, isConstant: true }
          : { first, firstSign, second: known, secondSign: sign, isConstant: true };
      if (isExact(column, relation)) return relation;
    }
    return null;
  }

  /** The slot whose steps are most alike, where that may be worth it. */
  #findAlike({ sampled }: Known, size: number): Relation | null {
    let best = ((8 * size) / this.#count - 1) * SAMPLES;
    let first: Known | null = null;
    for (const known of this.#known) {
      const cost = distance(sampled, known.sampled, best);
      if (cost >= best) continue;
      best = cost;
      first = known;
    }
    if (first === null) return null;
    return { first, firstSign: 1, second: null, secondSign: 1, isConstant: false };
  }

  /** False, with nothing changed, where it would not save enough. */
  #write(
    column: Known,
    relation: Relation,
    head: number,
    writer: ByteWriter,
    from: number,
  ): boolean {
    const { first, firstSign, second, secondSign, isConstant } = relation;
    const { values, forms } = this.#coder.reserve(this.#count);
    const at = this.#spare * this.#count;
    for (let i = 0; i < this.#count; i++) {
      const told = firstSign * first.integers[i];
      values[at + i] =
        column.integers[i] - told - (second === null ? 0 : secondSign * second.integers[i]);
    }
    forms[this.#spare] = isConstant ? SlotForm.constant : SlotForm.values;
    REST.clear();
    REST.u8(HAS_RELATION);
    REST.u8(
      (firstSign < 0 ? RELATION_FIRST_MINUS : 0) |
        (second === null ? 0 : RELATION_SECOND) |
        (secondSign < 0 ? RELATION_SECOND_MINUS : 0) |
        (head & (15 << RELATION_SCALE_SHIFT)),
    );
    REST.varint(column.slot - first.slot - 1);
    if (second !== null) REST.varint(column.slot - second.slot - 1);
    const columnFrom = REST.length;
    this.#coder.encode(this.#spare, 1, this.#count, REST, REST_END, 0, true);
    if (integerScale(REST.view()[columnFrom]) === undefined) return false;
    if (REST.length > (1 - WORTH) * (writer.length - from)) return false;
    writer.advance(from);
    writer.raw(REST.view());
    return true;
  }
}

/** Of entry i; odd, so that no step is lost. */
function weightOf(i: number): number {
  let x = Math.imul(i + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 15), 0x85ebca77);
  return Math.imul(x ^ (x >>> 13), 0xc2b2ae3d) | 1;
}

function isExact(column: Known, { first, firstSign, second, secondSign }: Relation): boolean {
  const own = column.integers;
  const a = first.integers;
  const b = second === null ? null : second.integers;
  for (let i = 1; i < own.length; i++) {
    const told = firstSign * (a[i] - a[0]) + (b === null ? 0 : secondSign * (b[i] - b[0]));
    if (own[i] - own[0] !== told) return false;
  }
  return true;
}

/** Bits that the differences of two samples need, about; more than `limit` need not be exact. */
function distance(a: Float64Array, b: Float64Array, limit: number): number {
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < SAMPLES; k++) {
    const apart = a[k] - b[k];
    sum += apart;
    if (apart < min) min = apart;
    if (apart > max) max = apart;
  }
  // The two extremes would pull it away.
  const mean = Math.round((sum - min - max) / (SAMPLES - 2));
  let bits = 0;
  for (let k = 0; k < SAMPLES && bits < limit; k++) {
    const apart = Math.abs(a[k] - b[k] - mean);
    bits += apart < 2 ** 32 ? 32 - Math.clz32(apart) : 64 - Math.clz32(apart / 2 ** 32);
  }
  return bits;
}
