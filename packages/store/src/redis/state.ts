/** A journal's state as it lies in Redis: what is handed out has passed its checks. */
import { CanopyError, type JournalRef, type JournalState } from '@canopy/model';
import { sealText, textCheck, unsealText } from '../seal.js';
import { parsePosition } from './keys.js';

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
    const text =
      `${key} in Redis is damaged. Restore a copy, or UNLINK all keys of the journal ` +
      `(${key.slice(0, key.lastIndexOf(':'))}:*): what others still hold is pulled again`;
    throw new CanopyError('storage_corrupt', text);
  }
  const [at, cut] = [parsePosition(position), parsePosition(trimmed)];
  return { ref, position: at, trimmed: cut, cursor, ledger, entryBytes: Number(entryBytes) };
}
