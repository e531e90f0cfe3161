/** Prefix codes of the classes that residuals fall into: `src/codes.ts`. */
import {
  CODE_CODES_AT,
  CODE_COUNTS_AT,
  CODE_LENGTHS_AT,
  CODE_PARENTS_AT,
  CODE_TABLE_AT,
  CODE_WEIGHTS_AT,
} from './areas';

/** Classes there are: numbers of up to 48 bits. */
export const CLASSES_MAX: u32 = 49;
const LENGTH_MAX: u32 = 8;
const TABLE_SIZE: u32 = 256;
export const LOWEST_BITS: u32 = 6;
export const COUNT_BITS: u32 = 6;
export const LENGTH_BITS: u32 = 4;
/** In place of bits: there is no code. */
export const NO_CODE: u32 = 0xffffffff;

/** Of the code that was made or read last. */
export let lowest: u32 = 0;
export let highest: u32 = 0;

function countAt(c: u32): u32 {
  return load<u32>(CODE_COUNTS_AT + (c << 2));
}

export function lengthAt(c: u32): u32 {
  return <u32>load<u8>(CODE_LENGTHS_AT + c);
}

/** The code of a class, its first bit lowest. */
export function codeAt(c: u32): u32 {
  return <u32>load<u8>(CODE_CODES_AT + c);
}

function weightAt(node: u32): u32 {
  return load<u32>(CODE_WEIGHTS_AT + (node << 2));
}

function setWeight(node: u32, weight: u32): void {
  store<u32>(CODE_WEIGHTS_AT + (node << 2), weight);
}

export function clearCounts(): void {
  memory.fill(CODE_COUNTS_AT, 0, CLASSES_MAX << 2);
}

export function countClass(c: u32): void {
  store<u32>(CODE_COUNTS_AT + (c << 2), countAt(c) + 1);
}

/** Makes the code for the counts; returns the bits of its head and of all numbers, or NO_CODE. */
export function makeCode(): u32 {
  lowest = 0;
  while (lowest < CLASSES_MAX && countAt(lowest) == 0) lowest++;
  highest = CLASSES_MAX - 1;
  while (highest > lowest && countAt(highest) == 0) highest--;
  if (lowest >= highest) return NO_CODE;
  let halvings: u32 = 0;
  while (!tryLengths(halvings)) halvings++;
  let bits = LOWEST_BITS + COUNT_BITS + LENGTH_BITS * (highest - lowest + 1);
  for (let c = lowest; c <= highest; c++) {
    bits += countAt(c) * (lengthAt(c) + (c > 0 ? c - 1 : 0));
  }
  return bits;
}

/** False where a code would be too long. */
function tryLengths(halvings: u32): bool {
  let nodes = highest + 1;
  let alive: u32 = 0;
  for (let c = lowest; c < nodes; c++) {
    const count = countAt(c);
    const halved = count >> halvings;
    setWeight(c, count == 0 ? 0 : halved == 0 ? 1 : halved);
    if (count > 0) alive++;
  }
  for (; alive > 1; alive--) {
    const a = takeLeast(nodes);
    const weight = weightAt(a);
    setWeight(a, 0);
    const b = takeLeast(nodes);
    setWeight(nodes, weight + weightAt(b));
    setWeight(b, 0);
    store<u8>(CODE_PARENTS_AT + a, nodes);
    store<u8>(CODE_PARENTS_AT + b, nodes);
    nodes++;
  }
  const root = nodes - 1;
  for (let c = lowest; c <= highest; c++) {
    let length: u32 = 0;
    if (countAt(c) > 0) {
      for (let node = c; node != root; node = <u32>load<u8>(CODE_PARENTS_AT + node)) length++;
    }
    if (length > LENGTH_MAX) return false;
    store<u8>(CODE_LENGTHS_AT + c, length);
  }
  return true;
}

/** The lightest node; of several the first. */
function takeLeast(nodes: u32): u32 {
  let least: u32 = 0;
  let weight: u32 = 0xffffffff;
  for (let i = lowest; i < nodes; i++) {
    const other = weightAt(i);
    if (other == 0 || other >= weight) continue;
    least = i;
    weight = other;
  }
  return least;
}

/** Codes ascend with their lengths, then with the class. */
export function assignCodes(): void {
  let next: u32 = 0;
  for (let length: u32 = 1; length <= LENGTH_MAX; length++) {
    for (let c = lowest; c <= highest; c++) {
      if (lengthAt(c) != length) continue;
      let code: u32 = 0;
      for (let bit: u32 = 0; bit < length; bit++) {
        code |= ((next >> bit) & 1) << (length - 1 - bit);
      }
      store<u8>(CODE_CODES_AT + c, code);
      next++;
    }
    next <<= 1;
  }
}

/** Begins to take a code whose lengths come from bytes. False where there are no such classes. */
export function beginCode(from: u32, count: u32): bool {
  lowest = from;
  highest = from + count;
  return highest < CLASSES_MAX;
}

export function setLength(c: u32, length: u32): void {
  store<u8>(CODE_LENGTHS_AT + c, length);
}

/** Fills the table: for the next 8 bits the class, and above it the length of its code. False where they do not fill up. */
export function fillTable(): bool {
  let sum: u32 = 0;
  for (let c = lowest; c <= highest; c++) {
    const length = lengthAt(c);
    if (length > LENGTH_MAX) return false;
    if (length > 0) sum += TABLE_SIZE >> length;
  }
  if (sum != TABLE_SIZE) return false;
  assignCodes();
  for (let c = lowest; c <= highest; c++) {
    const length = lengthAt(c);
    if (length == 0) continue;
    const entry = c | (length << 8);
    const by: u32 = (<u32>1) << length;
    for (let i = codeAt(c); i < TABLE_SIZE; i += by) store<u16>(CODE_TABLE_AT + (i << 1), entry);
  }
  return true;
}
