/** Slices of a journal: streams that follow one another, so that old ones can be dropped whole. */
import { type JournalPosition, comparePositions } from '@canopy/model';
import { formatPosition, parsePosition } from './keys.js';

export interface Slice {
  readonly slice: number;
  /** Position of the first entry it was given. */
  readonly first: JournalPosition;
  readonly bytes: number;
}

/** From the fields of the slices' hash: number → `<first position> <bytes>`. */
export function sortedSlices(fields: Readonly<Record<string, string>>): Slice[] {
  const slices = Object.entries(fields).map(([slice, text]) => {
    const [first, bytes] = text.split(' ');
    return { slice: Number(slice), first: parsePosition(first), bytes: Number(bytes) };
  });
  return slices.sort((a, b) => a.slice - b.slice);
}

/** Index of the first slice that may hold entries after `after`. */
export function firstSliceAfter(slices: readonly Slice[], after: JournalPosition): number {
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
