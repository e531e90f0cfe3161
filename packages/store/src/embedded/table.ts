/**
 * One table of the file. A value ends with a checksum of the table's name, its key and itself, so that neither a
 * damaged value nor one under a key that is not its own is ever handed out.
 */
import { CanopyError, errorText } from '@canopy/model';
import type * as lmdb from 'lmdb';
import { seal, unseal } from '../seal.js';

export interface Range {
  readonly start: Uint8Array;
  readonly end?: Uint8Array;
  readonly limit?: number;
}

export interface TableRecord {
  readonly key: Uint8Array;
  /** Null: it fails its check. */
  readonly value: Buffer | null;
  /** As it lies in the file. */
  readonly byteLength: number;
}

/** Keys and values are bytes; values handed out are copies. */
export class Table {
  readonly #database: lmdb.Database<Buffer, Uint8Array>;
  readonly #file: string;
  /** Checksum of the table's name; null where values are not sealed. */
  readonly #seed: number | null;

  constructor(database: lmdb.Database<Buffer, Uint8Array>, file: string, seed: number | null) {
    this.#database = database;
    this.#file = file;
    this.#seed = seed;
  }

  /** Within `Tables.write`. */
  put(key: Uint8Array, value: Uint8Array): void {
    void this.#database.put(
      key,
      this.#seed === null ? (value as Buffer) : seal(this.#seed, key, value),
    );
  }

  /** Within `Tables.write`. */
  remove(key: Uint8Array): void {
    void this.#database.remove(key);
  }

  /** Undefined where there is none, null where it fails its check. */
  get(key: Uint8Array): Buffer | undefined | null {
    try {
      const value = this.#database.getBinary(key);
      return value === undefined ? undefined : this.#open(key, value);
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  /** In order. @throws CanopyError `storage_corrupt` where whole records are not: a page is not the one it should be. */
  *records(range: Range): Generator<TableRecord> {
    let last: Buffer | undefined;
    try {
      for (const { key, value } of this.#database.getRange(range)) {
        const byteLength = value.length;
        const whole = this.#open(key, value);
        if (whole !== null) {
          if (last !== undefined && last.compare(key) >= 0)
            throw new Error('keys are not in order');
          last = Buffer.from(key);
        }
        yield { key, value: whole, byteLength };
      }
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  /** Copies. */
  keys(range: Range): Buffer[] {
    try {
      return Array.from(this.#database.getKeys(range), (key) => Buffer.from(key));
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  #open(key: Uint8Array, value: Buffer): Buffer | null {
    return this.#seed === null ? value : unseal(this.#seed, key, value);
  }

  /** LMDB reads memory: what it complains of is what lies in the file, or that it was closed. */
  #damaged(error: unknown): unknown {
    const text = errorText(error);
    return /closed/i.test(text) ? error : corruptFile(this.#file, text);
  }

  /** What should be there is not found. */
  incomplete(what: string): CanopyError {
    return corruptFile(this.#file, what);
  }

  /** Records there are, by LMDB's own count. */
  get count(): number {
    return (this.stats() as { entryCount: number }).entryCount;
  }

  stats(): unknown {
    return this.#database.getStats();
  }
}

export function corruptFile(file: string, what: string): CanopyError {
  const text =
    `${file} is damaged (${what}). Put back a copy, or move the file away: the process then begins ` +
    'anew, and what others still hold is pulled again';
  return new CanopyError('storage_corrupt', text);
}
