/**
 * Prefix codes of the classes that residuals fall into: class 0 is 0, class c are numbers of c bits. See
 * tile.format.md, "Residuals". The kernel has the same in `kernel/codes.ts`.
 */
import type { BitReader, BitWriter } from './bit-io.js';

/** Classes there are: numbers of up to 48 bits. */
export const CLASSES_MAX = 49;
/** Bits of the longest code. */
const LENGTH_MAX = 8;
const TABLE_SIZE = 1 << LENGTH_MAX;
/** Bits of the lowest class, of how many follow, and of the length of each one's code. */
const LOWEST_BITS = 6;
const COUNT_BITS = 6;
const LENGTH_BITS = 4;

/** Scratch of one call: leaves, then the nodes above them. */
const weights = new Float64Array(2 * CLASSES_MAX);
const parents = new Uint8Array(2 * CLASSES_MAX);
const table = new Uint8Array(TABLE_SIZE);

/** How often each class is there; the length of its code, 0 where it is not there, and its bits. */
export interface ClassCode {
  readonly counts: Uint32Array;
  readonly lengths: Uint8Array;
  readonly codes: Uint8Array;
  lowest: number;
  highest: number;
}

export function newClassCode(): ClassCode {
  const counts = new Uint32Array(CLASSES_MAX);
  const [lengths, codes] = [new Uint8Array(CLASSES_MAX), new Uint8Array(CLASSES_MAX)];
  return { counts, lengths, codes, lowest: 0, highest: 0 };
}

/**
 * Makes the code for `counts`: Huffman's, with counts halved until none is too long. Returns the bits of its
 * head and of all numbers; infinity where there is only one class.
 */
export function makeCode(code: ClassCode): number {
  const { counts, lengths } = code;
  code.lowest = counts.findIndex((count) => count > 0);
  code.highest = counts.findLastIndex((count) => count > 0);
  if (code.lowest === code.highest) return Number.POSITIVE_INFINITY;
  for (let halvings = 0; ; halvings++) if (tryLengths(code, halvings)) break;
  let bits = LOWEST_BITS + COUNT_BITS + LENGTH_BITS * (code.highest - code.lowest + 1);
  for (let c = code.lowest; c <= code.highest; c++) {
    bits += counts[c] * (lengths[c] + Math.max(0, c - 1));
  }
  return bits;
}

/** False where a code would be too long. */
function tryLengths({ counts, lengths, lowest, highest }: ClassCode, halvings: number): boolean {
  let nodes = highest + 1;
  let alive = 0;
  for (let c = 0; c < nodes; c++) {
    weights[c] = counts[c] === 0 ? 0 : Math.max(1, counts[c] >>> halvings);
    if (weights[c] > 0) alive++;
  }
  for (; alive > 1; alive--) {
    const a = takeLeast(lowest, nodes);
    const weight = weights[a];
    weights[a] = 0;
    const b = takeLeast(lowest, nodes);
    weights[nodes] = weight + weights[b];
    weights[b] = 0;
    parents[a] = parents[b] = nodes++;
  }
  const root = nodes - 1;
  for (let c = lowest; c <= highest; c++) {
    lengths[c] = 0;
    if (counts[c] === 0) continue;
    let length = 0;
    for (let node = c; node !== root; node = parents[node]) length++;
    if (length > LENGTH_MAX) return false;
    lengths[c] = length;
  }
  return true;
}

/** The lightest node; of several the first. */
function takeLeast(from: number, to: number): number {
  let least = -1;
  for (let i = from; i < to; i++) {
    if (weights[i] > 0 && (least < 0 || weights[i] < weights[least])) least = i;
  }
  return least;
}

/** Codes ascend with their lengths, then with the class; the first bit is the lowest. */
function assignCodes({ lengths, codes, lowest, highest }: ClassCode): void {
  codes.fill(0);
  let next = 0;
  for (let length = 1; length <= LENGTH_MAX; length++) {
    for (let c = lowest; c <= highest; c++) {
      if (lengths[c] !== length) continue;
      for (let bit = 0; bit < length; bit++) codes[c] |= ((next >> bit) & 1) << (length - 1 - bit);
      next++;
    }
    next <<= 1;
  }
}

/** Writes the head of a code, which `makeCode` has made, for `putClass`. */
export function putHead(out: BitWriter, code: ClassCode): void {
  const { lengths, lowest, highest } = code;
  out.put(lowest, LOWEST_BITS);
  out.put(highest - lowest, COUNT_BITS);
  for (let c = lowest; c <= highest; c++) out.put(lengths[c], LENGTH_BITS);
  assignCodes(code);
}

export function putClass(out: BitWriter, { codes, lengths }: ClassCode, z: number): void {
  const c = classOf(z);
  out.put(codes[c], lengths[c]);
  if (c > 1) out.put(z - 2 ** (c - 1), c - 1);
}

/** The bits that a number ≥ 0 has. */
export function classOf(z: number): number {
  return z < 2 ** 32 ? 32 - Math.clz32(z) : 64 - Math.clz32(Math.floor(z / 2 ** 32));
}

/**
 * Reads the head of a code; returns what reads a number.
 * @throws FormatError
 */
export function readClasses(packed: BitReader): () => number {
  const lowest = packed.get(LOWEST_BITS);
  const highest = lowest + packed.get(COUNT_BITS);
  if (highest >= CLASSES_MAX) packed.fail('classes out of range');
  const code = { ...newClassCode(), lowest, highest };
  const { lengths, codes } = code;
  let sum = 0;
  for (let c = lowest; c <= highest; c++) {
    lengths[c] = packed.get(LENGTH_BITS);
    if (lengths[c] > LENGTH_MAX) packed.fail('code of a class too long');
    if (lengths[c] > 0) sum += TABLE_SIZE >> lengths[c];
  }
  if (sum !== TABLE_SIZE) packed.fail('codes of classes do not fill up');
  assignCodes(code);
  for (let c = lowest; c <= highest; c++) {
    if (lengths[c] === 0) continue;
    for (let i = codes[c]; i < TABLE_SIZE; i += 1 << lengths[c]) table[i] = c;
  }
  return () => {
    let bits = 0;
    for (let length = 1; ; length++) {
      bits |= packed.get(1) << (length - 1);
      const c = table[bits];
      if (lengths[c] <= length) return c > 1 ? 2 ** (c - 1) + packed.get(c - 1) : c;
    }
  };
}
