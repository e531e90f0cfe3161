/**
 * A table of distinct strings, sorted by their UTF-8 bytes and front-coded: each says how many bytes
 * it shares with the one before it. See layout.format.md, "Strings".
 */
import { invariant } from '@canopy/model';
import { type ByteReader, type ByteWriter, readUtf8 } from './varint.js';

/** Bounds what a few bytes can unfold to. */
const PREFIX_MAX = 127;
const ENCODER = new TextEncoder();

/** Collects strings, then gives them numbers in their order. */
export class StringTable {
  readonly #numbers = new Map<string, number>();
  readonly #sorted: Uint8Array[] = [];

  add(text: string): void {
    this.#numbers.set(text, 0);
  }

  /** Nothing is added after this. */
  seal(): void {
    const entries = Array.from(this.#numbers.keys(), (text) => ({
      text,
      bytes: ENCODER.encode(text),
    }));
    entries.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    for (const { text, bytes } of entries) {
      // Two strings may have the same bytes, where unpaired surrogates became U+FFFD.
      const before = this.#sorted.at(-1);
      if (before === undefined || Buffer.compare(before, bytes) !== 0) this.#sorted.push(bytes);
      this.#numbers.set(text, this.#sorted.length - 1);
    }
  }

  indexOf(text: string): number {
    const number = this.#numbers.get(text);
    invariant(number !== undefined, 'BUG: string is not in its table');
    return number;
  }

  write(writer: ByteWriter): void {
    writer.varint(this.#sorted.length);
    let before: Uint8Array = new Uint8Array(0);
    for (const bytes of this.#sorted) {
      const prefixMax = Math.min(before.length, bytes.length, PREFIX_MAX);
      let prefix = 0;
      while (prefix < prefixMax && before[prefix] === bytes[prefix]) prefix++;
      writer.varint(prefix);
      writer.bytes(bytes.subarray(prefix));
      before = bytes;
    }
  }
}

/** @throws FormatError where the strings are not sorted, not distinct or not UTF-8. */
export function readStrings(reader: ByteReader): string[] {
  const count = reader.count(reader.remaining >> 1);
  const strings: string[] = [];
  let before = new Uint8Array(0);
  for (let i = 0; i < count; i++) {
    const prefix = reader.count(Math.min(PREFIX_MAX, before.length));
    const suffix = reader.bytes();
    if (i > 0 && Buffer.compare(before.subarray(prefix), suffix) >= 0) {
      reader.fail('strings are not sorted');
    }
    const bytes = new Uint8Array(prefix + suffix.length);
    bytes.set(before.subarray(0, prefix));
    bytes.set(suffix, prefix);
    strings.push(readUtf8(bytes, reader.position));
    before = bytes;
  }
  return strings;
}
