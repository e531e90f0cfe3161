/** What both stores decide in the same way. */
import {
  type BlockId,
  CanopyError,
  JOURNAL_START,
  type JournalCommit,
  type JournalPosition,
  type JournalRef,
  comparePositions,
  invariant,
} from '@canopy/model';

/** Bugs of the caller; stored state plays no part. */
export function checkCommit(commit: JournalCommit): void {
  let last = commit.expected ?? JOURNAL_START;
  for (const entry of commit.entries) {
    invariant(comparePositions(last, entry) < 0, 'BUG: commit with entries out of order');
    last = entry;
  }
  invariant(comparePositions(last, commit.position) <= 0, 'BUG: commit ends before its entries');
}

/** The comparison of compare-and-set, once the lease is known to be held. */
export function comparePlaces(
  stored: JournalPosition | undefined,
  expected: JournalPosition | null,
  next: JournalPosition,
): 'apply' | 'already_applied' | 'behind' | 'absent' {
  if (stored === undefined) return expected === null ? 'apply' : 'absent';
  if (expected !== null && comparePositions(stored, expected) === 0) return 'apply';
  return comparePositions(stored, next) === 0 ? 'already_applied' : 'behind';
}

export function leaseLost(ref: JournalRef): CanopyError {
  return new CanopyError('storage_unavailable', `the lease on journal ${ref} is not held any more`);
}

/** What came after it may be gone as well: whoever asked looks at the store again. */
export function fellBack(ref: JournalRef, lacks: string): CanopyError {
  const text = `the store fell back: of journal ${ref} it has not ${lacks}, and nothing was dropped`;
  return new CanopyError('storage_unavailable', text);
}

export function blockNotBegun(ref: JournalRef, block: BlockId): CanopyError {
  return new CanopyError(
    'storage_unavailable',
    `block ${block} of journal ${ref} was finished, or was taken away (or a part) while it was built`,
  );
}
