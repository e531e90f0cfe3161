/** Reading of entries and layouts: bounded steps, checked records, no long transactions. */
import {
  type Epoch,
  FormatError,
  type GapRecord,
  type GroupId,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type ReadLimits,
  comparePositions,
  errorText,
} from '@canopy/model';
import { decodeEntry } from '@canopy/encoding';
import { type EntrySource, type ReadEntry, readFilled, timelessGap } from '../corrupt.js';
import type { CorruptRecord } from '../health.js';
import {
  entryKey,
  groupKey,
  journalPrefix,
  keyAfter,
  keyAfterAll,
  readEntryKey,
  readGroupKey,
} from './keys.js';
import { scan } from './scan.js';
import type { Table } from './table.js';
import type { Tables } from './tables.js';

/** An entry whose bytes lie among the layouts: the value is its group (u32). No record is this short. */
const POINTER_SIZE = 4;

/** What stands among the entries for a layout. */
export function pointer(group: GroupId): Buffer {
  const value = Buffer.allocUnsafe(POINTER_SIZE);
  value.writeUInt32BE(group);
  return value;
}

export class Records {
  readonly #entries: Table;
  readonly #layouts: Table;
  readonly #states: ReadonlyMap<JournalRef, { readonly ledger: string }>;
  readonly #onCorrupt: (record: CorruptRecord) => void;

  /** `states`: the store's, as they are. */
  constructor(
    tables: Tables,
    states: ReadonlyMap<JournalRef, { readonly ledger: string }>,
    onCorrupt: (record: CorruptRecord) => void,
  ) {
    this.#states = states;
    this.#entries = tables.get('entries');
    this.#layouts = tables.get('layouts');
    this.#onCorrupt = onCorrupt;
  }

  /** Keys of all layouts of groups. */
  layoutKeys(
    ref: JournalRef,
    groups: ReadonlyArray<{ epoch: Epoch; group: GroupId }>,
  ): Uint8Array[] {
    const prefix = journalPrefix(ref);
    return groups.flatMap(({ epoch, group }) => {
      const start = groupKey(prefix, epoch, group, 0);
      return this.#layouts.keys({
        start,
        end: groupKey(prefix, epoch, group, Number.MAX_SAFE_INTEGER),
      });
    });
  }

  /**
   * As in Store, up to `synced` inclusive: a transaction can be read a little before it is on
   * disk, and what nobody can rely on yet must not be seen. `newest`: the last entry there is by then.
   * @throws CanopyError `storage_corrupt` where that is not found.
   */
  readEntries(
    ref: JournalRef,
    after: JournalPosition,
    synced: JournalPosition,
    newest: () => JournalPosition,
    limits: ReadLimits,
  ): Promise<JournalEntry[]> {
    const source: EntrySource = {
      read: (from, max) => this.#readEntries(ref, from, synced, newest, max),
      ledger: () => Promise.resolve(this.#states.get(ref)?.ledger ?? ''),
    };
    return readFilled(source, after, limits, (at, why, gap) => {
      this.#report(ref, 'entry', `${at.epoch}-${at.sequence}`, why, gap);
    });
  }

  async #readEntries(
    ref: JournalRef,
    after: JournalPosition,
    synced: JournalPosition,
    newest: () => JournalPosition,
    limits: ReadLimits,
  ): Promise<ReadEntry[]> {
    const prefix = journalPrefix(ref);
    const end = keyAfter(entryKey(prefix, synced.epoch, synced.sequence));
    const found: ReadEntry[] = [];
    let bytes = 0;
    const start = keyAfter(entryKey(prefix, after.epoch, after.sequence));
    let last = after;
    const isWhole = await scan(this.#entries, start, end, (key, value) => {
      if (value !== null) last = readEntryKey(key);
      const entry = this.#decode(prefix, key, value);
      if (entry === undefined) return true;
      bytes += 'corruptAt' in entry ? 0 : entry.bytes.length;
      if (found.length > 0 && bytes > limits.maxBytes) return false;
      found.push(entry);
      return found.length < limits.maxEntries;
    });
    // Where the newest itself is damaged it stands as such at the end.
    const isEnd = found.length > 0 && 'corruptAt' in found[found.length - 1];
    if (isWhole && !isEnd && comparePositions(last, newest()) < 0) {
      throw this.#entries.incomplete(`the newest entries of journal ${ref} are missing`);
    }
    return found;
  }

  /** As in Store, up to `synced` inclusive. */
  async readLayouts(ref: JournalRef, synced: JournalPosition): Promise<JournalEntry[]> {
    const found: JournalEntry[] = [];
    const prefix = journalPrefix(ref);
    await scan(this.#layouts, prefix, keyAfterAll(prefix), (key, value) => {
      const { epoch, group, sequence } = readGroupKey(key);
      if (comparePositions({ epoch, sequence }, synced) > 0) return true;
      try {
        found.push(decodeEntry(epoch, sequence, checked(value)));
      } catch (error) {
        const place = `${epoch}-${group}-${sequence}`;
        this.#report(ref, 'layout', place, errorText(error), timelessGap(group));
      }
      return true;
    });
    return found;
  }

  /**
   * Keys of the oldest entries up to `limit` inclusive, at most `countMax`; `last` is the position of the
   * last of them where there may be more.
   */
  oldestEntries(
    ref: JournalRef,
    limit: JournalPosition,
    countMax: number,
  ): { keys: Uint8Array[]; bytes: number; last: JournalPosition | undefined } {
    const prefix = journalPrefix(ref);
    const end = keyAfter(entryKey(prefix, limit.epoch, limit.sequence));
    const keys: Uint8Array[] = [];
    let bytes = 0;
    for (const { key, value } of this.#entries.records({ start: prefix, end, limit: countMax })) {
      keys.push(Buffer.from(key));
      if (value !== null) bytes += this.#recordBytes(prefix, key, value)?.length ?? 0;
    }
    const full = keys.length === countMax;
    return { keys, bytes, last: full ? readEntryKey(keys[countMax - 1]) : undefined };
  }

  #decode(prefix: Uint8Array, key: Uint8Array, value: Buffer | null): ReadEntry | undefined {
    const { epoch, sequence } = readEntryKey(key);
    try {
      const bytes = this.#recordBytes(prefix, key, checked(value));
      // A layout that was dropped because no frame needs it any more.
      return bytes === undefined ? undefined : decodeEntry(epoch, sequence, checked(bytes));
    } catch (error) {
      return { corruptAt: { epoch, sequence }, why: errorText(error) };
    }
  }

  #recordBytes(prefix: Uint8Array, key: Uint8Array, value: Buffer): Buffer | undefined | null {
    if (value.length !== POINTER_SIZE) return value;
    const { epoch, sequence } = readEntryKey(key);
    return this.#layouts.get(groupKey(prefix, epoch, value.readUInt32BE(), sequence));
  }

  #report(
    journal: JournalRef,
    what: CorruptRecord['what'],
    place: string,
    message: string,
    gap: GapRecord,
  ): void {
    this.#onCorrupt({ journal, what, place, message, gap });
  }
}

/** @throws FormatError */
function checked(value: Buffer | null): Buffer {
  if (value === null) throw new FormatError('wrong checksum of key and record');
  return value;
}
