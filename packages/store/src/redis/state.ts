/** A journal's state as it lies in Redis: what is handed out has passed its checks. */
import type { JournalRef, JournalState } from '@canopy/model';
import { sealText, textCheck, unsealText } from '../seal.js';
import { parsePosition } from './keys.js';
import { damagedJournal } from './slices.js';

/** As commit.lua answers them, too. */
export const STATE_FIELDS = [
  'position',
  'trimmed',
  'cursor',
  'ledger',
  'entryBytes',
  'check',
] as const;

/** What commit.lua stores beside these three. `key`: of the state. */
export const stateCheck = (key: string, position: string, cursor: string, ledger: string): string =>
  textCheck(key, `${position}\n${cursor}\n${ledger}`);

export const sealTrimmed = (key: string, position: string): string =>
  sealText(`${key} trimmed`, position);

/** `fields` in the order of STATE_FIELDS. @throws CanopyError `storage_corrupt` */
export function parseState(
  ref: JournalRef,
  key: string,
  fields: ReadonlyArray<string | null>,
): JournalState {
  const [position, sealedTrimmed, cursor, ledger, entryBytes, check] = fields.map(
    (field) => field ?? '',
  );
  const trimmed = unsealText(`${key} trimmed`, sealedTrimmed);
  if (trimmed === undefined || check !== stateCheck(key, position, cursor, ledger)) {
    throw damagedJournal(key, 'its check');
  }
  const [at, cut] = [parsePosition(position), parsePosition(trimmed)];
  const bytes = Number(entryBytes);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw damagedJournal(key, 'entryBytes');
  return { ref, position: at, trimmed: cut, cursor, ledger, entryBytes: bytes };
}
