/** What must be whole before a store is used: its version, positions, fences. */
import {
  CanopyError,
  type JournalPosition,
  type JournalRef,
  type JournalState,
} from '@canopy/model';
import { corruptFile } from './table.js';
import type { Tables } from './tables.js';

const FIRST_KEY = Buffer.alloc(1);
/** See keys.format.md. */
const FORMAT = '2';
const FORMAT_KEY = Buffer.from('version');

/**
 * A folder of another version is left alone. False: it is new.
 * @throws CanopyError `storage_unsuitable`, `storage_corrupt`.
 */
export function checkFormat(tables: Tables): boolean {
  const [written] = wholeRecords(tables, 'format');
  const text = written?.[1];
  if (text === FORMAT) return true;
  const isEmpty = tables.get('states').keys({ start: FIRST_KEY, limit: 1 }).length === 0;
  if (text === undefined && isEmpty) return false;
  const by = text === undefined ? 'an earlier version' : `a version with format ${text}`;
  throw new CanopyError(
    'storage_unsuitable',
    `${tables.file} was written by ${by} of Canopy and cannot be read by this one (format ${FORMAT}): ` +
      'start with another --storage.path, or move the file away',
  );
}

export function writeFormat(tables: Tables): Promise<void> {
  return tables.write(() => tables.get('format').put(FORMAT_KEY, Buffer.from(FORMAT)));
}

/**
 * Records without which nothing can be said for certain.
 * @throws CanopyError `storage_corrupt`.
 */
export function wholeRecords(
  tables: Tables,
  name: 'states' | 'leases' | 'documents' | 'format',
): Array<[Uint8Array, string]> {
  const found: Array<[Uint8Array, string]> = [];
  for (const { key, value } of tables.get(name).records({ start: FIRST_KEY })) {
    if (value === null)
      throw corruptFile(tables.file, `a record of table ${name} fails its checksum`);
    found.push([Uint8Array.from(key), value.toString()]);
  }
  const { count } = tables.get(name);
  if (count !== found.length) {
    throw corruptFile(
      tables.file,
      `${found.length} of ${count} records of table ${name} are found`,
    );
  }
  return found;
}

export interface StoredState extends Omit<JournalState, 'ref'> {
  /** Position of the newest entry that was committed; START where there was none. */
  readonly newest: JournalPosition;
}

export function publicState(ref: JournalRef, stored: StoredState): JournalState {
  const { position, trimmed, cursor, ledger, entryBytes } = stored;
  return { ref, position, trimmed, cursor, ledger, entryBytes };
}
