/**
 * The parts that sample lines are put together from, escaped and encoded: `name{`, `,label="` and `value"`. A
 * bounded cache by the numbers of their texts.
 */
import {
  type LabelNumbers,
  METRIC_NAME,
  compareUtf8,
  isLegacyLabelName,
  isLegacyMetricName,
} from '@canopy/model';
import { familyName, quote } from './escaping.js';
import type { EscapingScheme } from './name-escaping.js';

/** A power of two. */
const PIECES_MAX = 1 << 15;
/** The pool is emptied when it is full; only a single longer piece makes it larger. */
const POOL_BYTES = 1 << 20;
const POOL_BYTES_FIRST = 1 << 16;
/** Bytes behind a piece that may be read, or written over, with its last ones. */
export const SPARE = 4;
const NONE = -1;

/** What a label's name is, beside `always`, the label that every line is to have. */
export const NameKind = {
  before: 0,
  metric: 1,
  always: 2,
  after: 3,
  /** How it is written depends on the other labels. */
  escaped: 4,
} as const;

/** What a number stands for; the low bits of a key. */
const Role = { metric: 0, name: 1, value: 2 } as const;
const ROLES = 4;

export class TextPieces {
  #pool = Buffer.allocUnsafeSlow(POOL_BYTES_FIRST);
  /** The piece that was asked for last lies at [start, end) here, until the next question. */
  words = new DataView(this.#pool.buffer);
  start = 0;
  end = 0;
  /** Of a name, its NameKind; of a metric 1 where its name has to be quoted: `{"my.name"`. */
  kind = 0;
  readonly #always: string;
  readonly #escaping: EscapingScheme;
  #length = 0;
  readonly #keys = new Float64Array(PIECES_MAX).fill(NONE);
  readonly #starts = new Uint32Array(PIECES_MAX);
  readonly #ends = new Uint32Array(PIECES_MAX);
  readonly #kinds = new Uint8Array(PIECES_MAX);

  constructor(always: string, escaping: EscapingScheme) {
    this.#always = always;
    this.#escaping = escaping;
  }

  /** Numbers may stand for other texts now. */
  clear(): void {
    this.#keys.fill(NONE);
    this.#length = 0;
  }

  metric(labels: LabelNumbers, number: number): void {
    if (!this.#find(ROLES * number + Role.metric)) this.#addMetric(labels.text(number), number);
  }

  name(labels: LabelNumbers, number: number): void {
    if (this.#find(ROLES * number + Role.name)) return;
    const name = labels.text(number);
    const kind = this.#kindOf(name);
    const text = `,${isLegacyLabelName(name) ? name : quote(name)}="`;
    this.#add(ROLES * number + Role.name, text, kind);
  }

  value(labels: LabelNumbers, number: number): void {
    if (this.#find(ROLES * number + Role.value)) return;
    this.#add(ROLES * number + Role.value, quote(labels.text(number)).slice(1), 0);
  }

  #kindOf(name: string): number {
    if (name === METRIC_NAME) return NameKind.metric;
    if (this.#escaping !== 'allow-utf-8' && !isLegacyLabelName(name)) return NameKind.escaped;
    const order = compareUtf8(name, this.#always);
    return order === 0 ? NameKind.always : order > 0 ? NameKind.after : NameKind.before;
  }

  #addMetric(name: string, number: number): void {
    const isPlain = this.#escaping !== 'allow-utf-8' || isLegacyMetricName(name);
    const text = isPlain ? `${familyName(name, this.#escaping)}{` : `{${quote(name)}`;
    this.#add(ROLES * number + Role.metric, text, isPlain ? 0 : 1);
  }

  #find(key: number): boolean {
    const at = placeOf(key);
    if (this.#keys[at] !== key) return false;
    this.start = this.#starts[at];
    this.end = this.#ends[at];
    this.kind = this.#kinds[at];
    return true;
  }

  #add(key: number, text: string, kind: number): void {
    const size = 3 * text.length + SPARE;
    if (this.#length + size > this.#pool.length) this.#makeRoom(size);
    const at = placeOf(key);
    this.start = this.#length;
    this.#length += this.#pool.write(text, this.#length);
    this.end = this.#length;
    this.kind = kind;
    this.#keys[at] = key;
    this.#starts[at] = this.start;
    this.#ends[at] = this.end;
    this.#kinds[at] = kind;
  }

  #makeRoom(size: number): void {
    const doubled = Math.max(2 * this.#pool.length, this.#length + size);
    let pool = this.#pool;
    if (doubled <= POOL_BYTES) {
      pool = Buffer.allocUnsafeSlow(doubled);
      this.#pool.copy(pool, 0, 0, this.#length);
    } else {
      this.clear();
      if (pool.length < size) pool = Buffer.allocUnsafeSlow(size);
    }
    this.#pool = pool;
    this.words = new DataView(pool.buffer);
  }
}

/** Names, values and metrics of low numbers do not drive each other out. */
const placeOf = (key: number): number => key & (PIECES_MAX - 1);
