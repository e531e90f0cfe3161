/** Slices of a journal: streams that follow one another, so that old ones can be dropped whole. */
import { CanopyError, type JournalPosition, comparePositions } from '@canopy/model';
import { formatPosition, parsePosition } from './keys.js';

export interface Slice {
  readonly slice: number;
  /** Position of the first entry it was given. */
  readonly first: JournalPosition;
  readonly bytes: number;
}

/**
 * From the fields of the slices' hash: number → `<first position> <bytes>`; `key`: of that hash.
 * @throws CanopyError `storage_corrupt` where they cannot be: numbers and first positions follow one another.
 */
export function sortedSlices(key: string, fields: Readonly<Record<string, string>>): Slice[] {
  const slices = Object.entries(fields).map(([slice, text]) => {
    if (!/^[1-9]\d*$/.test(slice)) throw damagedJournal(key, slice);
    if (!/^\d+-\d+ \d+$/.test(text)) throw damagedJournal(key, slice);
    const [first, bytes] = text.split(' ');
    return { slice: Number(slice), first: parsePosition(first), bytes: Number(bytes) };
  });
  slices.sort((a, b) => a.slice - b.slice);
  for (let i = 1; i < slices.length; i++) {
    const [before, own] = [slices[i - 1], slices[i]];
    const follows = own.slice === before.slice + 1;
    if (!follows || comparePositions(before.first, own.first) >= 0) {
      throw damagedJournal(key, String(own.slice));
    }
  }
  return slices;
}

/** Also of what a script found. `field`: of the hash `key`, as far as it is known. */
export function damagedJournal(key: string, field: string): CanopyError {
  const text =
    `${key} in Redis is damaged (${field}). Restore a copy, or UNLINK all keys of the journal ` +
    `(${key.slice(0, key.lastIndexOf(':'))}:*): what others still hold is pulled again`;
  return new CanopyError('storage_corrupt', text);
}

/**
 * Index of the first slice to read for entries after `after`: the one before the first that may hold some, for the
 * positions that tell have no checks.
 */
export function firstSliceToRead(slices: readonly Slice[], after: JournalPosition): number {
  return Math.max(0, firstSliceAfter(slices, after) - 1);
}

/** Index of the first slice that may hold entries after `after`. */
function firstSliceAfter(slices: readonly Slice[], after: JournalPosition): number {
  let index = 0;
  while (index + 1 < slices.length && comparePositions(slices[index + 1].first, after) <= 0) {
    index++;
  }
  return index;
}

export interface TrimStep {
  readonly slice: number;
  /** Where the journal begins after this step. */
  readonly limit: JournalPosition;
  /** Stream id of the first entry that stays; '' where none of the slice does. */
  readonly firstKept: string;
}

/** Steps that drop everything up to `upTo`, oldest first. */
export function planTrim(
  slices: readonly Slice[],
  state: { readonly position: JournalPosition },
  upTo: JournalPosition,
): TrimStep[] {
  const limit = comparePositions(upTo, state.position) < 0 ? upTo : state.position;
  const steps: TrimStep[] = [];
  for (let i = 0; i < slices.length; i++) {
    if (comparePositions(slices[i].first, limit) > 0) break;
    const next = i + 1 < slices.length ? slices[i + 1].first : undefined;
    const whole = next !== undefined && comparePositions(next, limit) <= 0;
    // The sequence before the next slice's first one ends this slice, whatever its last entry was.
    const stepLimit = whole ? { epoch: next.epoch, sequence: next.sequence - 1 } : limit;
    const kept = { epoch: limit.epoch, sequence: limit.sequence + 1 };
    steps.push({
      slice: slices[i].slice,
      limit: stepLimit,
      firstKept: whole ? '' : formatPosition(kept),
    });
  }
  return steps;
}
